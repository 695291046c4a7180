// Fixed-width names for sources that g++, nvcc and NVRTC compile alike (NVRTC has no standard headers).
#pragma once
#if defined(__CUDACC__)
#define PCC_HD __host__ __device__ __forceinline__
#else
#define PCC_HD inline
#endif
typedef unsigned char pcc_u8;
typedef unsigned short pcc_u16;
typedef unsigned int pcc_u32;
typedef unsigned long long pcc_u64;
typedef signed char pcc_s8;
typedef short pcc_s16;
typedef int pcc_s32;
typedef long long pcc_s64;
