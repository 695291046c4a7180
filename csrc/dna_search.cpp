#include "dna_search.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <numeric>

namespace pcc {

void grow(DnaHits& hits) {
  const size_t capacity = std::max<size_t>(64, hits.capacity * 2);
  void* data = std::realloc(hits.data, capacity * sizeof(PccHit));
  if (!data) throw std::bad_alloc();
  hits.data = static_cast<PccHit*>(data);
  hits.capacity = capacity;
}

HitList::~HitList() { std::free(data); }

uint32_t max_differing(const DnaRule& rule) {
  uint32_t most = rule.mixture.max_missing;  // each locus that fails lacks a value at least
  if (rule.kind == DnaRule::kStringency) most = rule.stringency.lower_loci;
  if (rule.kind == DnaRule::kTreaty)  // each locus that differs costs a difference at least
    most = std::min<uint32_t>(rule.treaty.max_differences,
                              uint32_t{rule.treaty.max_microvariants} + rule.treaty.max_mismatches);
  return most <= kMaxPlanes ? most : kUnfiltered;
}

DnaSearcher::DnaSearcher(const DnaIndex& index, const DnaRule& rule, size_t most_probes)
    : index_(index), kernels_(dna_kernels()), few_(most_probes <= kFewProbes) {
  // new T, not make_unique: nothing here needs to be zero, and one probe's search is shorter than clearing it.
  runs_.reset(new DnaRun[few_ ? 3 * index.groups.size() : kTile]);
  if (!few_) tile_.reset(new DnaTile);
  pending_.count = 0;
  search_ = {};
  search_.index = {index.lines.data(),
                   index.codes.data(),
                   index.row_of_slot.data(),
                   index.groups.data(),
                   index.base.data(),
                   index.first_key.data(),
                   index.positions,
                   (index.positions + 63) / 64,
                   index.stride,
                   static_cast<uint32_t>(index.groups.size()),
                   index.uniform_groups};
  search_.rule = rule;
  search_.max_differing = max_differing(rule);
  search_.tile = tile_.get();
  search_.runs = runs_.get();
  search_.pending = &pending_;
  search_.hits = &hits;
}

void DnaSearcher::pair_with(const uint8_t* marked, DnaSearch::Order order) {
  search_.marked = marked;
  search_.order = order;
}

void DnaSearcher::set_probes(const DnaProbes& probes, const uint32_t* names, const uint32_t* own_slots) {
  DnaProbesView& view = search_.probes;
  view = {};
  view.designated = probes.designated.data();
  view.possible = probes.possible.data();
  view.first = probes.first.data();
  view.second = probes.second.data();
  view.asked = probes.asked.data();
  view.shows = probes.shows.data();
  view.start = probes.start.data();
  view.line = probes.line.data();
  view.codes = probes.codes.data();
  view.sets = probes.sets.data();
  view.names = names;
  view.own_slots = own_slots;
  view.count = static_cast<uint32_t>(probes.count);
  if (!probes.possible.empty()) compile_tail(probes);
}

// Of n loci of the probe at least min_full are to be identical, so of any n - min_full + 4 of them at least 4: the
// lines of the first so many, in the table that all groups of the tail share; an odd number is evened with the empty
// line 0.
void DnaSearcher::compile_tail(const DnaProbes& probes) {
  const uint32_t min_full = search_.rule.treaty.min_full_loci;
  if (index_.uniform_groups == index_.groups.size() || search_.rule.kind != DnaRule::kTreaty || min_full < kCounted)
    return;
  const uint16_t* base = &index_.base[size_t{index_.uniform_groups} * index_.positions];
  const uint32_t width = 2 * (index_.positions + 1);
  tail_offset_.assign(probes.count * width, 0);
  tail_loci_.assign(probes.count, 0);
  for (size_t i = 0; i < probes.count; ++i) {
    const LocusSet& possible = probes.possible[i];
    uint32_t n = 0, *offset = &tail_offset_[i * width];
    for (uint32_t p = 0; p < index_.positions; ++p) {
      if (!possible.has(p) || !base[p]) continue;
      offset[2 * n] = (base[p] + probes.first[i * index_.positions + p]) * kLineBytes;
      offset[2 * n + 1] = (base[p] + probes.second[i * index_.positions + p]) * kLineBytes;
      ++n;
    }
    const uint32_t needed = n < min_full ? 0 : n - min_full + kCounted;
    std::fill(offset + 2 * needed, offset + width, 0);
    tail_loci_[i] = needed + needed % 2;
  }
  search_.probes.tail_offset = tail_offset_.data();
  search_.probes.tail_loci = tail_loci_.data();
  search_.probes.tail_offsets = width;
}

void DnaSearcher::search(uint32_t from_block, uint32_t to_block) {
  if (few_) {
    for (uint32_t i = 0; i < search_.probes.count; ++i) kernels_.search_probe(search_, i, from_block, to_block);
    return;
  }
  for (uint32_t g = 0; g < index_.groups.size(); ++g) {
    const DnaGroup& group = index_.groups[g];
    const uint32_t from = std::max(from_block, group.first_block);
    const uint32_t to = std::min(to_block, group.first_block + group.blocks);
    if (from < to) kernels_.search_tile(search_, g, from, to);
  }
}

void DnaSearcher::search_group(uint32_t group, uint32_t to_block) {
  const DnaGroup& g = index_.groups[group];
  const uint32_t to = std::min(to_block, g.first_block + g.blocks);
  if (g.first_block < to) kernels_.search_tile(search_, group, g.first_block, to);
}

void DnaSearcher::verify(const uint32_t* probes, const uint32_t* slots, uint32_t count) {
  kernels_.verify_pairs(search_, probes, slots, count);
}

HitList search_dna(const DnaIndex& index, const DnaRule& rule, const uint8_t* codes, const uint64_t* sets, size_t count,
                   uint32_t from, uint32_t to) {
  DnaSearcher searcher(index, rule, count);
  std::vector<uint32_t> names(std::min<size_t>(count, kTile));
  for (size_t done = 0; done < count; done += kTile) {
    const size_t size = std::min<size_t>(kTile, count - done), first = done * index.loci;
    const DnaProbes probes = rule.kind == DnaRule::kMixture ? encode_mixtures(index, sets + first * 4, size)
                                                            : encode_profiles(index, rule, codes + first * 2, size);
    std::iota(names.begin(), names.end(), static_cast<uint32_t>(done));
    searcher.set_probes(probes, names.data(), nullptr);
    searcher.search(from, to);
  }
  return std::move(searcher.hits);
}

}  // namespace pcc
