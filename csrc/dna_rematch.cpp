#include "dna_rematch.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace pcc {
namespace {

// What a block costs one probe in nanoseconds, on AVX2: to choose between ways and to cut tasks of even length.
constexpr double kVisitNs = 6, kMixedVisitNs = 30, kWholeNs = 5000, kGroupNs = 25;
constexpr double kTaskNs = 1e8;

uint32_t first_slot(const DnaGroup& group) { return group.first_block * kBlock; }
uint32_t last_slot(const DnaGroup& group) { return (group.first_block + group.blocks) * kBlock; }

uint64_t count_rows(const DnaIndex& index, const DnaGroup& group, const std::vector<uint8_t>& marked) {
  uint64_t n = 0;
  for (uint32_t slot = first_slot(group); slot < last_slot(group); ++slot)
    n += index.row_of_slot[slot] != kEmptySlot && (marked.empty() || marked[slot]);
  return n;
}

// Profiles of each group, all of them or the marked ones.
std::vector<double> count_groups(const DnaIndex& index, const std::vector<uint8_t>& marked) {
  std::vector<double> counts;
  for (const DnaGroup& group : index.groups) counts.push_back(static_cast<double>(count_rows(index, group, marked)));
  return counts;
}

}  // namespace

DnaRematch::DnaRematch(const DnaIndex& here, const DnaIndex* against, const DnaRule& rule, const uint8_t* new_rows,
                       Ways ways)
    : probes_(&here), targets_(against ? against : &here), rule_(rule), ways_(ways), within_(!against) {
  if (rule.kind == DnaRule::kMixture)
    throw std::invalid_argument("a mixture rule takes mixtures as probes: profiles cannot be re-matched with it");
  if (against && against->loci != here.loci) throw std::invalid_argument("the two indexes number different loci");
  uint64_t rows_here = here.live;
  if (new_rows) {
    marked_.assign(here.slots(), 0);
    for (size_t slot = 0; slot < marked_.size(); ++slot)
      marked_[slot] = here.row_of_slot[slot] != kEmptySlot && new_rows[here.row_of_slot[slot]];
    rows_here = static_cast<uint64_t>(std::count(marked_.begin(), marked_.end(), 1));
  }
  if (!within_ && rows_here > against->live) {
    std::swap(probes_, targets_);
    swapped_ = true;
  }
  plan_tiles(plan_joins());
}

bool DnaRematch::is_probe(uint32_t slot) const {
  return probes_->row_of_slot[slot] != kEmptySlot && (swapped_ || marked_.empty() || marked_[slot]);
}

double DnaRematch::tile_cost(double probes, const DnaIndex& index, uint32_t target) const {
  const double visit = max_differing(rule_) == kUnfiltered                               ? kWholeNs
                       : rule_.kind == DnaRule::kTreaty && target < index.uniform_groups ? kVisitNs
                                                                                         : kMixedVisitNs;
  return probes * (kGroupNs + visit * index.groups[target].blocks);
}

// ---- joins

DnaRematch::Pairs DnaRematch::plan_joins() {
  const std::vector<DnaGroup>&groups = probes_->groups, &others = targets_->groups;
  Pairs joined(groups.size(), std::vector<bool>(others.size(), false));
  if (ways_ == Ways::kBitmaps || rule_.kind != DnaRule::kTreaty || max_differing(rule_) == kUnfiltered) return joined;
  const std::vector<uint8_t> all;
  const std::vector<double> probes = count_groups(*probes_, swapped_ ? all : marked_);
  for (uint32_t g = 0; g < probes_->uniform_groups; ++g)
    for (uint32_t h = 0; h < (within_ ? g + 1 : targets_->uniform_groups); ++h) {
      double tiles = tile_cost(probes[g], *targets_, h);
      if (within_ && !marked_.empty() && g != h) tiles += tile_cost(probes[h], *probes_, g);
      if (within_ && marked_.empty() && g == h) tiles /= 2;
      if (plan_join(g, h, tiles)) joined[g][h] = true;
    }
  return joined;
}

// Adds the tasks of a join if that is expected to be faster than bitmaps.
bool DnaRematch::plan_join(uint32_t probe_group, uint32_t target_group, double tiles) {
  const DnaGroup &a = probes_->groups[probe_group], &b = targets_->groups[target_group];
  const bool self = within_ && probe_group == target_group;
  const uint64_t rows = (a.blocks + (self ? 0 : b.blocks)) * uint64_t{kBlock};
  if (ways_ == Ways::kCheapest && static_cast<double>(rows) * kJoinRowNs > tiles) return false;
  JoinParts parts = join_parts(*probes_, a, *targets_, b, max_differing(rule_), rule_.treaty.min_full_loci);
  const double pairs = double(a.blocks) * b.blocks * kBlock * kBlock / (self ? 2 : 1);
  const double n = static_cast<double>(parts.parts.size());
  const double cost = static_cast<double>(rows) * n * kJoinRowNs + pairs * parts.candidates * kJoinCandidateNs;
  if (parts.parts.empty() || (ways_ == Ways::kCheapest && cost > tiles)) return false;
  const uint32_t slices = static_cast<uint32_t>((rows + kSliceRows - 1) / kSliceRows);
  for (uint32_t part = 0; part < parts.parts.size(); ++part)
    for (uint32_t slice = 0; slice < slices; ++slice) {
      joins_.push_back({probe_group, target_group, part, slice, slices, parts_.size()});
      costs_.push_back(cost / n / slices);
    }
  parts_.push_back(std::move(parts));
  return true;
}

