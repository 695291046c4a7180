// Builds DnaIndex: three passes over the profiles (count alleles and locus sets; sort within groups; fill the blocks).
// Bound by memory: each pass reads the codes once, in the order of the rows or, when filling, nearly so.
#include "dna_index.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>

namespace pcc {

void* allocate_zeroed(size_t bytes) {
  constexpr size_t kHugePage = size_t{1} << 21;
  const size_t alignment = bytes < kHugePage ? 64 : kHugePage;
  const size_t size = std::max(alignment, (bytes + alignment - 1) / alignment * alignment);
  void* memory = std::aligned_alloc(alignment, size);
  if (!memory) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  if (alignment == kHugePage) madvise(memory, size, MADV_HUGEPAGE);
#endif
  std::memset(memory, 0, size);
  return memory;
}

void release(void* memory) { std::free(memory); }

namespace {

constexpr uint32_t kDesignated = 2;      // the smallest code of a known allele
constexpr size_t kUniformRows = kBlock;  // profiles with the same loci that make a group of their own
constexpr uint32_t kTailBlocks = 16;     // a tail group's size, unless its profiles share too few loci
constexpr uint32_t kTailLoci = 5;  // loci that a group shares are worth keeping apart from blocks that share fewer
constexpr size_t kSampleRows = 1 << 16;  // profiles that `match` is estimated from

uint32_t count(const LocusSet& s) {
  uint32_t n = 0;
  for (uint64_t w : s.word) n += static_cast<uint32_t>(__builtin_popcountll(w));
  return n;
}

uint32_t first_of(const LocusSet& s) {
  for (uint32_t w = 0; w < kMaxLoci / 64; ++w)
    if (s.word[w]) return w * 64 + static_cast<uint32_t>(__builtin_ctzll(s.word[w]));
  return kNoPosition;
}

bool equal(const LocusSet& a, const LocusSet& b) { return !std::memcmp(a.word, b.word, sizeof a.word); }

LocusSet both(LocusSet a, const LocusSet& b) {
  for (uint32_t w = 0; w < kMaxLoci / 64; ++w) a.word[w] &= b.word[w];
  return a;
}

LocusSet either(LocusSet a, const LocusSet& b) {
  for (uint32_t w = 0; w < kMaxLoci / 64; ++w) a.word[w] |= b.word[w];
  return a;
}

// Order of sets as words, the first locus first: neighbours have the same first loci.
bool before(const LocusSet& a, const LocusSet& b) {
  for (uint32_t w = 0; w < kMaxLoci / 64; ++w)
    if (const uint64_t differ = a.word[w] ^ b.word[w]) return a.word[w] & differ & (0 - differ);
  return false;
}

// The caller's profiles, addressed by row over all parts.
class Profiles {
 public:
  Profiles(const std::vector<DnaPart>& parts, uint32_t loci) : parts_(parts), first_(1, 0) {
    for (const DnaPart& part : parts) {
      std::vector<bool> seen(loci, false);
      for (size_t c = 0; c < part.width; ++c) {
        const int32_t locus = part.columns[c];
        if (locus < 0) continue;
        if (static_cast<uint32_t>(locus) >= loci || seen[static_cast<size_t>(locus)])
          throw std::invalid_argument("part " + std::to_string(first_.size() - 1) + ": column " + std::to_string(c) +
                                      " has locus " + std::to_string(locus) + ", which is out of range or doubled");
        seen[static_cast<size_t>(locus)] = true;
      }
      first_.push_back(first_.back() + part.rows);
    }
    if (first_.back() >= kEmptySlot) throw std::invalid_argument("more than 4,294,967,294 profiles in one index");
  }

