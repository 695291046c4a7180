#include "finger_sets.h"

namespace pcc {

void score_fingers(const FingerColumns& probes, const uint32_t* probe_sets, size_t first, size_t last,
                   const FingerColumns& references, const uint32_t* reference_sets, size_t reference_count,
                   const uint8_t* wanted, uint32_t mode, FingerStage last_stage, int32_t* scores) {
  const CompareFingers compare = finger_kernel();
  for (size_t p = first; p < last; ++p)
    for (size_t r = 0; r < reference_count; ++r) {
      int32_t sum = 0;
      if (wanted && !wanted[r]) {
        *scores++ = 0;
        continue;
      }
      for (size_t i = probe_sets[p]; i < probe_sets[p + 1]; ++i)
        for (size_t j = reference_sets[r]; j < reference_sets[r + 1]; ++j)
          sum += compare(probes.set(i), references.set(j), mode, last_stage);
      *scores++ = sum;
    }
}

}  // namespace pcc
