// Compiles the comparison once for each instruction-set level; isa.h says which one runs. The portable level is the
// definition itself.
#include "finger_kernels.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "isa.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // in GCC's own AVX-512 headers
#endif

#define PCC_INLINE inline __attribute__((always_inline))

namespace pcc {

namespace portable {

static int32_t compare(const PccFingerSet& one, const PccFingerSet& other, uint32_t mode, FingerStage) {
  PccFingerResult result;
  pcc_compare_fingers(one, other, mode, result);
  return result.score;
}

}  // namespace portable

#if defined(__x86_64__)

namespace {

struct Lanes {
  alignas(64) uint32_t of32[kPccMinutiae + 32];
  alignas(64) uint16_t of16[kPccMinutiae + 32];
  constexpr Lanes() : of32(), of16() {
    for (uint32_t k = 0; k < kPccMinutiae + 32; ++k) of32[k] = k, of16[k] = static_cast<uint16_t>(k);
  }
};
constexpr Lanes kLanes{};
constexpr const uint32_t* kLane32 = kLanes.of32;
constexpr const uint16_t* kLane16 = kLanes.of16;

struct Similarities {
  uint8_t of[512];
  Similarities() {
    for (uint32_t cosine = 0; cosine < 512; ++cosine) of[cosine] = static_cast<uint8_t>(pcc_similarity(cosine));
  }
};
const Similarities kSimilarity;

}  // namespace

// What both levels do with 16 bytes: SSE4.1.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,popcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,popcnt")
#endif
namespace sse {

// The largest and second largest key of eight lanes' largest and second largest.
PCC_INLINE PccBest two_best(__m128i first, __m128i second) {
  const auto fold = [&](__m128i other_first, __m128i other_second) __attribute__((always_inline)) {
    second = _mm_max_epu16(_mm_max_epu16(second, other_second), _mm_min_epu16(first, other_first));
    first = _mm_max_epu16(first, other_first);
  };
  fold(_mm_srli_si128(first, 8), _mm_srli_si128(second, 8));
  fold(_mm_srli_si128(first, 4), _mm_srli_si128(second, 4));
  fold(_mm_srli_si128(first, 2), _mm_srli_si128(second, 2));
  return {static_cast<pcc_u16>(_mm_extract_epi16(first, 0)), static_cast<pcc_u16>(_mm_extract_epi16(second, 0))};
}

}  // namespace sse

namespace avx2 {

using V = __m256i;
constexpr uint32_t kLanes16 = 16, kLanes32 = 8;

PCC_INLINE V load(const void* p) { return _mm256_loadu_si256(static_cast<const V*>(p)); }
PCC_INLINE void store(void* p, V v) { _mm256_storeu_si256(static_cast<V*>(p), v); }
PCC_INLINE V zero() { return _mm256_setzero_si256(); }
PCC_INLINE V set16(int16_t v) { return _mm256_set1_epi16(v); }
PCC_INLINE V set32(int32_t v) { return _mm256_set1_epi32(v); }
PCC_INLINE V set_pair16(const int16_t* two) {
  int32_t both;
  std::memcpy(&both, two, sizeof both);
  return set32(both);
}
PCC_INLINE V and_v(V a, V b) { return _mm256_and_si256(a, b); }
PCC_INLINE V or_v(V a, V b) { return _mm256_or_si256(a, b); }
PCC_INLINE V add16(V a, V b) { return _mm256_add_epi16(a, b); }
PCC_INLINE V sub16(V a, V b) { return _mm256_sub_epi16(a, b); }
PCC_INLINE V add32(V a, V b) { return _mm256_add_epi32(a, b); }
PCC_INLINE V sub32(V a, V b) { return _mm256_sub_epi32(a, b); }
PCC_INLINE V subs_u16(V a, V b) { return _mm256_subs_epu16(a, b); }
PCC_INLINE V adds_s16(V a, V b) { return _mm256_adds_epi16(a, b); }
PCC_INLINE V subs_s16(V a, V b) { return _mm256_subs_epi16(a, b); }
PCC_INLINE V mul16(V a, V b) { return _mm256_mullo_epi16(a, b); }
PCC_INLINE V mul32(V a, V b) { return _mm256_mullo_epi32(a, b); }
PCC_INLINE V mulhi_u16(V a, V b) { return _mm256_mulhi_epu16(a, b); }
PCC_INLINE V mulhrs16(V a, V b) { return _mm256_mulhrs_epi16(a, b); }
PCC_INLINE V madd16(V a, V b) { return _mm256_madd_epi16(a, b); }
PCC_INLINE V min_s16(V a, V b) { return _mm256_min_epi16(a, b); }
PCC_INLINE V max_s16(V a, V b) { return _mm256_max_epi16(a, b); }
PCC_INLINE V min_u16(V a, V b) { return _mm256_min_epu16(a, b); }
PCC_INLINE V min_s32(V a, V b) { return _mm256_min_epi32(a, b); }
PCC_INLINE V max_s32(V a, V b) { return _mm256_max_epi32(a, b); }
PCC_INLINE V abs16(V v) { return _mm256_abs_epi16(v); }
template <int n>
PCC_INLINE V sll16(V v) {
  return _mm256_slli_epi16(v, n);
}
template <int n>
PCC_INLINE V srl16(V v) {
  return _mm256_srli_epi16(v, n);
}
template <int n>
PCC_INLINE V sra16(V v) {
  return _mm256_srai_epi16(v, n);
}
template <int n>
PCC_INLINE V sll32(V v) {
  return _mm256_slli_epi32(v, n);
}
template <int n>
PCC_INLINE V srl32(V v) {
  return _mm256_srli_epi32(v, n);
}
using Mask = V;
PCC_INLINE Mask equal16(V a, V b) { return _mm256_cmpeq_epi16(a, b); }
PCC_INLINE Mask greater16(V a, V b) { return _mm256_cmpgt_epi16(a, b); }
// A mask as bits, kLaneBits of them for each lane; and how many lanes it has.
constexpr uint32_t kLaneBits = 2;
PCC_INLINE uint32_t lanes_of(Mask m) { return static_cast<uint32_t>(_mm256_movemask_epi8(m)) & 0x55555555; }
// In how many lanes of 32 bits a > b.
PCC_INLINE uint32_t greater32(V a, V b) {
  return static_cast<uint32_t>(__builtin_popcount(_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(a, b)))));
}
PCC_INLINE V blend16(Mask m, V yes, V no) { return _mm256_blendv_epi8(no, yes, m); }
PCC_INLINE V and_not(Mask m, V v) { return _mm256_andnot_si256(m, v); }
PCC_INLINE V zero_where_greater32(V a, V b, V v) { return _mm256_andnot_si256(_mm256_cmpgt_epi32(a, b), v); }
// The halves of lanes of 32 bits, those of `even` in even places.
PCC_INLINE V low_halves(V even, V odd) { return _mm256_blend_epi16(even, _mm256_slli_epi32(odd, 16), 0xAA); }
PCC_INLINE V high_halves(V even, V odd) { return _mm256_blend_epi16(_mm256_srli_epi32(even, 16), odd, 0xAA); }
PCC_INLINE V root32(V v) { return _mm256_cvttps_epi32(_mm256_sqrt_ps(_mm256_cvtepi32_ps(v))); }
PCC_INLINE V quotient32(V a, V b) {  // exact while |a| < 2^24 and |a / b| * b < 2^24
  return _mm256_cvttps_epi32(_mm256_div_ps(_mm256_cvtepi32_ps(a), _mm256_cvtepi32_ps(b)));
}
PCC_INLINE V tangent32(V low, V high) {
  const __m256 times = _mm256_mul_ps(_mm256_cvtepi32_ps(low), _mm256_set1_ps(255));
  return _mm256_cvttps_epi32(_mm256_div_ps(times, _mm256_cvtepi32_ps(high)));
}

