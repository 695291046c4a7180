// The comparison of two sets of minutiae at the instruction-set level in use; equal to pcc_compare_fingers() at each.
#pragma once
#include <cstdint>

#include "compare_finger.h"

namespace pcc {

using CompareFingers = int32_t (*)(const PccFingerSet& one, const PccFingerSet& other, uint32_t mode);
CompareFingers finger_kernel();

}  // namespace pcc
