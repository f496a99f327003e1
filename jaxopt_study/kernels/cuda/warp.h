// A warp: 32 examples side by side, and how kernels made of warps are launched.
//
// Nvcc compiles the kernels for a GPU, where an example is a thread and a Float one number in it. A C++ compiler
// compiles the same kernels for the host, where a Float is a vector of 32 and warps run one after another: so values
// can be tested where there is no GPU. Control flow is that of the warp; examples differ by `condition ? a : b` alone.

#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace study {

constexpr int LANES = 32, WARPS = 4;  // of a warp, of a block

// Which block, and which warp of it.
struct Place {
  int x, y, z, warp;
};

#ifdef __CUDACC__
#define DEVICE __device__ __forceinline__
#define UNROLL _Pragma("unroll")
#define ROLLED _Pragma("unroll 1")
#define SOME _Pragma("unroll 4")

typedef float Float;
typedef double Double;
typedef uint32_t Word;
typedef cudaStream_t Stream;

// The examples of a warp, of which the last one of a batch has fewer; the others repeat the last and are not stored.
class Lanes {
 public:
  DEVICE explicit Lanes(int left)
      : lane_(threadIdx.x % LANES < left ? threadIdx.x % LANES : left - 1), live_(threadIdx.x % LANES < left) {}
  DEVICE Float load(const float* from) const { return __ldg(from + lane_); }
  DEVICE Word load(const uint8_t* from) const { return __ldg(from + lane_); }
  // What the kernel itself writes to must not be kept in the cache of what stays as it is.
  DEVICE Float fresh(const float* from) const { return from[lane_]; }
  DEVICE Word fresh(const uint8_t* from) const { return from[lane_]; }
  DEVICE void store(float* to, Float value) const {
    if (live_) to[lane_] = value;
  }
  DEVICE void store(uint8_t* to, Word value) const {
    if (live_) to[lane_] = uint8_t(value);
  }
  DEVICE Float live(Float value) const { return live_ ? value : 0.0f; }
  DEVICE Word index() const { return lane_; }

 private:
  int lane_;
  bool live_;
};

DEVICE Double wide(Float value) { return value; }

DEVICE Word bits(Float value) { return __float_as_uint(value); }
DEVICE Float of_bits(Word bits) { return __uint_as_float(bits); }

template <typename Number>
DEVICE Number sum(Number value) {
  UNROLL for (int apart = LANES / 2; apart; apart /= 2) value += __shfl_xor_sync(0xFFFFFFFFu, value, apart);
  return value;
}

// One number of a warp.
DEVICE void store_one(float* to, float value) {
  if (threadIdx.x % LANES == 0) *to = value;
}

template <typename Kernel>
__global__ void __launch_bounds__(LANES* WARPS, Kernel::BLOCKS) run(const Kernel kernel) {
  extern __shared__ float4 shared[];
  float* floats = reinterpret_cast<float*>(shared);
  const Place at{int(blockIdx.x), int(blockIdx.y), int(blockIdx.z), int(threadIdx.x / LANES)};
  if constexpr (Kernel::SHARES) {
    kernel.fill(floats, threadIdx.x, LANES * WARPS, at);
    __syncthreads();
  }
  kernel.compute(floats, at);
}

// Launches blocks of so many warps in all, for each y and z.
template <typename Kernel>
void launch(const Kernel& kernel, Stream stream, int warps, int y, int z, size_t shared = 0) {
  run<<<dim3((warps + WARPS - 1) / WARPS, y, z), LANES * WARPS, shared * sizeof(float), stream>>>(kernel);
}

#else

#define DEVICE inline
#define UNROLL
#define ROLLED
#define SOME

typedef float Float __attribute__((vector_size(4 * LANES)));
typedef double Double __attribute__((vector_size(8 * LANES)));
typedef uint32_t Word __attribute__((vector_size(4 * LANES)));
struct Stream {
  template <typename Context>
  Stream(const Context&) {}
};

class Lanes {
 public:
  explicit Lanes(int left) : count_(left < LANES ? left : LANES) {}
  Float load(const float* from) const { return loaded<Float>(from); }
  Word load(const uint8_t* from) const { return loaded<Word>(from); }
  Float fresh(const float* from) const { return load(from); }
  Word fresh(const uint8_t* from) const { return load(from); }
  void store(float* to, Float value) const {
    for (int i = 0; i < count_; i++) to[i] = value[i];
  }
  void store(uint8_t* to, Word value) const {
    for (int i = 0; i < count_; i++) to[i] = uint8_t(value[i]);
  }
  Float live(Float value) const {
    for (int i = count_; i < LANES; i++) value[i] = 0;
    return value;
  }
  Word index() const {
    Word lane{};
    for (int i = 0; i < LANES; i++) lane[i] = i < count_ ? i : count_ - 1;
    return lane;
  }

 private:
  template <typename Vector, typename Number>
  Vector loaded(const Number* from) const {
    Vector values{};
    for (int i = 0; i < LANES; i++) values[i] = from[i < count_ ? i : count_ - 1];
    return values;
  }
  int count_;
};

inline Double wide(Float value) { return __builtin_convertvector(value, Double); }

inline Word bits(Float value) { return (Word)value; }
inline Float of_bits(Word bits) { return (Float)bits; }

template <typename Vector>
auto sum(Vector value) {
  for (int apart = LANES / 2; apart; apart /= 2)
    for (int i = 0; i < apart; i++) value[i] += value[i + apart];  // the first lane's sums of a butterfly
  return value[0];
}

inline void store_one(float* to, float value) { *to = value; }

template <typename Kernel>
void launch(const Kernel& kernel, Stream, int warps, int y, int z, size_t shared = 0) {
  std::vector<float> floats(shared, NAN);
  for (int k = 0; k < z; k++)
    for (int j = 0; j < y; j++)
      for (int block = 0; block * WARPS < warps; block++) {
        if constexpr (Kernel::SHARES) kernel.fill(floats.data(), 0, 1, Place{block, j, k, 0});
        for (int warp = 0; warp < WARPS; warp++) kernel.compute(floats.data(), Place{block, j, k, warp});
      }
}

#endif

}  // namespace study
