// Probes in an index's terms. What the filter needs of a probe depends on the rule, the verifier needs its codes; loci
// that no profile of the index has are dropped, for they are compared with none.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "compare_dna.h"
#include "dna_index.h"

namespace pcc {

// A rule of one of three kinds.
struct DnaRule {
  enum Kind : uint32_t { kTreaty, kStringency, kMixture } kind;
  PccTreatyRule treaty;
  PccStringencyRule stringency;
  PccMixtureRule mixture;
};

// Which profiles pass at a locus, by the lines of the probe's alleles there that they have.
enum class Shows : uint8_t {
  kAny,      // one or more
  kTwo,      // two or more
  kOnlyOne,  // one, and nothing else: line `base` (homozygous), too
  kAll,      // all their alleles: two or more, or one and line `base`
};

struct DnaProbes {
  size_t count = 0;
  // Treaty: the two lines that say "identical", relative to base.
  std::vector<LocusSet> designated;  // [count]
  std::vector<LocusSet> possible;    // [count] designated, and some profile has each allele
  std::vector<uint8_t> first;        // [count][positions] line of the low allele
  std::vector<uint8_t> second;       // [count][positions] line of the high allele; 0 where it is the same
  // Stringency and mixtures: at each locus any number of lines.
  std::vector<LocusSet> asked;  // [count] where profiles can fail
  std::vector<Shows> shows;     // [count][positions]
  std::vector<uint32_t> start;  // [count * positions + 1] into `line`
  std::vector<uint8_t> line;    // relative to base
  // For the verifier.
  Column<uint8_t> codes;  // treaty, stringency: [count][stride]
  Column<uint64_t> sets;  // mixture: [count][positions][4]
};

// codes: [count][index.loci][2].
DnaProbes encode_profiles(const DnaIndex& index, const DnaRule& rule, const uint8_t* codes, size_t count);
// sets: [count][index.loci][4], see pcc_mixture.
DnaProbes encode_mixtures(const DnaIndex& index, const uint64_t* sets, size_t count);
// Profiles of one index as probes of another, or of the same.
DnaProbes encode_slots(const DnaIndex& from, const std::vector<uint32_t>& slots, const DnaIndex& index,
                       const DnaRule& rule);

}  // namespace pcc
