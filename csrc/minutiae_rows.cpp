#include "minutiae_rows.h"

namespace pcc {
namespace {

constexpr char kNextMinutia = 0x1E, kNextItem = 0x1F;

struct Cursor {
  const char* at;
  const char* end;

  bool done() const { return at == end; }
  bool take(char c) {
    if (done() || *at != c) return false;
    ++at;
    return true;
  }
  // Between `least` and `most` digits, and no digit behind them.
  bool number(int least, int most, std::int32_t* value) {
    std::int32_t sum = 0;
    int digits = 0;
    for (; digits < most && digit(); ++at, ++digits) sum = sum * 10 + (*at - '0');
    *value = sum;
    return digits >= least && !digit();
  }
  bool exactly(int digits, std::int32_t* value) {
    std::int32_t sum = 0;
    for (; digits > 0 && digit(); --digits, ++at) sum = sum * 10 + (*at - '0');
    *value = sum;
    return digits == 0;
  }
  bool digit() const { return !done() && *at >= '0' && *at <= '9'; }
};

// "index US XXXXYYYYTTT US grade US letter", then ridge counts: "index,count" (standard) or up to 8 digits (IAFIS).
bool xyt_row(Cursor* c, bool iafis, std::int32_t* row) {
  std::int32_t index, other;
  if (!c->number(1, 4, &index) || !c->take(kNextItem)) return false;
  if (!c->exactly(4, &row[0]) || !c->exactly(4, &row[1]) || !c->exactly(3, &row[2]) || row[2] > 359) return false;
  if (!c->take(kNextItem) || !c->number(1, 2, &row[4]) || row[4] > 63 || !c->take(kNextItem)) return false;
  if (c->done() || *c->at < 'A' || *c->at > 'D') return false;
  row[3] = *c->at++ - 'A';
  while (c->take(kNextItem)) {
    if (iafis) {
      if (!c->number(0, 8, &other)) return false;
    } else if (c->digit() && !(c->number(1, 4, &index) && c->take(',') && c->number(1, 3, &other))) {
      return false;
    }
  }
  return true;
}

// "index US x US y US angle US type US quality".
bool m1_row(Cursor* c, std::int32_t* row) {
  std::int32_t index;
  return c->number(1, 4, &index) && c->take(kNextItem) && c->number(1, 5, &row[0]) && c->take(kNextItem) &&
         c->number(1, 5, &row[1]) && c->take(kNextItem) && c->number(1, 3, &row[2]) && row[2] < 180 &&
         c->take(kNextItem) && c->number(1, 1, &row[3]) && row[3] < 3 && c->take(kNextItem) &&
         c->number(1, 3, &row[4]) && (row[4] <= 100 || row[4] == 254 || row[4] == 255);
}

}  // namespace

std::vector<std::int32_t> minutiae_rows(const char* text, std::size_t size, MinutiaeForm form) {
  std::vector<std::int32_t> rows;
  Cursor cursor{text, text + size};
  do {
    std::int32_t row[5];
    const bool usual =
        form == MinutiaeForm::kM1 ? m1_row(&cursor, row) : xyt_row(&cursor, form == MinutiaeForm::kIafis, row);
    if (!usual || !(cursor.done() || *cursor.at == kNextMinutia)) return {};
    rows.insert(rows.end(), row, row + 5);
  } while (cursor.take(kNextMinutia));
  return rows;
}

}  // namespace pcc