// Lanes of 32 bits, the first `there` of which may be read, a multiple of 8.
PCC_INLINE V load_some(const uint32_t* p, uint32_t) { return load(p); }

// A full adder of bits: sum and carry.
struct Bits {
  V sum, carry;
};
PCC_INLINE Bits add_bits(V a, V b, V c) {
  const V either = _mm256_xor_si256(a, b);
  return {_mm256_xor_si256(either, c), or_v(and_v(a, b), and_v(either, c))};
}

// Bits that the cylinders in the lanes of `words` have in common with the one that starts at `other`. Added up to words
// of ones, twos and fours first, as tables count half the words then.
PCC_INLINE V common_bits(const V* words, const uint32_t* other, size_t stride) {
  const V nibble = _mm256_set1_epi8(15);
  const V table = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  const auto common = [&](uint32_t w) __attribute__((always_inline)) {
    return and_v(words[w], set32(static_cast<int32_t>(other[w * stride])));
  };
  const auto count = [&](V v) __attribute__((always_inline)) {
    return _mm256_add_epi8(_mm256_shuffle_epi8(table, and_v(v, nibble)),
                           _mm256_shuffle_epi8(table, and_v(_mm256_srli_epi16(v, 4), nibble)));
  };
  const Bits p = add_bits(common(0), common(1), common(2)), q = add_bits(common(3), common(4), common(5));
  const Bits r = add_bits(common(6), common(7), common(8));
  const Bits ones = add_bits(p.sum, q.sum, r.sum), twos = add_bits(p.carry, q.carry, r.carry);
  V bytes = _mm256_add_epi8(count(ones.carry), count(twos.sum));
  const V fours = count(twos.carry);
  bytes = _mm256_add_epi8(bytes, _mm256_add_epi8(fours, fours));
  bytes = _mm256_add_epi8(_mm256_add_epi8(bytes, bytes), _mm256_add_epi8(count(ones.sum), count(common(9))));
  return _mm256_madd_epi16(_mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1)), set16(1));
}

