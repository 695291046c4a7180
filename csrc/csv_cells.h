// Delimiter-separated text to numbers: every cell becomes the number of its text among the distinct texts.
//
// A file of DNA profiles repeats a few hundred texts ("12", "9.3", "NULL") millions of times. Here the file is split
// and its cells are numbered; whoever knows what a text means then looks at each distinct one once.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pcc {

// Splits a text into records and cells: RFC 4180, and where that is silent (quotes inside a cell, text behind a closing
// quote, lone carriage returns) what Python's csv module does. Records of empty cells, blank lines too, are skipped.
//
// A quote that is closed neither by the end of the text nor within kMaxRecord does not swallow the rows behind it: the
// line that opens it is reported, and up to the place where the search ended no quote spans lines.
class CsvSplitter {
 public:
  static constexpr size_t kMaxRecord = size_t{1} << 20;  // bytes; no row of profiles is longer

  // `last`: nothing follows `text`, so its final record needs no line end.
  CsvSplitter(std::string_view text, char delimiter, bool last);

  enum class Found {
    record,
    unclosed_quote,  // a line, and the cells before the one that opens the quote
    too_long,        // a line longer than kMaxRecord
    none,            // the text ends here, or in the middle of a record
  };
  Found next();

  // The record found; valid until the next call.
  const std::vector<std::string_view>& cells() const { return cells_; }  // without quotes
  size_t begin() const { return begin_; }                                // its text, without the line end
  size_t end() const { return end_; }
  uint64_t line() const { return line_; }  // line ends of the text before it

  // Bytes that the records found so far take, with their line ends, and the number of these.
  size_t consumed() const { return consumed_; }
  uint64_t consumed_lines() const { return consumed_lines_; }

 private:
  Found next_record();
  Found split(bool quotes_span_lines);
  bool split_quoted(const char*& p, const char* stop, bool quotes_span_lines);
  void skip_cell(const char*& p, const char* stop) const;
  void consume_line_end();

  std::string_view text_;
  bool last_;
  bool ends_cell_[256] = {};
  std::vector<std::string_view> cells_;
  std::string unquoted_;  // the record's quoted cells, one behind the other
  size_t begin_ = 0, end_ = 0, consumed_ = 0, one_line_until_ = 0;
  uint64_t line_ = 0, consumed_lines_ = 0;
};

// Distinct texts in order of first appearance; text 0 is the empty one.
class DistinctTexts {
 public:
  static constexpr size_t kMaxTexts = size_t{1} << 16;

  DistinctTexts();
  uint16_t number(std::string_view text);  // a new text is added; the caller sees to it that there is room
  size_t size() const { return offsets.size() - 1; }

  std::string heap;  // text i is heap[offsets[i] .. offsets[i + 1])
  std::vector<uint64_t> offsets;

 private:
  struct Slot {
    uint64_t key;  // 0: free
    uint16_t number;
  };
  size_t home(uint64_t key) const;
  void grow();

  std::vector<Slot> slots_;  // open addressing, at most half full
  unsigned shift_;           // a key's slot is in the top bits of its product with a secret
};

// The cells of a column of the file go to this place in the rows of a table; table -1: they are read over.
struct CsvColumn {
  int32_t table;
  uint32_t position;
};

struct CsvTable {
  uint32_t width;
  DistinctTexts texts;
  std::vector<uint16_t> numbers;  // rows x width; 0 (the empty text) where no column goes
};

struct CsvRows {
  std::vector<uint64_t> begin, end;  // each row's text, without the line end
  std::vector<uint64_t> line;        // line ends before the row
  std::vector<int32_t> cells;        // how many the row has; -1: a quote is not closed, cells up to there are numbered
  std::vector<CsvTable> tables;
  size_t consumed;  // bytes and line ends that the rows take; what follows is for the next call
  uint64_t lines;
  bool too_long;  // a line longer than kMaxRecord follows
};

// At most `max_rows` rows from the start of `text`, and fewer where a table has no room for another row: a table's
// width must be below DistinctTexts::kMaxTexts.
CsvRows read_csv_rows(std::string_view text, char delimiter, bool last, const std::vector<CsvColumn>& columns,
                      const std::vector<uint32_t>& widths, size_t max_rows);

}  // namespace pcc
