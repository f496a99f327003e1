// Vectors over the batch, and arrays [channels, rows, columns, batch].
//
// The batch is innermost and a multiple of LANES, so that every operation is on whole vectors, however small the other
// sides are: a batch of another size is followed by examples that do not count. GCC's and Clang's vector extension is all that is used: no intrinsics of one processor.

#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace study {

// Filters whose sums registers hold beside their operands: 4 sums a filter in a convolution, 9 in a kernel's gradient.
#if defined(__AVX512F__)
constexpr int LANES = 16, FILTERS = 4, GRADIENT_FILTERS = 2;
#elif defined(__AVX__)
constexpr int LANES = 8, FILTERS = 2, GRADIENT_FILTERS = 1;
#else
constexpr int LANES = 4, FILTERS = 4, GRADIENT_FILTERS = 2;
#endif

typedef float Vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint32_t Words __attribute__((vector_size(4 * LANES)));
typedef int32_t Whole __attribute__((vector_size(4 * LANES)));
typedef uint8_t Bytes __attribute__((vector_size(LANES), aligned(1), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

INLINE Vector load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
INLINE void store(float* to, Vector value) { *reinterpret_cast<Vector*>(to) = value; }
INLINE Vector all(float value) { return Vector{} + value; }

// The first `count` lanes, zeros after them.
INLINE Vector cut(Vector values, int count) {
  if (count >= LANES) return values;
  Whole lane;
  for (int i = 0; i < LANES; i++) lane[i] = i;
  return lane < count ? values : Vector{};
}

INLINE float sum(Vector values) {
  typedef float Four __attribute__((vector_size(16), aligned(4), may_alias));
  const float* lanes = reinterpret_cast<const float*>(&values);
  Four total = *reinterpret_cast<const Four*>(lanes);
  for (int lane = 4; lane < LANES; lane += 4) total += *reinterpret_cast<const Four*>(lanes + lane);
  return (total[0] + total[2]) + (total[1] + total[3]);
}

// Distances in an array [channels, rows, columns, batch]: between rows, and between channels.
struct Shape {
  int channels, rows, columns, batch;
  ptrdiff_t row, plane;

  Shape(int channels, int rows, int columns, int batch)
      : channels(channels), rows(rows), columns(columns), batch(batch), row(ptrdiff_t(columns) * batch),
        plane(rows * row) {}
  ptrdiff_t at(int y, int x) const { return y * row + ptrdiff_t(x) * batch; }
};

// The batch that is compiled for, the article's; any other is a number that the program reads.
constexpr int USUAL_BATCH = 32, ANY_BATCH = 0;

// The same shape with a batch that the compiler knows: pixels are then constant distances apart, and their addresses
// take no registers.
template <int batch>
INLINE Shape of_batch(const Shape& shape) {
  return Shape(shape.channels, shape.rows, shape.columns, batch == ANY_BATCH ? shape.batch : batch);
}

// Zeros the border of one channel: `top` pixels above and before, and all that `height` x `width` inner ones leave.
static void clear_border(float* image, const Shape& shape, int top, int height, int width) {
  const auto clear = [&](int y, int x, ptrdiff_t count) { memset(image + shape.at(y, x), 0, count * sizeof(float)); };
  if (top) clear(0, 0, top * shape.row);
  for (int y = top; y < top + height; y++) {
    if (top) clear(y, 0, shape.at(0, top));
    if (top + width < shape.columns) clear(y, top + width, shape.row - shape.at(0, top + width));
  }
  if (top + height < shape.rows) clear(top + height, 0, shape.plane - shape.at(top + height, 0));
}

}  // namespace study