PCC_INLINE PccBest two_best(V first, V second) {
  return sse::two_best(_mm_packus_epi32(_mm256_castsi256_si128(first), _mm256_extracti128_si256(first, 1)),
                       _mm_packus_epi32(_mm256_castsi256_si128(second), _mm256_extracti128_si256(second, 1)));
}

// raw[p] = sum over q of agree[p][q] * weight[q], both at most 127, for 8 * groups rows.
PCC_INLINE void support(const uint8_t (*agree)[kPccLatentCandidates], const uint8_t* weight, uint32_t groups,
                        int32_t* raw) {
  const V w0 = load(weight), w1 = load(weight + 32), one = set16(1);
  for (uint32_t g = 0; g < groups; ++g) {
    V sum[8];
    for (uint32_t k = 0; k < 8; ++k) {
      const uint8_t* row = agree[8 * g + k];
      const V s0 = _mm256_madd_epi16(_mm256_maddubs_epi16(load(row), w0), one);
      sum[k] = _mm256_add_epi32(s0, _mm256_madd_epi16(_mm256_maddubs_epi16(load(row + 32), w1), one));
    }
    for (uint32_t k = 0; k < 4; ++k) sum[k] = _mm256_hadd_epi32(sum[2 * k], sum[2 * k + 1]);
    const V low = _mm256_hadd_epi32(sum[0], sum[1]), high = _mm256_hadd_epi32(sum[2], sum[3]);
    store(raw + 8 * g,
          _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20), _mm256_permute2x128_si256(low, high, 0x31)));
  }
}

PCC_INLINE uint64_t supporters(const uint8_t* row) {
  const V least = _mm256_set1_epi8(kPccSupport);
  const auto low = static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpgt_epi8(load(row), least)));
  const auto high = static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpgt_epi8(load(row + 32), least)));
  return low | uint64_t{high} << 32;
}

PCC_INLINE uint32_t masked_sum(const uint8_t* row, const uint8_t* mask) {
  const V low = _mm256_sad_epu8(and_v(load(row), load(mask)), zero());
  const V sum = _mm256_add_epi64(low, _mm256_sad_epu8(and_v(load(row + 32), load(mask + 32)), zero()));
  const __m128i half = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
  return static_cast<uint32_t>(_mm_cvtsi128_si32(half) + _mm_extract_epi32(half, 2));
}

