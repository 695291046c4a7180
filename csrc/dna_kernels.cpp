// Compiles the search loops once for each instruction-set level; isa.h says which one runs.
#include "dna_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "isa.h"

#define PCC_INLINE inline __attribute__((always_inline))

namespace pcc {

namespace portable {
#define PCC_VECTOR_BYTES 16
typedef uint64_t Any __attribute__((vector_size(16)));
PCC_INLINE bool pcc_any(Any v) { return v[0] | v[1]; }
#include "dna_level.inc"
#undef PCC_VECTOR_BYTES

}  // namespace portable

#if defined(__x86_64__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,popcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,popcnt")
#endif
namespace avx2 {
#define PCC_VECTOR_BYTES 32
typedef uint64_t Any __attribute__((vector_size(32)));
PCC_INLINE bool pcc_any(Any v) { return !_mm256_testz_si256((__m256i)v, (__m256i)v); }
#include "dna_level.inc"
#undef PCC_VECTOR_BYTES

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
#define PCC_VECTOR_BYTES 64
typedef uint64_t Any __attribute__((vector_size(64)));
PCC_INLINE bool pcc_any(Any v) { return _mm512_test_epi64_mask((__m512i)v, (__m512i)v); }
#include "dna_level.inc"
#undef PCC_VECTOR_BYTES

}  // namespace avx512
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // __x86_64__

const DnaKernels& dna_kernels() {
  switch (active_isa()) {
#if defined(__x86_64__)
    case Isa::avx512:
      return avx512::kKernels;
    case Isa::avx2:
      return avx2::kKernels;
#endif
    default:
      return portable::kKernels;
  }
}

}  // namespace pcc
