#include "csv_cells.h"

#include <algorithm>
#include <cstring>
#include <random>

namespace pcc {
namespace {

bool is_line_end(char c) { return c == '\n' || c == '\r'; }

// Up to 8 bytes as a number, without reading beyond them.
uint64_t load(const char* p, size_t size) {
  if (size >= 4) {
    uint32_t low, high;
    std::memcpy(&low, p, 4);
    std::memcpy(&high, p + size - 4, 4);
    return low | uint64_t{high} << 8 * (size - 4);
  }
  if (size >= 2) {
    uint16_t low, high;
    std::memcpy(&low, p, 2);
    std::memcpy(&high, p + size - 2, 2);
    return low | uint64_t{high} << 8 * (size - 2);
  }
  return size ? static_cast<unsigned char>(*p) : 0;
}

// Without this number nobody can write a file whose texts all collide. The results do not depend on it.
const uint64_t kSecret = [] {
  std::random_device device;
  return uint64_t{device()} << 32 | device() | 1;
}();

constexpr size_t kShort = 7;  // texts up to this size are their own key

uint64_t key_of(std::string_view text) {
  if (text.size() <= kShort) return load(text.data(), text.size()) | uint64_t{text.size()} << 56;
  uint64_t hash = text.size();
  for (size_t at = 0; at < text.size(); at += 8) {
    hash = (hash ^ load(text.data() + at, std::min<size_t>(8, text.size() - at))) * kSecret;
    hash ^= hash >> 32;
  }
  return hash | uint64_t{0xFF} << 56;
}

}  // namespace

CsvSplitter::CsvSplitter(std::string_view text, char delimiter, bool last) : text_(text), last_(last) {
  if (!last && !text_.empty() && text_.back() == '\r') text_.remove_suffix(1);  // its line feed may follow
  for (char c : {delimiter, '\n', '\r'}) ends_cell_[static_cast<unsigned char>(c)] = true;
  unquoted_.reserve(kMaxRecord);  // cells_ points into it
}

CsvSplitter::Found CsvSplitter::next() {
  const auto is_empty = [](std::string_view cell) { return cell.empty(); };
  Found found;
  do {
    found = next_record();
  } while (found == Found::record && std::all_of(cells_.begin(), cells_.end(), is_empty));
  return found;
}

CsvSplitter::Found CsvSplitter::next_record() {
  begin_ = consumed_;
  line_ = consumed_lines_;
  if (begin_ == text_.size()) return Found::none;
  Found found = split(begin_ >= one_line_until_);
  if ((found == Found::unclosed_quote || found == Found::too_long) && begin_ >= one_line_until_) {
    one_line_until_ = std::min(begin_ + kMaxRecord, text_.size());
    found = split(false);
  }
  if (found == Found::too_long || found == Found::none) return found;
  if (unquoted_.empty()) consumed_ = end_;  // else the record may have line ends of its own
  while (consumed_ < end_) {
    if (is_line_end(text_[consumed_]))
      consume_line_end();
    else
      ++consumed_;
  }
  if (end_ < text_.size()) consume_line_end();
  return found;
}

CsvSplitter::Found CsvSplitter::split(bool quotes_span_lines) {
  cells_.clear();
  unquoted_.clear();
  const char* const stop = text_.data() + std::min(begin_ + kMaxRecord, text_.size());
  const bool cut = stop != text_.data() + text_.size();
  for (const char* p = text_.data() + begin_;; ++p) {
    bool closed = true;
    if (p != stop && *p == '"') {
      closed = split_quoted(p, stop, quotes_span_lines);
    } else {
      const char* const cell = p;
      skip_cell(p, stop);
      cells_.emplace_back(cell, p - cell);
    }
    if (p == stop && cut) return Found::too_long;
    if (p == stop && !last_) return Found::none;
    end_ = p - text_.data();
    if (!closed) return Found::unclosed_quote;
    if (p == stop || is_line_end(*p)) return Found::record;
  }
}

// From the opening quote at `p` to the end of the cell. False where no closing quote is found; then p is where the
// search ended.
bool CsvSplitter::split_quoted(const char*& p, const char* stop, bool quotes_span_lines) {
  const size_t start = unquoted_.size();
  for (bool pair = true; pair;) {
    const char* const part = ++p;
    while (p != stop && *p != '"' && (quotes_span_lines || !is_line_end(*p))) ++p;
    if (p == stop || *p != '"') return false;
    pair = p + 1 != stop && p[1] == '"';
    unquoted_.append(part, p + pair);  // of a pair of quotes, the first
    ++p;
  }
  const char* const rest = p;
  skip_cell(p, stop);
  unquoted_.append(rest, p);
  cells_.emplace_back(unquoted_.data() + start, unquoted_.size() - start);
  return true;
}

void CsvSplitter::skip_cell(const char*& p, const char* stop) const {
  while (p != stop && !ends_cell_[static_cast<unsigned char>(*p)]) ++p;
}

void CsvSplitter::consume_line_end() {
  const char first = text_[consumed_++];
  if (first == '\r' && consumed_ < text_.size() && text_[consumed_] == '\n') ++consumed_;
  ++consumed_lines_;
}

DistinctTexts::DistinctTexts() : offsets{0, 0}, slots_(1024), shift_(64 - 10) {}

size_t DistinctTexts::home(uint64_t key) const { return key * kSecret >> shift_; }

uint16_t DistinctTexts::number(std::string_view text) {
  if (text.empty()) return 0;
  const uint64_t key = key_of(text);
  size_t at = home(key);
  for (; slots_[at].key != 0; at = (at + 1) & (slots_.size() - 1)) {
    const size_t i = slots_[at].number;
    if (slots_[at].key == key &&
        (text.size() <= kShort || text == std::string_view(heap).substr(offsets[i], offsets[i + 1] - offsets[i])))
      return slots_[at].number;
  }
  const auto number = static_cast<uint16_t>(size());
  slots_[at] = {key, number};
  heap += text;
  offsets.push_back(heap.size());
  if (2 * size() > slots_.size()) grow();
  return number;
}

void DistinctTexts::grow() {
  std::vector<Slot> old(2 * slots_.size());
  old.swap(slots_);
  --shift_;
  for (const Slot& slot : old) {
    if (slot.key == 0) continue;
    size_t at = home(slot.key);
    while (slots_[at].key != 0) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = slot;
  }
}

CsvRows read_csv_rows(std::string_view text, char delimiter, bool last, const std::vector<CsvColumn>& columns,
                      const std::vector<uint32_t>& widths, size_t max_rows) {
  CsvRows rows{};
  for (uint32_t width : widths) rows.tables.push_back({width, {}, {}});
  const auto room = [](const CsvTable& table) { return table.texts.size() + table.width <= DistinctTexts::kMaxTexts; };
  std::vector<uint16_t*> row(widths.size());
  CsvSplitter splitter(text, delimiter, last);
  while (rows.cells.size() < max_rows && std::all_of(rows.tables.begin(), rows.tables.end(), room)) {
    const CsvSplitter::Found found = splitter.next();
    rows.too_long = found == CsvSplitter::Found::too_long;
    if (rows.too_long || found == CsvSplitter::Found::none) break;

    rows.begin.push_back(splitter.begin());
    rows.end.push_back(splitter.end());
    rows.line.push_back(splitter.line());
    for (size_t t = 0; t < rows.tables.size(); ++t) {
      CsvTable& table = rows.tables[t];
      table.numbers.resize(table.numbers.size() + table.width);
      row[t] = table.numbers.data() + table.numbers.size() - table.width;
    }
    const auto& cells = splitter.cells();
    rows.cells.push_back(found == CsvSplitter::Found::record ? static_cast<int32_t>(cells.size()) : -1);
    for (size_t i = 0; i < std::min(cells.size(), columns.size()); ++i) {
      const auto [table, position] = columns[i];
      if (table >= 0) row[table][position] = rows.tables[table].texts.number(cells[i]);
    }
  }
  rows.consumed = splitter.consumed();
  rows.lines = splitter.consumed_lines();
  return rows;
}

}  // namespace pcc
