// Products of a warp in TF32, m16n8k8, and what a lane has of them (PTX ISA, matrix fragments of mma.m16n8k8). With
// group = lane / 4 and member = lane % 4 these are
//   of a [16, 8]     (group, member), (group + 8, member), (group, member + 4), (group + 8, member + 4);
//   of b [8, 8]      (member, group), (member + 4, group);
//   of sums [16, 8]  (group, 2 member), (group, 2 member + 1), (group + 8, 2 member), (group + 8, 2 member + 1).
//
// Here lanes are no examples; a place is a lane's own.

#pragma once

#include "norm.h"

namespace study {

constexpr int ROWS = 16, DEPTH = 8;  // of a

#ifdef __CUDACC__

DEVICE Word lane() { return threadIdx.x % LANES; }

// The nearest number of 11 bits (Dekker's splitting), in two instructions where `cvt` takes four. What is infinite
// becomes NaN, and what is above 4e34 infinite or NaN.
DEVICE Float coarse(Float value) { return __fmaf_rn(value, -8192.0f, __fmul_rn(value, 8193.0f)); }

// sums += a * b. Volatile, as loads below: the compiler keeps their order, and not all pixels and kernels in registers.
DEVICE void multiply(Float sums[4], const Float a[4], const Float b[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(bits(a[0])), "r"(bits(a[1])), "r"(bits(a[2])), "r"(bits(a[3])), "r"(bits(b[0])), "r"(bits(b[1])));
}

DEVICE Float at(const float* from, Word place) { return from[place]; }
// What lies in shared memory for each lane, [LANES, COUNT], of 2 or 4 numbers.
template <int COUNT>
DEVICE void own(const float* from, Float values[COUNT]) {
  const uint32_t address = __cvta_generic_to_shared(from + COUNT * lane());
  if constexpr (COUNT == 4)
    asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(values[0]), "=f"(values[1]), "=f"(values[2]), "=f"(values[3])
                 : "r"(address));
  else
    asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(values[0]), "=f"(values[1]) : "r"(address));
}
DEVICE void put(float* to, Word place, Float value, bool where = true) {
  if (where) to[place] = value;
}

// Of examples beside each other those that are there: all, if the compiler knows it; else the last one stands for more.
template <bool ALL>
DEVICE void load_four(const float* from, Word place, Word example, int left, Float values[4]) {
  if constexpr (ALL) {
    asm volatile("ld.global.nc.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(values[0]), "=f"(values[1]), "=f"(values[2]), "=f"(values[3])
                 : "l"(from + place + example));
  } else {
    UNROLL for (int j = 0; j < 4; j++)
      asm volatile("ld.global.nc.f32 %0, [%1];" : "=f"(values[j]) : "l"(from + place + least(example + j, left - 1)));
  }
}
template <bool ALL>
DEVICE void load_four(const uint8_t* from, Word place, Word example, int left, Word values[4]) {
  if constexpr (ALL) {
    Word four;
    asm volatile("ld.global.nc.u32 %0, [%1];" : "=r"(four) : "l"(from + place + example));
    UNROLL for (int j = 0; j < 4; j++) values[j] = four >> 8 * j & 255u;
  } else {
    UNROLL for (int j = 0; j < 4; j++) values[j] = __ldg(from + place + least(example + j, left - 1));
  }
}
template <bool ALL>
DEVICE void store_four(float* to, Word place, Word example, int left, const Float values[4]) {
  if constexpr (ALL)
    *reinterpret_cast<float4*>(to + place + example) = make_float4(values[0], values[1], values[2], values[3]);
  else {
    UNROLL for (int j = 0; j < 4; j++)
      if (int(example) + j < left) to[place + example + j] = values[j];
  }
}
template <bool ALL>
DEVICE void store_four(uint8_t* to, Word place, Word example, int left, const Word values[4]) {
  if constexpr (ALL)
    *reinterpret_cast<uchar4*>(to + place + example) = make_uchar4(values[0], values[1], values[2], values[3]);
  else {
    UNROLL for (int j = 0; j < 4; j++)
      if (int(example) + j < left) to[place + example + j] = uint8_t(values[j]);
  }
}

