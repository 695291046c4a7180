// All pairs: within one index, or between two. The work is cut into tasks that share nothing and may run in any order
// on any threads; together they find every accepted pair once, however they are cut.
//
//   uniform x uniform  a join of the two groups (dna_join.h), or bitmaps with the profiles of one as probes, whatever
//                      is expected to be faster: small groups, or loci too few to cut, are left to the bitmaps;
//   all else           bitmaps (dna_kernels.inc): tiles of probes, one group after the other.
#pragma once
#include <cstdint>
#include <vector>

#include "dna_index.h"
#include "dna_join.h"
#include "dna_search.h"

namespace pcc {

class DnaRematch {
 public:
  // Which way pairs of uniform groups go: the cheaper one, or all that can be joined, or none.
  enum class Ways { kCheapest, kJoins, kBitmaps };

  // Within `here` (against = null) or between its profiles and those of `against`. `new_rows`: [here.rows], only pairs
  // with a row of `here` that is marked; or null. The indexes must outlive this; `new_rows` need not.
  DnaRematch(const DnaIndex& here, const DnaIndex* against, const DnaRule& rule, const uint8_t* new_rows, Ways ways);

  const std::vector<double>& costs() const { return costs_; }  // of each task, nanoseconds more or less

  // A hit's probe is a row of `here` and its row one of `against`, or the smaller and the larger row of `here`.
  HitList run(size_t task) const;

 private:
  struct JoinTask {
    uint32_t probe_group, target_group, part, slice, slices;
    size_t parts;  // in parts_
  };
  struct TileTask {
    uint32_t first_slot, last_slot;  // of the probes
    size_t targets;                  // in target_groups_
  };
  using Pairs = std::vector<std::vector<bool>>;  // [group of probes_][group of targets_]

  DnaSearch::Order order() const;
  bool is_probe(uint32_t slot) const;
  double tile_cost(double probes, const DnaIndex& index, uint32_t target) const;
  Pairs plan_joins();
  bool plan_join(uint32_t probe_group, uint32_t target_group, double tiles);
  void plan_tiles(const Pairs& joined);
  void add_tiles(uint32_t first_slot, uint32_t last_slot, const std::vector<uint32_t>& targets);
  void run_join(const JoinTask& task, DnaSearcher& searcher) const;
  void run_tiles(const TileTask& task, DnaSearcher& searcher) const;

  const DnaIndex *probes_, *targets_;
  DnaRule rule_;
  Ways ways_;
  bool within_;                  // one index
  bool swapped_ = false;         // two: the probes are those of `against`
  std::vector<uint8_t> marked_;  // [slots of here], or empty: all
  std::vector<JoinTask> joins_;  // the first tasks
  std::vector<TileTask> tiles_;  // the others
  std::vector<double> costs_;
  std::vector<JoinParts> parts_;
  std::vector<std::vector<uint32_t>> target_groups_;
};

}  // namespace pcc
