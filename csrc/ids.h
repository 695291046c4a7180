// Ids of records as bytes: sorting, ranks over sorted segments, and the writer's index. Order is bytewise everywhere.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace pcc {

constexpr uint32_t kNoRow = 0xFFFFFFFFu;

// `count` ids: id i is heap[offsets[i] .. offsets[i + 1]). `live` may be null: all rows count.
struct IdColumn {
  const uint8_t* heap;
  const uint64_t* offsets;
  uint32_t count;
  const uint8_t* live;

  std::string_view operator[](uint32_t row) const {
    return {reinterpret_cast<const char*>(heap) + offsets[row], static_cast<size_t>(offsets[row + 1] - offsets[row])};
  }
  bool alive(uint32_t row) const { return live == nullptr || live[row] != 0; }
};

// order: rows by id, equal ids in row order; first[k] = 1 where order[k] is the first row with its id.
void sort_ids(const IdColumn& ids, uint32_t* order, uint8_t* first);

// ranks: for each row of the columns one after the other, how many live ids are bytewise smaller; kNoRow for dead rows.
// Each column must be sorted, strictly: std::invalid_argument.
void rank_ids(const std::vector<IdColumn>& columns, uint32_t* ranks);

// id -> row number, for the single writer: 8 bytes a slot, at most 16 bytes an id. It does not own the ids: the columns
// that were added must stay mapped. A slot keeps 32 bits of the hash; the bytes decide.
class IdIndex {
 public:
  // Live ids get the rows first_row, first_row + 1, ... ; an id seen before moves to its new row.
  void add(const IdColumn& ids, uint32_t first_row);
  // rows[i] = row of ids[i] or kNoRow.
  void find(const IdColumn& ids, uint32_t* rows) const;
  size_t size() const { return used_; }

 private:
  struct Slot {
    uint32_t tag;
    uint32_t row;
  };
  struct Part {
    IdColumn ids;
    uint32_t first_row;
  };
  std::string_view id_of(uint32_t row) const;
  size_t home_of(uint32_t tag) const;
  size_t slot_of(uint32_t tag, std::string_view id) const;  // the id's slot, or the free one where it belongs
  void reserve(size_t ids);
  template <typename Body>
  void for_each_tag(const IdColumn& ids, Body body) const;  // body(i, tag of ids[i])

  std::vector<Slot> slots_;
  std::vector<Part> parts_;  // by first_row, ascending
  size_t used_ = 0;
};

}  // namespace pcc
