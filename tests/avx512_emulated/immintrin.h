// AVX-512 on a CPU that lacks it, by SIMDe (https://github.com/simd-everywhere/simde, Debian's libsimde-dev), so that the
// AVX-512 level is tested everywhere; what SIMDe 0.7.4 lacks is here, lane by lane. Not for use: 10 times slower.
#pragma once
#include_next <immintrin.h>
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#include <cstdint>
#include <cstring>

namespace emulated {

using V = simde__m512i;

template <typename T>
struct Lanes {
  static constexpr int kCount = 64 / sizeof(T);
  T of[kCount];
  Lanes() = default;
  template <typename Vector>
  explicit Lanes(const Vector& v) {
    static_assert(sizeof v == sizeof of);
    std::memcpy(of, &v, sizeof of);
  }
  template <typename Vector = V>
  Vector vector() const {
    Vector v;
    std::memcpy(&v, of, sizeof v);
    return v;
  }
};

inline V mulhi_epu16(const V& a, const V& b) {
  Lanes<uint16_t> x(a), y(b);
  for (int k = 0; k < x.kCount; ++k) x.of[k] = static_cast<uint16_t>(uint32_t{x.of[k]} * y.of[k] >> 16);
  return x.vector();
}
inline uint32_t cmpeq_epi16_mask(const V& a, const V& b) {
  const Lanes<int16_t> x(a), y(b);
  uint32_t mask = 0;
  for (int k = 0; k < x.kCount; ++k) mask |= uint32_t{x.of[k] == y.of[k]} << k;
  return mask;
}
inline uint32_t cmpgt_epi16_mask(const V& a, const V& b) {
  const Lanes<int16_t> x(a), y(b);
  uint32_t mask = 0;
  for (int k = 0; k < x.kCount; ++k) mask |= uint32_t{x.of[k] > y.of[k]} << k;
  return mask;
}
inline __m256i cvtepi32_epi16(const V& a) {
  const Lanes<int32_t> x(a);
  Lanes<int16_t> y{};
  for (int k = 0; k < x.kCount; ++k) y.of[k] = static_cast<int16_t>(x.of[k]);
  return y.vector<__m256i>();
}
inline simde__m512 cvtepi32_ps(const V& a) {
  const Lanes<int32_t> x(a);
  Lanes<float> y;
  for (int k = 0; k < x.kCount; ++k) y.of[k] = static_cast<float>(x.of[k]);
  return y.vector<simde__m512>();
}
inline V cvttps_epi32(const simde__m512& a) {
  const Lanes<float> x(a);
  Lanes<int32_t> y;
  for (int k = 0; k < x.kCount; ++k) y.of[k] = static_cast<int32_t>(x.of[k]);
  return y.vector();
}
inline V maskz_loadu_epi32(uint32_t mask, const void* from) {
  Lanes<int32_t> x{};
  for (int k = 0; k < x.kCount; ++k)
    if (mask >> k & 1) std::memcpy(x.of + k, static_cast<const char*>(from) + 4 * k, 4);
  return x.vector();
}
template <typename T>
T reduce_add(const V& a) {
  const Lanes<T> x(a);
  T sum = 0;
  for (T v : x.of) sum += v;
  return sum;
}

}  // namespace emulated

#undef _mm512_madd_epi16  // takes four arguments there
#define _mm512_madd_epi16(a, b) simde_mm512_madd_epi16(a, b)
#define _mm512_mulhi_epu16(a, b) emulated::mulhi_epu16(a, b)
#define _mm512_cmpeq_epi16_mask(a, b) emulated::cmpeq_epi16_mask(a, b)
#define _mm512_cmpgt_epi16_mask(a, b) emulated::cmpgt_epi16_mask(a, b)
#define _mm512_cvtepi32_epi16(a) emulated::cvtepi32_epi16(a)
#define _mm512_cvtepi32_ps(a) emulated::cvtepi32_ps(a)
#define _mm512_cvttps_epi32(a) emulated::cvttps_epi32(a)
#define _mm512_maskz_loadu_epi32(mask, from) emulated::maskz_loadu_epi32(mask, from)
#define _mm512_reduce_add_epi32(a) emulated::reduce_add<int32_t>(a)
#define _mm512_reduce_add_epi64(a) emulated::reduce_add<int64_t>(a)