#include "finger_level.inc"

}  // namespace avx2
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(                                                                                      \
    __attribute__((target("avx2,bmi,bmi2,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vpopcntdq"))), \
    apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vpopcntdq")
#endif
namespace avx512 {

using V = __m512i;
constexpr uint32_t kLanes16 = 32, kLanes32 = 16;

PCC_INLINE V load(const void* p) { return _mm512_loadu_si512(p); }
PCC_INLINE void store(void* p, V v) { _mm512_storeu_si512(p, v); }
PCC_INLINE V zero() { return _mm512_setzero_si512(); }
PCC_INLINE V set16(int16_t v) { return _mm512_set1_epi16(v); }
PCC_INLINE V set32(int32_t v) { return _mm512_set1_epi32(v); }
PCC_INLINE V set_pair16(const int16_t* two) {
  int32_t both;
  std::memcpy(&both, two, sizeof both);
  return set32(both);
}
PCC_INLINE V and_v(V a, V b) { return _mm512_and_si512(a, b); }
PCC_INLINE V or_v(V a, V b) { return _mm512_or_si512(a, b); }
PCC_INLINE V add16(V a, V b) { return _mm512_add_epi16(a, b); }
PCC_INLINE V sub16(V a, V b) { return _mm512_sub_epi16(a, b); }
PCC_INLINE V add32(V a, V b) { return _mm512_add_epi32(a, b); }
PCC_INLINE V sub32(V a, V b) { return _mm512_sub_epi32(a, b); }
PCC_INLINE V subs_u16(V a, V b) { return _mm512_subs_epu16(a, b); }
PCC_INLINE V adds_s16(V a, V b) { return _mm512_adds_epi16(a, b); }
PCC_INLINE V subs_s16(V a, V b) { return _mm512_subs_epi16(a, b); }
PCC_INLINE V mul16(V a, V b) { return _mm512_mullo_epi16(a, b); }
PCC_INLINE V mul32(V a, V b) { return _mm512_mullo_epi32(a, b); }
PCC_INLINE V mulhi_u16(V a, V b) { return _mm512_mulhi_epu16(a, b); }
PCC_INLINE V mulhrs16(V a, V b) { return _mm512_mulhrs_epi16(a, b); }
PCC_INLINE V madd16(V a, V b) { return _mm512_madd_epi16(a, b); }
PCC_INLINE V min_s16(V a, V b) { return _mm512_min_epi16(a, b); }
PCC_INLINE V max_s16(V a, V b) { return _mm512_max_epi16(a, b); }
PCC_INLINE V min_u16(V a, V b) { return _mm512_min_epu16(a, b); }
PCC_INLINE V min_s32(V a, V b) { return _mm512_min_epi32(a, b); }
PCC_INLINE V max_s32(V a, V b) { return _mm512_max_epi32(a, b); }
PCC_INLINE V abs16(V v) { return _mm512_abs_epi16(v); }
template <int n>
PCC_INLINE V sll16(V v) {
  return _mm512_slli_epi16(v, n);
}
template <int n>
PCC_INLINE V srl16(V v) {
  return _mm512_srli_epi16(v, n);
}
template <int n>
PCC_INLINE V sra16(V v) {
  return _mm512_srai_epi16(v, n);
}
template <int n>
PCC_INLINE V sll32(V v) {
  return _mm512_slli_epi32(v, n);
}
template <int n>
PCC_INLINE V srl32(V v) {
  return _mm512_srli_epi32(v, n);
}
using Mask = __mmask32;
PCC_INLINE Mask equal16(V a, V b) { return _mm512_cmpeq_epi16_mask(a, b); }
PCC_INLINE Mask greater16(V a, V b) { return _mm512_cmpgt_epi16_mask(a, b); }
constexpr uint32_t kLaneBits = 1;
PCC_INLINE uint32_t lanes_of(Mask m) { return m; }
PCC_INLINE uint32_t greater32(V a, V b) {
  return static_cast<uint32_t>(__builtin_popcount(_mm512_cmpgt_epi32_mask(a, b)));
}
PCC_INLINE V blend16(Mask m, V yes, V no) { return _mm512_mask_blend_epi16(m, no, yes); }
PCC_INLINE V and_not(Mask m, V v) { return _mm512_maskz_mov_epi16(static_cast<Mask>(~m), v); }
PCC_INLINE V zero_where_greater32(V a, V b, V v) { return _mm512_maskz_mov_epi32(_mm512_cmple_epi32_mask(a, b), v); }
PCC_INLINE V low_halves(V even, V odd) { return _mm512_mask_blend_epi16(0xAAAAAAAA, even, _mm512_slli_epi32(odd, 16)); }
PCC_INLINE V high_halves(V even, V odd) {
  return _mm512_mask_blend_epi16(0xAAAAAAAA, _mm512_srli_epi32(even, 16), odd);
}
PCC_INLINE V root32(V v) { return _mm512_cvttps_epi32(_mm512_sqrt_ps(_mm512_cvtepi32_ps(v))); }
PCC_INLINE V quotient32(V a, V b) {  // exact while |a| < 2^24 and |a / b| * b < 2^24
  return _mm512_cvttps_epi32(_mm512_div_ps(_mm512_cvtepi32_ps(a), _mm512_cvtepi32_ps(b)));
}
PCC_INLINE V tangent32(V low, V high) {
  const __m512 times = _mm512_mul_ps(_mm512_cvtepi32_ps(low), _mm512_set1_ps(255));
  return _mm512_cvttps_epi32(_mm512_div_ps(times, _mm512_cvtepi32_ps(high)));
}

PCC_INLINE V load_some(const uint32_t* p, uint32_t there) {
  return _mm512_maskz_loadu_epi32(static_cast<__mmask16>(there < kLanes32 ? 0xFF : 0xFFFF), p);
}

PCC_INLINE V common_bits(const V* words, const uint32_t* other, size_t stride) {
  V sum = zero();
  for (uint32_t w = 0; w < kPccWords; ++w) {
    const V common = and_v(words[w], set32(static_cast<int32_t>(other[w * stride])));
    sum = _mm512_add_epi32(sum, _mm512_popcnt_epi32(common));
  }
  return sum;
}

PCC_INLINE PccBest two_best(V first, V second) {
  const __m256i f = _mm512_cvtepi32_epi16(first), s = _mm512_cvtepi32_epi16(second);
  const __m128i f0 = _mm256_castsi256_si128(f), f1 = _mm256_extracti128_si256(f, 1);
  const __m128i s0 = _mm256_castsi256_si128(s), s1 = _mm256_extracti128_si256(s, 1);
  return sse::two_best(_mm_max_epu16(f0, f1), _mm_max_epu16(_mm_max_epu16(s0, s1), _mm_min_epu16(f0, f1)));
}

PCC_INLINE void support(const uint8_t (*agree)[kPccLatentCandidates], const uint8_t* weight, uint32_t groups,
                        int32_t* raw) {
  const V w = load(weight), one = set16(1);
  for (uint32_t p = 0; p < 8 * groups; ++p) {
    raw[p] = _mm512_reduce_add_epi32(_mm512_madd_epi16(_mm512_maddubs_epi16(load(agree[p]), w), one));
  }
}

PCC_INLINE uint64_t supporters(const uint8_t* row) {
  return _mm512_cmpgt_epi8_mask(load(row), _mm512_set1_epi8(kPccSupport));
}

PCC_INLINE uint32_t masked_sum(const uint8_t* row, const uint8_t* mask) {
  return static_cast<uint32_t>(_mm512_reduce_add_epi64(_mm512_sad_epu8(and_v(load(row), load(mask)), zero())));
}

#include "finger_level.inc"

}  // namespace avx512
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // __x86_64__

CompareFingers finger_kernel() {
  switch (active_isa()) {
#if defined(__x86_64__)
    case Isa::avx512:
      return avx512::compare;
    case Isa::avx2:
      return avx2::compare;
#endif
    default:
      return portable::compare;
  }
}

}  // namespace pcc
