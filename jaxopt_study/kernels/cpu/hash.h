// The hash of dropout's masks, that of layers/dropout.py bit for bit; one source for the kernels of CPUs and of GPUs.

#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define HASHED static __host__ __device__ __forceinline__
#else
#define HASHED static inline __attribute__((always_inline))
#endif

namespace study {

constexpr uint32_t WEYL = 0x9E3779B1u;

// Of numbers, or of vectors of them with a tweak that is one too or a number.
template <typename Number, typename Tweak>
HASHED Number hash(Number x, Tweak tweak) {
  x ^= x >> 16;
  x *= 0x7FEB352Du;
  x ^= tweak;
  x ^= x >> 15;
  x *= 0x846CA68Bu;
  return x ^ (x >> 16);
}

}  // namespace study
