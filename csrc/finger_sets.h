// Packed sets of minutiae as columns (pcc_match/finger/columns.py), and comparisons of many of them.
#pragma once
#include <cstddef>
#include <cstdint>

#include "finger_kernels.h"

namespace pcc {

// Minutiae stand set by set, each set from a multiple of 8 on; the words of a set from kPccWords times its start on.
struct FingerColumns {
  const uint32_t* start;  // [sets + 1]
  const uint8_t* count;   // [sets]
  const int16_t *left, *top;
  const uint8_t* cell;
  const uint64_t* order;
  const uint32_t* area;  // [sets][kPccCells]
  const uint32_t* words;
  const uint16_t* inverse;
  const int16_t *x, *y;
  const uint8_t* direction;
  size_t sets;

  PccFingerSet set(size_t k) const {
    const size_t at = start[k];
    return {words + at * kPccWords,  inverse + at, x + at, y + at,  direction + at, area + k * kPccCells, count[k],
            start[k + 1] - start[k], left[k],      top[k], cell[k], order[k]};
  }
};

// scores[probe - first][reference] = sum over all pairs of a set of the probe and a set of the reference; a template
// has the sets from its entry in `*_sets` to the next one. References that are not `wanted`, if any are named, have 0.
void score_fingers(const FingerColumns& probes, const uint32_t* probe_sets, size_t first, size_t last,
                   const FingerColumns& references, const uint32_t* reference_sets, size_t reference_count,
                   const uint8_t* wanted, uint32_t mode, FingerStage last_stage, int32_t* scores);

}  // namespace pcc