  uint64_t rows() const { return first_.back(); }
  size_t part_of(uint64_t row) const {
    return static_cast<size_t>(std::upper_bound(first_.begin(), first_.end(), row) - first_.begin()) - 1;
  }
  const DnaPart& part(size_t p) const { return parts_[p]; }
  size_t parts() const { return parts_.size(); }
  const uint8_t* codes(size_t p, uint64_t row) const {
    return parts_[p].codes + (row - first_[p]) * parts_[p].width * 2;
  }
  bool live(size_t p, uint64_t row) const { return !parts_[p].live || parts_[p].live[row - first_[p]]; }
  uint64_t first_row(size_t p) const { return first_[p]; }

 private:
  const std::vector<DnaPart>& parts_;
  std::vector<uint64_t> first_;
};

// Numbers the distinct locus sets in the order of their first row. Open addressing; at most half full.
class SetTable {
 public:
  SetTable() : slots_(1024, 0) {}

  uint32_t id(const LocusSet& set) {
    size_t at = hash(set) & (slots_.size() - 1);
    while (slots_[at]) {
      if (equal(sets[slots_[at] - 1], set)) return slots_[at] - 1;
      at = (at + 1) & (slots_.size() - 1);
    }
    sets.push_back(set);
    slots_[at] = static_cast<uint32_t>(sets.size());
    if (sets.size() * 2 > slots_.size()) grow();
    return static_cast<uint32_t>(sets.size()) - 1;
  }

  std::vector<LocusSet> sets;

 private:
  static size_t hash(const LocusSet& set) {
    uint64_t h = 0;
    for (uint64_t w : set.word) h = (h ^ w ^ h >> 29) * 0x9E3779B97F4A7C15u;
    return static_cast<size_t>(h ^ h >> 32);
  }

  void grow() {
    slots_.assign(slots_.size() * 2, 0);
    for (size_t i = 0; i < sets.size(); ++i) {
      size_t at = hash(sets[i]) & (slots_.size() - 1);
      while (slots_[at]) at = (at + 1) & (slots_.size() - 1);
      slots_[at] = static_cast<uint32_t>(i + 1);
    }
  }

  std::vector<uint32_t> slots_;
};

// What the first pass finds out, by the caller's locus.
struct Survey {
  explicit Survey(uint32_t loci) : alleles(size_t{loci} * 256, 0), used(loci, 0), sample(loci) {}

