// The comparison of two sets of minutiae at the instruction-set level in use; equal to pcc_compare_fingers() at each.
#pragma once
#include <cstdint>

#include "compare_finger.h"

namespace pcc {

// The stages of a comparison. Benchmarks cut it short after one of them to see what each costs; its result is a score
// only after the last. The portable level always goes all the way.
enum FingerStage : uint32_t { kNoStage, kResemblances, kCandidates, kAgreement, kAcceptance, kScore };

using CompareFingers = int32_t (*)(const PccFingerSet& one, const PccFingerSet& other, uint32_t mode, FingerStage last);
CompareFingers finger_kernel();

}  // namespace pcc
