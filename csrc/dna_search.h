// Searches of an index: probes against all or some of its blocks.
#pragma once
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "compare_dna.h"
#include "dna_index.h"
#include "dna_kernels.h"
#include "dna_probes.h"

namespace pcc {

// A list of hits that owns its memory.
class HitList : public DnaHits {
 public:
  HitList() = default;
  HitList(HitList&& other) noexcept : DnaHits(std::exchange(static_cast<DnaHits&>(other), {})) {}
  HitList(const HitList&) = delete;
  ~HitList();
};

// Loci designated on both sides that may differ, or fail, in an accepted pair; kUnfiltered: more than planes count.
uint32_t max_differing(const DnaRule& rule);

// One thread's search of an index: the rule, the memory that the kernels work in, and what they found.
class DnaSearcher {
 public:
  DnaSearcher(const DnaIndex& index, const DnaRule& rule, size_t most_probes);

  // Whom the probes meet and what hits look like; see DnaSearch.
  void pair_with(const uint8_t* marked, DnaSearch::Order order);
  // At most kTile probes; `names` are what hits report, `own_slots` may be null. All must stay until the next call.
  void set_probes(const DnaProbes& probes, const uint32_t* names, const uint32_t* own_slots);
  void search(uint32_t from_block, uint32_t to_block);                         // in all groups
  void search_group(uint32_t group, uint32_t to_block);                        // in one group's blocks below to_block
  void verify(const uint32_t* probes, const uint32_t* slots, uint32_t count);  // these pairs only

  HitList hits;

 private:
  void compile_tail(const DnaProbes& probes);

  const DnaIndex& index_;
  const DnaKernels& kernels_;
  const bool few_;
  std::unique_ptr<DnaRun[]> runs_;
  std::unique_ptr<DnaTile> tile_;
  DnaPending pending_;
  DnaSearch search_;
  std::vector<uint32_t> tail_offset_, tail_loci_;
};

// The accepted pairs of `count` probes and the profiles in blocks [from, to), in no particular order; a hit's probe is
// the probe's number, its row the caller's row. codes: [count][loci][2], or for a mixture rule sets: [count][loci][4].
HitList search_dna(const DnaIndex& index, const DnaRule& rule, const uint8_t* codes, const uint64_t* sets, size_t count,
                   uint32_t from, uint32_t to);

}  // namespace pcc