  std::vector<uint64_t> alleles;              // [locus][code] how often, in designated loci
  std::vector<uint8_t> used;                  // [locus] some profile has it, if only with a wildcard
  std::vector<std::vector<uint16_t>> sample;  // [locus] designated genotypes of every n-th profile
  SetTable sets;
  std::vector<uint32_t> set_of_row;  // kEmptySlot: removed
  uint64_t live = 0;
};

[[noreturn]] void refuse(size_t part, uint64_t row, int32_t locus, uint8_t low, uint8_t high) {
  throw std::invalid_argument("part " + std::to_string(part) + ", row " + std::to_string(row) + ", locus " +
                              std::to_string(locus) + ": codes " + std::to_string(low) + ", " + std::to_string(high) +
                              " are not a low and a high code, or two zeros");
}

Survey survey(const Profiles& profiles, uint32_t loci) {
  Survey s(loci);
  s.set_of_row.assign(profiles.rows(), kEmptySlot);
  const uint64_t every = profiles.rows() / kSampleRows + 1;
  for (size_t p = 0; p < profiles.parts(); ++p) {
    const DnaPart& part = profiles.part(p);
    for (uint64_t r = 0; r < part.rows; ++r) {
      const uint64_t row = profiles.first_row(p) + r;
      if (!profiles.live(p, row)) continue;
      const uint8_t* codes = part.codes + r * part.width * 2;
      const bool sampled = row % every == 0;
      LocusSet set;
      for (size_t c = 0; c < part.width; ++c) {
        const int32_t locus = part.columns[c];
        const uint8_t low = codes[2 * c], high = codes[2 * c + 1];
        if (locus < 0 || (low | high) == 0) continue;
        if (low > high || low == 0) refuse(p, r, locus, low, high);
        s.used[static_cast<size_t>(locus)] = 1;
        if (low < kDesignated) continue;
        set.add(static_cast<uint32_t>(locus));
        ++s.alleles[static_cast<size_t>(locus) * 256 + low];
        ++s.alleles[static_cast<size_t>(locus) * 256 + high];
        if (sampled) s.sample[static_cast<size_t>(locus)].push_back(static_cast<uint16_t>(low << 8 | high));
      }
      s.set_of_row[row] = s.sets.id(set);
      ++s.live;
    }
  }
  return s;
}

// The share of pairs of profiles that have the same genotype; 1 where nothing is known.
double match_probability(const std::vector<uint16_t>& genotypes) {
  if (genotypes.empty()) return 1;
  std::vector<uint32_t> times(1 << 16, 0);
  for (uint16_t g : genotypes) ++times[g];
  double sum = 0;
  for (uint32_t t : times) sum += double(t) * t;
  return sum / (double(genotypes.size()) * double(genotypes.size()));
}

void order_loci(const Survey& s, DnaIndex& index) {
  std::vector<double> match(index.loci);
  for (uint32_t l = 0; l < index.loci; ++l) {
    match[l] = match_probability(s.sample[l]);
    if (s.used[l]) index.order.push_back(l);
  }
  std::stable_sort(index.order.begin(), index.order.end(), [&](uint32_t a, uint32_t b) { return match[a] < match[b]; });
  for (uint32_t l : index.order) index.match.push_back(match[l]);
  index.positions = static_cast<uint32_t>(index.order.size());
  index.stride = (2 * index.positions + 15) / 16 * 16;
}

// Lines for the alleles of each position, and how many: own lines in the order of the codes, then the shared one.
std::vector<uint32_t> number_lines(const Survey& s, uint32_t rare_per_million, DnaIndex& index) {
  std::vector<uint32_t> lines(index.positions, 0);
  index.allele_line.assign(size_t{index.positions} * 256, 0);
  for (uint32_t p = 0; p < index.positions; ++p) {
    const uint64_t* times = &s.alleles[size_t{index.order[p]} * 256];
    const uint64_t total = std::accumulate(times, times + 256, uint64_t{0});
    uint8_t* line = &index.allele_line[size_t{p} * 256];
    const auto rare = [&](uint32_t code) { return times[code] * 1000000 < total * rare_per_million; };
    bool shared = false;
    for (uint32_t code = kDesignated; code < 256; ++code) {
      if (times[code] && !rare(code)) line[code] = static_cast<uint8_t>(++lines[p]);
      shared |= times[code] && rare(code);
    }
    if (!shared) continue;
    ++lines[p];
    for (uint32_t code = kDesignated; code < 256; ++code)
      if (times[code] && rare(code)) line[code] = static_cast<uint8_t>(lines[p]);
  }
  return lines;
}

LocusSet by_position(const LocusSet& by_locus, const std::vector<uint32_t>& order) {
  LocusSet set;
  for (uint32_t p = 0; p < order.size(); ++p)
    if (by_locus.has(order[p])) set.add(p);
  return set;
}

// The live rows, those with equal sets together, sets so that neighbours have many loci in common: in the order of
// words whose letters are the loci, the most frequent in the tail first; `start[i]` = first row of the i-th set.
struct RowsBySet {
  std::vector<LocusSet> sets;
  std::vector<uint64_t> start;
  std::vector<uint32_t> rows;
};

// The loci by the number of profiles in the tail that have them, most first.
std::vector<uint32_t> loci_by_presence(const std::vector<LocusSet>& sets, const std::vector<uint64_t>& times,
                                       uint32_t loci) {
  std::vector<uint64_t> present(loci, 0);
  for (size_t i = 0; i < sets.size(); ++i)
    for (uint32_t l = 0; l < loci && times[i] < kUniformRows; ++l) present[l] += sets[i].has(l) ? times[i] : 0;
  std::vector<uint32_t> order(loci);
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return present[a] > present[b]; });
  return order;
}

