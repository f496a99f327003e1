// Convolution of images [N, H, W, C] with kernels [h, w, C, O] of any size and stride, for any network: the lanes are
// filters, of which there must be a multiple of LANES. Images come padded.

#pragma once

#include "vectors.h"

namespace study {

// Vectors of filters, and pixels or channels beside them, whose sums registers hold.
#if defined(__AVX512F__)
constexpr int FILTER_VECTORS = 2, BESIDE = 8;
#elif defined(__AVX__)
constexpr int FILTER_VECTORS = 1, BESIDE = 8;
#else
constexpr int FILTER_VECTORS = 2, BESIDE = 8;
#endif

struct Image {
  int rows, columns, channels;
  ptrdiff_t row, size;

  Image(int rows, int columns, int channels)
      : rows(rows), columns(columns), channels(channels), row(ptrdiff_t(columns) * channels), size(rows * row) {}
  ptrdiff_t at(int y, int x) const { return y * row + ptrdiff_t(x) * channels; }
};

struct Geometry {
  int height, width, down, right;  // of the kernel, and its strides
};

template <int pixels, int vectors>
INLINE void convolve_pixels(const float* x, const Image& in, const float* kernel, int outputs, const Geometry& of,
                            float* y) {
  Vector sums[pixels][vectors] = {};
  for (int i = 0; i < of.height; i++)
    for (int j = 0; j < of.width; j++) {
      const float* from = x + in.at(i, j);
      for (int c = 0; c < in.channels; c++, kernel += outputs) {
        Vector weight[vectors];
        UNROLL for (int v = 0; v < vectors; v++) weight[v] = load(kernel + v * LANES);
        UNROLL for (int p = 0; p < pixels; p++) {
          const float value = from[ptrdiff_t(p) * of.right * in.channels + c];
          UNROLL for (int v = 0; v < vectors; v++) sums[p][v] += weight[v] * value;
        }
      }
    }
  UNROLL for (int p = 0; p < pixels; p++)
    UNROLL for (int v = 0; v < vectors; v++) store(y + ptrdiff_t(p) * outputs + v * LANES, sums[p][v]);
}

template <int vectors>
INLINE void convolve_image(const float* x, const Image& in, const float* kernel, const Image& out, const Geometry& of,
                           float* y) {
  for (int row = 0; row < out.rows; row++)
    for (int column = 0; column < out.columns;) {
      const float* from = x + in.at(row * of.down, column * of.right);
      float* to = y + out.at(row, column);
      const int left = out.columns - column;
      const int pixels = left >= BESIDE ? BESIDE : left >= 4 ? 4 : left >= 2 ? 2 : 1;
      const auto block = pixels == BESIDE ? convolve_pixels<BESIDE, vectors>
                         : pixels == 4    ? convolve_pixels<4, vectors>
                         : pixels == 2    ? convolve_pixels<2, vectors>
                                          : convolve_pixels<1, vectors>;
      block(from, in, kernel, out.channels, of, to);
      column += pixels;
    }
}

// x [N, P, Q, C], kernel [h, w, C, O] -> y [N, n, m, O].
static void convolve_images(const float* x, const Image& in, int count, const float* kernel, const Geometry& of,
                            float* y, const Image& out) {
  for (int image = 0; image < count; image++, x += in.size, y += out.size)
    for (int o = 0; o < out.channels;) {
      const bool many = o + FILTER_VECTORS * LANES <= out.channels;
      const auto run = many ? convolve_image<FILTER_VECTORS> : convolve_image<1>;
      run(x, in, kernel + o, out, of, y + o);
      o += many ? FILTER_VECTORS * LANES : LANES;
    }
}

// Adds one image's share to gradient [channels, vectors * LANES], of which rows are `outputs` apart; `x` is at the tap.
template <int channels, int vectors>
INLINE void add_gradient(const float* x, const Image& in, const float* dy, const Image& out, const Geometry& of,
                         float* gradient) {
  Vector sums[channels][vectors];
  UNROLL for (int c = 0; c < channels; c++)
    UNROLL for (int v = 0; v < vectors; v++) sums[c][v] = load(gradient + ptrdiff_t(c) * out.channels + v * LANES);
  for (int row = 0; row < out.rows; row++) {
    const float* from = x + in.at(row * of.down, 0);
    const float* at = dy + out.at(row, 0);
    for (int column = 0; column < out.columns; column++, from += of.right * in.channels, at += out.channels) {
      Vector value[vectors];
      UNROLL for (int v = 0; v < vectors; v++) value[v] = load(at + v * LANES);
      UNROLL for (int c = 0; c < channels; c++)
        UNROLL for (int v = 0; v < vectors; v++) sums[c][v] += value[v] * from[c];
    }
  }
  UNROLL for (int c = 0; c < channels; c++)
    UNROLL for (int v = 0; v < vectors; v++) store(gradient + ptrdiff_t(c) * out.channels + v * LANES, sums[c][v]);
}

template <int vectors>
INLINE void add_gradients(const float* x, const Image& in, const float* dy, const Image& out, const Geometry& of,
                          float* gradient) {
  for (int i = 0; i < of.height; i++)
    for (int j = 0; j < of.width; j++)
      for (int c = 0; c < in.channels;) {
        const int left = in.channels - c;
        const int channels = left >= BESIDE ? BESIDE : left >= 4 ? 4 : left >= 3 ? 3 : 1;
        const auto block = channels == BESIDE ? add_gradient<BESIDE, vectors>
                           : channels == 4    ? add_gradient<4, vectors>
                           : channels == 3    ? add_gradient<3, vectors>
                                              : add_gradient<1, vectors>;
        block(x + in.at(i, j) + c, in, dy, out, of,
              gradient + (ptrdiff_t(i * of.width + j) * in.channels + c) * out.channels);
        c += channels;
      }
}

// x [N, P, Q, C], dy [N, n, m, O] -> gradient of the kernel [h, w, C, O].
static void image_kernel_gradient(const float* x, const Image& in, int count, const float* dy, const Image& out,
                                  const Geometry& of, float* gradient) {
  memset(gradient, 0, sizeof(float) * of.height * of.width * in.channels * out.channels);
  for (int image = 0; image < count; image++, x += in.size, dy += out.size)
    for (int o = 0; o < out.channels;) {
      const bool many = o + FILTER_VECTORS * LANES <= out.channels;
      const auto run = many ? add_gradients<FILTER_VECTORS> : add_gradients<1>;
      run(x, in, dy + o, out, of, gradient + o);
      o += many ? FILTER_VECTORS * LANES : LANES;
    }
}

}  // namespace study
