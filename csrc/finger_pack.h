// Sets of minutiae into what comparisons read: cylinders, their norms, the area of the print. The only place where
// that is done; all of it with integers, so that every machine makes the same template of the same minutiae.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "compare_finger.h"

namespace pcc {

struct RawMinutiae {
  const int16_t *x, *y;    // pixels at 500 ppi, y down
  const uint8_t* angle;    // 256 a turn, counter-clockwise
  const uint8_t* quality;  // 0 not reported
  uint32_t count;
};

// The minutiae that a packed set keeps: all, or of too many (128, or more than 64 and one on 1100 square pixels) the
// best, of equal ones the most central. They come sorted by direction (clockwise), so that comparisons with a limit of
// rotation find those they need side by side.
std::vector<uint32_t> choose_minutiae(const RawMinutiae& minutiae);

// Room for one set. Arrays of `stride` = count rounded up to 8 elements, `words` of kPccWords times as many; zeroed.
struct FingerRoom {
  uint32_t* words;
  uint16_t* inverse;
  int16_t *x, *y;
  uint8_t* direction;
  uint32_t* area;  // [kPccCells]
  int16_t *left, *top;
  uint8_t* cell;
  uint64_t* order;
};
void pack_minutiae(const RawMinutiae& minutiae, const std::vector<uint32_t>& chosen, const FingerRoom& room);

}  // namespace pcc