RowsBySet sort_by_set(const Survey& s, const std::vector<uint32_t>& order, uint32_t loci) {
  RowsBySet sorted;
  const std::vector<LocusSet>& by_locus = s.sets.sets;
  const size_t n = by_locus.size();
  std::vector<uint64_t> times(n, 0);
  for (uint32_t id : s.set_of_row)
    if (id != kEmptySlot) ++times[id];
  const std::vector<uint32_t> presence = loci_by_presence(by_locus, times, loci);
  std::vector<LocusSet> words;
  for (const LocusSet& set : by_locus) words.push_back(by_position(set, presence));
  std::vector<uint32_t> ids(n);
  std::iota(ids.begin(), ids.end(), 0u);
  std::sort(ids.begin(), ids.end(), [&](uint32_t a, uint32_t b) { return before(words[a], words[b]); });
  std::vector<uint64_t> next(n);
  sorted.start.push_back(0);
  for (uint32_t id : ids) {
    sorted.sets.push_back(by_position(by_locus[id], order));
    next[id] = sorted.start.back();
    sorted.start.push_back(sorted.start.back() + times[id]);
  }
  sorted.rows.resize(s.live);
  for (size_t row = 0; row < s.set_of_row.size(); ++row)
    if (s.set_of_row[row] != kEmptySlot) sorted.rows[next[s.set_of_row[row]]++] = static_cast<uint32_t>(row);
  return sorted;
}

// A group before it has slots: the rows [from, to) of a list.
struct Draft {
  size_t from, to;
  LocusSet all, any;
};

std::vector<Draft> uniform_groups(const RowsBySet& sorted) {
  std::vector<Draft> drafts;
  for (size_t i = 0; i < sorted.sets.size(); ++i)
    if (sorted.start[i + 1] - sorted.start[i] >= kUniformRows)
      drafts.push_back({sorted.start[i], sorted.start[i + 1], sorted.sets[i], sorted.sets[i]});
  std::stable_sort(drafts.begin(), drafts.end(),
                   [](const Draft& a, const Draft& b) { return a.to - a.from > b.to - b.from; });
  return drafts;
}

// The rows of the small sets, and their groups: neighbouring blocks join while their profiles share enough loci.
std::vector<Draft> tail_groups(const RowsBySet& sorted, std::vector<uint32_t>& tail) {
  std::vector<Draft> drafts;
  Draft block{0, 0, {}, {}};
  const auto close_block = [&] {
    if (!drafts.empty()) {
      Draft& last = drafts.back();
      const LocusSet all = both(last.all, block.all);
      if (last.to - last.from < kTailBlocks * kBlock &&
          (count(all) >= kTailLoci || (count(last.all) < kTailLoci && count(block.all) < kTailLoci))) {
        last = {last.from, block.to, all, either(last.any, block.any)};
        return;
      }
    }
    drafts.push_back(block);
  };
  for (size_t i = 0; i < sorted.sets.size(); ++i) {
    if (sorted.start[i + 1] - sorted.start[i] >= kUniformRows) continue;
    for (size_t r = sorted.start[i]; r < sorted.start[i + 1]; ++r) {
      if (block.to - block.from == kBlock) {
        close_block();
        block.from = block.to;
      }
      const bool fresh = block.from == block.to;
      block.all = fresh ? sorted.sets[i] : both(block.all, sorted.sets[i]);
      block.any = fresh ? sorted.sets[i] : either(block.any, sorted.sets[i]);
      tail.push_back(sorted.rows[r]);
      ++block.to;
    }
  }
  if (block.to > block.from) close_block();
  return drafts;
}

// Where each position of a part's codes goes in a slot: column and position pairs, in the order of the columns.
using Route = std::vector<std::pair<uint32_t, uint32_t>>;

std::vector<Route> routes(const Profiles& profiles, const DnaIndex& index) {
  std::vector<uint32_t> position(index.loci, kNoPosition);
  for (uint32_t p = 0; p < index.positions; ++p) position[index.order[p]] = p;
  std::vector<Route> all(profiles.parts());
  for (size_t i = 0; i < profiles.parts(); ++i)
    for (size_t c = 0; c < profiles.part(i).width; ++c) {
      const int32_t locus = profiles.part(i).columns[c];
      if (locus >= 0 && position[static_cast<size_t>(locus)] != kNoPosition)
        all[i].emplace_back(static_cast<uint32_t>(c), position[static_cast<size_t>(locus)]);
    }
  return all;
}

