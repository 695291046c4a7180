// All pairs of two uniform groups by a hash join instead of comparisons: with at most k loci that differ, the common
// loci cut into k + 1 parts leave one part where the two profiles are identical, so equal keys of a part are the only
// candidates. Bound by memory: a row costs some ten nanoseconds a part, however many rows the other group has.
#pragma once
#include <cstdint>
#include <vector>

#include "dna_index.h"
#include "dna_search.h"

namespace pcc {

// The loci (the caller's) that two groups of two indexes have in common, cut into parts.
struct JoinParts {
  std::vector<std::vector<uint32_t>> parts;
  double candidates;  // expected, for one pair of profiles
};

// `k`: loci that may differ. No parts where the groups have too few loci in common for any pair to be accepted.
JoinParts join_parts(const DnaIndex& a, const DnaGroup& group_a, const DnaIndex& b, const DnaGroup& group_b, uint32_t k,
                     uint32_t min_full);

constexpr double kJoinRowNs = 12, kJoinCandidateNs = 60;  // for plans; measured on AVX2

// Rows that one slice holds in memory, 16 bytes each.
constexpr uint64_t kSliceRows = 1 << 21;

struct JoinSide {
  const DnaIndex* index;
  const DnaGroup* group;
};

// Slice `slice` of `slices` of the pairs that part `part` finds: identical there and in no earlier part. With
// `self`, of the same group on both sides, each pair comes once. `marked_a`: [slots of a], only pairs with a marked
// slot, in a or, with marked_b, in b; or null: all. The searcher is one of `b.index`, and gets the hits.
void join(const JoinSide& a, const JoinSide& b, bool self, const JoinParts& parts, uint32_t part, uint32_t slice,
          uint32_t slices, const uint8_t* marked_a, const uint8_t* marked_b, DnaSearcher& searcher);

}  // namespace pcc