void DnaRematch::run_join(const JoinTask& task, DnaSearcher& searcher) const {
  searcher.pair_with(swapped_ && !marked_.empty() ? marked_.data() : nullptr, order());
  const uint8_t* marked = swapped_ || marked_.empty() ? nullptr : marked_.data();
  join({probes_, &probes_->groups[task.probe_group]}, {targets_, &targets_->groups[task.target_group]},
       within_ && task.probe_group == task.target_group, parts_[task.parts], task.part, task.slice, task.slices, marked,
       within_ ? marked : nullptr, searcher);
}

// ---- tiles

// Within one index the probes of a group meet the groups up to their own, and there the slots before theirs; with
// marked profiles they meet all groups, see DnaSearch::marked.
void DnaRematch::plan_tiles(const Pairs& joined) {
  std::vector<uint32_t> targets, last_targets;
  uint32_t from = 0;
  for (uint32_t g = 0; g < probes_->groups.size(); ++g) {
    const DnaGroup& group = probes_->groups[g];
    const bool triangle = within_ && marked_.empty();
    targets.clear();
    for (uint32_t h = 0; h < targets_->groups.size(); ++h)
      if (!(triangle && h > g && g < probes_->uniform_groups) && !joined[g][h] && !(within_ && joined[h][g]))
        targets.push_back(h);
    if (targets != last_targets) {
      add_tiles(from, first_slot(group), last_targets);
      from = first_slot(group);
      last_targets = targets;
    }
  }
  add_tiles(from, static_cast<uint32_t>(probes_->slots()), last_targets);
}

// Cuts the probes of these slots into tasks of about kTaskNs, but of whole tiles.
void DnaRematch::add_tiles(uint32_t first, uint32_t last, const std::vector<uint32_t>& targets) {
  if (targets.empty()) return;
  double each = 0;
  for (uint32_t h : targets) each += tile_cost(1, *targets_, h);
  const uint64_t most = std::max<uint64_t>(1, static_cast<uint64_t>(kTaskNs / each / kTile)) * kTile;
  target_groups_.push_back(targets);
  uint64_t count = 0;
  for (uint32_t slot = first; slot < last; ++slot) {
    count += is_probe(slot);
    if (count < most && slot + 1 < last) continue;
    if (count) {
      tiles_.push_back({first, slot + 1, target_groups_.size() - 1});
      costs_.push_back(each * static_cast<double>(count));
    }
    first = slot + 1;
    count = 0;
  }
}

void DnaRematch::run_tiles(const TileTask& task, DnaSearcher& searcher) const {
  const bool triangle = within_ && marked_.empty();
  const bool filter = !marked_.empty() && (within_ || swapped_);
  searcher.pair_with(filter ? marked_.data() : nullptr, order());
  std::vector<uint32_t> slots, names;
  for (uint32_t slot = task.first_slot; slot < task.last_slot; ++slot) {
    if (is_probe(slot)) {
      slots.push_back(slot);
      names.push_back(probes_->row_of_slot[slot]);
    }
    if (slots.empty() || (slots.size() < kTile && slot + 1 < task.last_slot)) continue;
    const DnaProbes probes = encode_slots(*probes_, slots, *targets_, rule_);
    searcher.set_probes(probes, names.data(), within_ ? slots.data() : nullptr);
    const uint32_t to_block = triangle ? slots.back() / kBlock + 1 : static_cast<uint32_t>(targets_->blocks());
    for (uint32_t h : target_groups_[task.targets]) searcher.search_group(h, to_block);
    slots.clear();
    names.clear();
  }
}

// ---- running

DnaSearch::Order DnaRematch::order() const {
  return within_ ? DnaSearch::kSmallerFirst : swapped_ ? DnaSearch::kRowFirst : DnaSearch::kProbeFirst;
}

HitList DnaRematch::run(size_t task) const {
  DnaSearcher searcher(*targets_, rule_, kTile);
  if (task < joins_.size())
    run_join(joins_[task], searcher);
  else
    run_tiles(tiles_[task - joins_.size()], searcher);
  return std::move(searcher.hits);
}

}  // namespace pcc