// Column of the key's locus in each part, or none.
std::vector<size_t> key_columns(const std::vector<Route>& route, uint32_t position) {
  std::vector<size_t> columns(route.size(), SIZE_MAX);
  for (size_t i = 0; i < route.size(); ++i)
    for (const auto& [column, to] : route[i])
      if (to == position) columns[i] = column;
  return columns;
}

// Where each locus has its lines in a block.
struct LineTable {
  std::vector<uint16_t> base;
  uint32_t lines = 1;
  bool designated = false;  // with a line for that
};

LineTable line_table(const LocusSet& loci, bool designated, const std::vector<uint32_t>& allele_lines) {
  LineTable table;
  table.designated = designated;
  for (uint32_t p = 0; p < allele_lines.size(); ++p) {
    if (!loci.has(p)) {
      table.base.push_back(0);
      continue;
    }
    table.lines += designated;
    table.base.push_back(static_cast<uint16_t>(table.lines));
    table.lines += 1 + allele_lines[p];
  }
  if (table.lines > UINT16_MAX) throw std::invalid_argument("more than 65,535 different alleles over all loci");
  return table;
}

// Gives the draft's rows their slots, sorted by (genotype at the key, row), and the group its lines.
void place_group(const Draft& draft, const uint32_t* rows, const Profiles& profiles, const std::vector<Route>& route,
                 const LineTable& table, uint64_t first_line, std::vector<uint32_t>& row_of_slot, DnaIndex& index) {
  DnaGroup group{};
  group.all = draft.all;
  group.any = draft.any;
  group.key_position = first_of(draft.all);
  group.first_line = first_line;
  group.first_block = static_cast<uint32_t>(row_of_slot.size() / kBlock);
  group.blocks = static_cast<uint32_t>((draft.to - draft.from + kBlock - 1) / kBlock);
  group.lines = table.lines;
  index.base.insert(index.base.end(), table.base.begin(), table.base.end());
  std::vector<uint64_t> keyed(draft.to - draft.from);
  const std::vector<size_t> column = key_columns(route, group.key_position);
  for (size_t i = draft.from; i < draft.to; ++i) {
    const uint32_t row = rows[i];
    uint64_t genotype = 0;
    if (group.key_position != kNoPosition) {
      const size_t part = profiles.part_of(row);
      const uint8_t* code = profiles.codes(part, row) + 2 * column[part];
      genotype = static_cast<uint64_t>(code[0] << 8 | code[1]);
    }
    keyed[i - draft.from] = genotype << 32 | row;
  }
  std::sort(keyed.begin(), keyed.end());
  for (size_t i = 0; i < keyed.size(); ++i) {
    if (i % kBlock == 0) index.first_key.push_back(static_cast<uint16_t>(keyed[i] >> 32));
    row_of_slot.push_back(static_cast<uint32_t>(keyed[i]));
  }
  row_of_slot.resize((size_t{group.first_block} + group.blocks) * kBlock, kEmptySlot);
  index.groups.push_back(group);
}