// The sum over the members of a group, in each of them.
DEVICE Float sum_of_group(Float value) {
  value += __shfl_xor_sync(0xFFFFFFFFu, value, 1);
  return value + __shfl_xor_sync(0xFFFFFFFFu, value, 2);
}

#else

inline Word lane() {
  Word lanes{};
  for (int i = 0; i < LANES; i++) lanes[i] = i;
  return lanes;
}

template <typename Number>
Number coarse(Number value) {
  const Number many = value * 8193.0f;  // rounded: -ffp-contract=off
  return many - value * 8192.0f;
}

inline void multiply(Float sums[4], const Float a[4], const Float b[2]) {
  for (int row = 0; row < ROWS; row++)
    for (int column = 0; column < 8; column++) {
      float sum = 0;
      for (int k = 0; k < DEPTH; k++)
        sum += a[row / 8 + k / 4 * 2][row % 8 * 4 + k % 4] * b[k / 4][column * 4 + k % 4];
      sums[row / 8 * 2 + column % 2][row % 8 * 4 + column / 2] += sum;
    }
}

inline Float at(const float* from, Word place) {
  Float values{};
  for (int i = 0; i < LANES; i++) values[i] = from[place[i]];
  return values;
}
template <int COUNT>
inline void own(const float* from, Float values[COUNT]) {
  for (int i = 0; i < COUNT; i++) values[i] = at(from, lane() * uint32_t(COUNT) + uint32_t(i));
}
inline void put(float* to, Word place, Float value) {
  for (int i = 0; i < LANES; i++) to[place[i]] = value[i];
}
template <typename Mask>
void put(float* to, Word place, Float value, Mask where) {
  for (int i = 0; i < LANES; i++)
    if (where[i]) to[place[i]] = value[i];
}

template <bool ALL, typename Number, typename Vector>
void load_four(const Number* from, Word place, Word example, int left, Vector values[4]) {
  for (int j = 0; j < 4; j++)
    for (int i = 0; i < LANES; i++) values[j][i] = from[place[i] + least(example[i] + j, left - 1)];
}
template <bool ALL, typename Number, typename Vector>
void store_four(Number* to, Word place, Word example, int left, const Vector values[4]) {
  for (int j = 0; j < 4; j++)
    for (int i = 0; i < LANES; i++)
      if (int(example[i]) + j < left) to[place[i] + example[i] + j] = Number(values[j][i]);
}

inline Float sum_of_group(Float value) {
  for (int apart = 1; apart < 4; apart *= 2) {
    const Float old = value;
    for (int i = 0; i < LANES; i++) value[i] = old[i] + old[i ^ apart];
  }
  return value;
}

#endif

// Batch norm of each lane's channel, of Before::fill_all.
DEVICE Affine<Float> own_affine(const float* norms, Word channel) {
  const Word place = channel * uint32_t(Before::FLOATS);
  return {at(norms, place), at(norms, place + 1u), at(norms, place + 2u)};
}

// Numbers of a lane, in TF32 for PRODUCTS == 1; for 3 each is the sum of two such numbers.
template <int PRODUCTS, int COUNT, typename Number = Float>
struct Coarse {
  static constexpr int PARTS = PRODUCTS == 3 ? 2 : 1;

  Number numbers[PARTS * COUNT];

  DEVICE Number* part(int i) { return numbers + i * COUNT; }
  DEVICE const Number* part(int i) const { return numbers + i * COUNT; }
  DEVICE void set(int i, Number value) {
    numbers[i] = coarse(value);
    if constexpr (PARTS == 2) numbers[COUNT + i] = coarse(value - numbers[i]);
  }
};

// sums += a * b, in so many products: low times high, high times low, high times high. They are asked for one at a time
// since each waits for the one before of the same sums.
template <int PRODUCTS>
DEVICE void add_product(int product, Float sums[4], const Coarse<PRODUCTS, 4>& a, const Coarse<PRODUCTS, 2>& b) {
  multiply(sums, a.part(product == PRODUCTS - 3), b.part(product == PRODUCTS - 2));
}

}  // namespace study
