// Counts pairs of DNA profiles by their numbers of matching and partially matching loci, hardly ever looking at one
// pair.
//
//   designated  both alleles of a locus are known (codes >= 2); a locus counts where both profiles are designated
//   match       both alleles are equal
//   partial     exactly one allele is shared
//
// 512 profiles, a block, become lines of 512 bits: for each allele of a locus that some profile has, one line says who
// has it and the next one who has it twice. Against a probe with alleles (a, b) take x = has(a), y = has(b), or
// y = twice(a) where a = b: the matches are x & y, the partial matches x ^ y. Bit-sliced adders count both over the
// loci; the counts are decoded into one set of pairs for each number, and a cell of the matrix grows by the size of the
// intersection of two such sets.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "dna_index.h"

namespace pcc {

struct MatchedPair {
  uint32_t row, other, matching, partial;  // two rows, two numbers of loci
};

class DnaMatrix {
 public:
  // codes: [rows][loci][2]. With `against`: the pairs of a row of `codes` and one of `against`; where it is null: the
  // unordered pairs of `codes`. Keeps the pointer to `codes`, and 8 bytes a locus and probe: a row of the other side.
  DnaMatrix(const uint8_t* codes, size_t rows, const uint8_t* against, size_t against_rows, uint32_t loci);

  uint32_t loci() const { return loci_; }
  size_t blocks() const { return (rows_ + kBlock - 1) / kBlock; }  // of the work: every pair is in exactly one

  // Adds the pairs of a block of `codes` to counts[matching * (loci + 1) + partial], and appends those with at least
  // `at_least` matching loci to `pairs` in any order; row < other where there is no `against`.
  void count(size_t block, uint64_t* counts, uint32_t at_least, std::vector<MatchedPair>& pairs) const;

 private:
  const uint8_t* codes_;
  size_t rows_, probes_;
  bool against_itself_;
  uint32_t loci_, padded_loci_;
  std::vector<uint32_t> line_;        // [loci][256] of "has this allele"; 0, an empty line, where nobody in `codes` has
  size_t lines_;                      // of a block
  std::vector<uint32_t> probe_line_;  // [probes][padded loci][2]
};

}  // namespace pcc
