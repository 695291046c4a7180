#include "ids.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>

namespace pcc {
namespace {

size_t common_prefix(std::string_view a, std::string_view b, size_t limit) {
  limit = std::min({limit, a.size(), b.size()});
  size_t n = 0;
  while (n < limit && a[n] == b[n]) ++n;
  return n;
}

// Eight bytes after the common prefix, as a number that orders as the bytes do; shorter ids are filled with zeros, so
// equal keys decide nothing and the whole ids are compared.
uint64_t key_of(std::string_view id, size_t skip) {
  uint64_t key = 0;
  const size_t n = std::min<size_t>(8, id.size() - skip);
  for (size_t i = 0; i < n; ++i) key |= uint64_t(uint8_t(id[skip + i])) << (56 - 8 * i);
  return key;
}

// Spreads well in its high bits too: the place in the table is taken from them.
uint32_t tag_of(std::string_view id) {
  const uint64_t hash = std::hash<std::string_view>{}(id);
  return uint32_t((hash * 0x9E3779B97F4A7C15u) >> 32);
}

}  // namespace

void sort_ids(const IdColumn& ids, uint32_t* order, uint8_t* first) {
  const uint32_t n = ids.count;
  for (uint32_t i = 0; i < n; ++i) order[i] = i;
  if (n == 0) return;
  bool sorted = true;
  size_t skip = ids[0].size();
  for (uint32_t i = 1; i < n; ++i) {
    if (sorted) sorted = ids[i - 1] <= ids[i];
    skip = common_prefix(ids[0], ids[i], skip);
  }
  if (!sorted) {
    struct Key {
      uint64_t key;
      uint32_t row;
    };
    std::vector<Key> keys(n);
    for (uint32_t i = 0; i < n; ++i) keys[i] = {key_of(ids[i], skip), i};
    std::sort(keys.begin(), keys.end(), [&](const Key& a, const Key& b) {
      if (a.key != b.key) return a.key < b.key;
      const int by_id = ids[a.row].compare(ids[b.row]);
      return by_id != 0 ? by_id < 0 : a.row < b.row;
    });
    for (uint32_t i = 0; i < n; ++i) order[i] = keys[i].row;
  }
  first[0] = 1;
  for (uint32_t i = 1; i < n; ++i) first[i] = ids[order[i - 1]] != ids[order[i]];
}

void rank_ids(const std::vector<IdColumn>& columns, uint32_t* ranks) {
  struct Head {
    uint64_t key;
    uint32_t column;
    uint32_t row;
  };
  std::vector<Head> heap;
  std::vector<uint32_t*> out;
  size_t skip = SIZE_MAX;
  std::string_view any;
  for (const IdColumn& ids : columns) {
    out.push_back(ranks);
    ranks += ids.count;
    for (uint32_t i = 1; i < ids.count; ++i)
      if (ids[i - 1] >= ids[i]) throw std::invalid_argument("ids are not sorted at row " + std::to_string(i));
    if (ids.count == 0) continue;
    if (skip == SIZE_MAX) any = ids[0];
    skip = common_prefix(any, ids[0], skip);  // a sorted column's first and last id bound all between
    skip = common_prefix(any, ids[ids.count - 1], skip);
  }
  const auto later = [&](const Head& a, const Head& b) {
    if (a.key != b.key) return a.key > b.key;
    return columns[a.column][a.row] > columns[b.column][b.row];
  };
  // Moves to the column's next live row; false at its end.
  const auto advance = [&](Head& head, uint32_t row) {
    const IdColumn& ids = columns[head.column];
    for (; row < ids.count && !ids.alive(row); ++row) out[head.column][row] = kNoRow;
    if (row == ids.count) return false;
    head.row = row;
    head.key = key_of(ids[row], skip);
    return true;
  };
  for (uint32_t c = 0; c < columns.size(); ++c) {
    Head head{0, c, 0};
    if (advance(head, 0)) heap.push_back(head);
  }
  std::make_heap(heap.begin(), heap.end(), later);
  uint32_t count = 0, rank = 0;
  for (Head before{}; !heap.empty(); ++count) {
    Head& top = heap.front();
    const bool same =
        count && top.key == before.key && columns[top.column][top.row] == columns[before.column][before.row];
    if (!same) rank = count;
    out[top.column][top.row] = rank;
    before = top;
    if (!advance(top, top.row + 1)) {
      std::pop_heap(heap.begin(), heap.end(), later);
      heap.pop_back();
      continue;
    }
    for (size_t hole = 0;;) {  // sift the advanced head down
      size_t child = 2 * hole + 1;
      if (child >= heap.size()) break;
      if (child + 1 < heap.size() && later(heap[child], heap[child + 1])) ++child;
      if (!later(heap[hole], heap[child])) break;
      std::swap(heap[hole], heap[child]);
      hole = child;
    }
  }
}

std::string_view IdIndex::id_of(uint32_t row) const {
  const auto next = std::upper_bound(parts_.begin(), parts_.end(), row,
                                     [](uint32_t value, const Part& part) { return value < part.first_row; });
  const Part& part = *(next - 1);
  return part.ids[row - part.first_row];
}

size_t IdIndex::home_of(uint32_t tag) const { return size_t((uint64_t(tag) * slots_.size()) >> 32); }

size_t IdIndex::slot_of(uint32_t tag, std::string_view id) const {
  size_t slot = home_of(tag);
  while (slots_[slot].row != kNoRow && (slots_[slot].tag != tag || id_of(slots_[slot].row) != id))
    if (++slot == slots_.size()) slot = 0;
  return slot;
}

// At most 3 of 4 slots used; grows by half, so never less than 1 of 2: 10.7 to 16 bytes an id.
void IdIndex::reserve(size_t ids) {
  if (ids * 4 <= slots_.size() * 3) return;
  std::vector<Slot> old(std::max<size_t>({64, slots_.size() + slots_.size() / 2, ids * 4 / 3 + 1}), Slot{0, kNoRow});
  old.swap(slots_);
  for (const Slot& entry : old) {
    if (entry.row == kNoRow) continue;
    size_t slot = home_of(entry.tag);
    while (slots_[slot].row != kNoRow)
      if (++slot == slots_.size()) slot = 0;
    slots_[slot] = entry;
  }
}

// The table is larger than any cache: a batch of slots is on its way before the first is read.
template <typename Body>
void IdIndex::for_each_tag(const IdColumn& ids, Body body) const {
  constexpr uint32_t kAhead = 32;
  uint32_t tags[kAhead];
  for (uint32_t start = 0; start < ids.count; start += kAhead) {
    const uint32_t n = std::min(kAhead, ids.count - start);
    for (uint32_t k = 0; k < n; ++k) {
      tags[k] = tag_of(ids[start + k]);
      __builtin_prefetch(&slots_[home_of(tags[k])]);
    }
    for (uint32_t k = 0; k < n; ++k) body(start + k, tags[k]);
  }
}

void IdIndex::add(const IdColumn& ids, uint32_t first_row) {
  if (!parts_.empty() && first_row < parts_.back().first_row + parts_.back().ids.count)
    throw std::invalid_argument("ids must be added in row order");
  if (ids.count == 0) return;
  if (uint64_t(first_row) + ids.count > kNoRow) throw std::invalid_argument("more than 2^32 - 1 rows");
  parts_.push_back({{ids.heap, ids.offsets, ids.count, nullptr}, first_row});
  reserve(used_ + ids.count);
  for_each_tag(ids, [&](uint32_t i, uint32_t tag) {
    if (!ids.alive(i)) return;
    Slot& slot = slots_[slot_of(tag, ids[i])];
    used_ += slot.row == kNoRow;
    slot = {tag, first_row + i};
  });
}

void IdIndex::find(const IdColumn& ids, uint32_t* rows) const {
  if (used_ == 0) {
    std::fill(rows, rows + ids.count, kNoRow);
    return;
  }
  for_each_tag(ids, [&](uint32_t i, uint32_t tag) { rows[i] = slots_[slot_of(tag, ids[i])].row; });
}

}  // namespace pcc