// Writes the codes and the bits of one block's profiles.
void fill_block(const Profiles& profiles, const std::vector<Route>& route, uint32_t g, uint32_t block,
                DnaIndex& index) {
  const DnaGroup& group = index.groups[g];
  const uint16_t* base = &index.base[size_t{g} * index.positions];
  const bool tail = g >= index.uniform_groups;
  uint64_t* lines =
      index.lines.data() + (group.first_line + uint64_t{block - group.first_block} * group.lines) * kLineWords;
  for (uint32_t i = 0; i < kBlock; ++i) {
    const size_t slot = size_t{block} * kBlock + i;
    const uint32_t row = index.row_of_slot[slot];
    if (row == kEmptySlot) break;
    const size_t part = profiles.part_of(row);
    const uint8_t* from = profiles.codes(part, row);
    uint8_t* codes = &index.codes[slot * index.stride];
    const uint64_t bit = uint64_t{1} << (i & 63);
    for (const auto& [column, p] : route[part]) {
      const uint8_t low = from[2 * column], high = from[2 * column + 1];
      codes[2 * p] = low;
      codes[2 * p + 1] = high;
      if (low < kDesignated) continue;
      const uint32_t first = index.allele_line[p * 256 + low], second = index.allele_line[p * 256 + high];
      uint64_t* word = lines + size_t{base[p]} * kLineWords + (i >> 6);
      word[size_t{first} * kLineWords] |= bit;
      word[first == second ? 0 : size_t{second} * kLineWords] |= bit;
      if (tail) *(word - kLineWords) |= bit;
    }
  }
}

void fill_blocks(const Profiles& profiles, const std::vector<Route>& route, unsigned threads, DnaIndex& index) {
  std::atomic<uint32_t> next{0};
  const auto work = [&] {
    for (uint32_t g; (g = next++) < index.groups.size();) {
      const DnaGroup& group = index.groups[g];
      for (uint32_t b = 0; b < group.blocks; ++b) fill_block(profiles, route, g, group.first_block + b, index);
    }
  };
  std::vector<std::thread> helpers;
  for (unsigned t = 1; t < threads; ++t) helpers.emplace_back(work);
  work();
  for (std::thread& helper : helpers) helper.join();
}

}  // namespace

DnaIndex build_dna_index(const std::vector<DnaPart>& parts, uint32_t loci, uint32_t rare_per_million,
                         unsigned threads) {
  if (loci > kMaxLoci) throw std::invalid_argument("more than " + std::to_string(kMaxLoci) + " loci in one index");
  const Profiles profiles(parts, loci);
  DnaIndex index;
  index.loci = loci;
  index.rows = profiles.rows();
  const Survey s = survey(profiles, loci);
  index.live = s.live;
  order_loci(s, index);
  const std::vector<uint32_t> allele_lines = number_lines(s, rare_per_million, index);
  const RowsBySet sorted = sort_by_set(s, index.order, loci);
  const std::vector<Route> route = routes(profiles, index);

  std::vector<uint32_t> row_of_slot, tail;
  uint64_t lines = 0;
  const auto place = [&](const Draft& draft, const std::vector<uint32_t>& rows, const LineTable& table) {
    place_group(draft, rows.data(), profiles, route, table, lines, row_of_slot, index);
    lines += uint64_t{index.groups.back().lines} * index.groups.back().blocks;
  };
  for (const Draft& draft : uniform_groups(sorted))
    place(draft, sorted.rows, line_table(draft.any, false, allele_lines));
  index.uniform_groups = static_cast<uint32_t>(index.groups.size());
  const std::vector<Draft> tail_drafts = tail_groups(sorted, tail);
  LocusSet tail_loci;
  for (const Draft& draft : tail_drafts) tail_loci = either(tail_loci, draft.any);
  const LineTable tail_table = line_table(tail_loci, true, allele_lines);
  for (const Draft& draft : tail_drafts) place(draft, tail, tail_table);

  index.row_of_slot = Column<uint32_t>(row_of_slot.size());
  std::copy(row_of_slot.begin(), row_of_slot.end(), index.row_of_slot.data());
  index.codes = Column<uint8_t>(row_of_slot.size() * index.stride);
  index.lines = Column<uint64_t>(lines * kLineWords);
  fill_blocks(profiles, route, threads, index);
  return index;
}

size_t DnaIndex::bytes() const {
  return lines.bytes() + codes.bytes() + row_of_slot.bytes() + base.size() * sizeof base[0] +
         first_key.size() * sizeof first_key[0] + groups.size() * sizeof groups[0] + allele_line.size();
}

}  // namespace pcc
