// Convolution 3 x 3 (same padding) and its gradients, computed directly: the sums of a block of outputs stay in
// registers, and nothing is copied into columns first.
//
// An image that is read is padded by a pixel on every side: [C, P, Q, B]. Outputs are computed in windows of 2 x 2,
// numbered 0 to 3 row by row, which is also what pooling takes the largest of; a window depends on a square of 4 x 4.

#pragma once

#include "vectors.h"

namespace study {

// Kernel entries of neighbouring filters are contiguous; `tap` and `channel` are the distances between the others.
struct Kernel {
  const float* first;
  ptrdiff_t tap, channel;
};

// Adds the convolution at a window, of which `in` is the first pixel of the square, to sums[window][filter].
template <int filters>
INLINE void convolve(Vector sums[4][filters], const float* in, const Shape& shape, Kernel kernel) {
  for (int c = 0; c < shape.channels; c++, in += shape.plane, kernel.first += kernel.channel) {
    Vector square[4][4];
    UNROLL for (int r = 0; r < 4; r++)
      UNROLL for (int s = 0; s < 4; s++) square[r][s] = load(in + shape.at(r, s));
    UNROLL for (int i = 0; i < 3; i++)
      UNROLL for (int j = 0; j < 3; j++)
        UNROLL for (int o = 0; o < filters; o++) {
          const float weight = kernel.first[(3 * i + j) * kernel.tap + o];
          UNROLL for (int w = 0; w < 4; w++) sums[w][o] += square[w / 2 + i][w % 2 + j] * weight;
        }
  }
}

template <int filters, int batch>
INLINE void kernel_gradient_block(const float* x, const Shape& image, const float* routed, const Shape& result,
                                  int height, int width, float* gradient, ptrdiff_t tap) {
  const Shape padded = of_batch<batch>(image), full = of_batch<batch>(result);
  Vector sums[9][filters] = {};
  for (int y = 0; y < height; y += 2)
    for (int column = 0; column < width; column += 2)
      for (int b = 0; b < padded.batch; b += LANES) {
        const float* in = x + padded.at(y, column) + b;
        const float* of = routed + full.at(y + 1, column + 1) + b;
        Vector window[4][filters];
        UNROLL for (int w = 0; w < 4; w++)
          UNROLL for (int o = 0; o < filters; o++) window[w][o] = load(of + o * full.plane + full.at(w / 2, w % 2));
        UNROLL for (int r = 0; r < 4; r++)
          UNROLL for (int s = 0; s < 4; s++) {
            const Vector value = load(in + padded.at(r, s));
            UNROLL for (int w = 0; w < 4; w++) {
              const int i = r - w / 2, j = s - w % 2;
              if (i < 0 || i > 2 || j < 0 || j > 2) continue;
              UNROLL for (int o = 0; o < filters; o++) sums[3 * i + j][o] += value * window[w][o];
            }
          }
      }
  for (int t = 0; t < 9; t++)
    for (int o = 0; o < filters; o++) gradient[t * tap + o] = sum(sums[t][o]);
}

// Of few pixels most of that is the sum over lanes in the end. Where filters fill vectors they take the lanes instead:
// `turned` [height * width, B, O] is the gradient of the convolution with the filters innermost.
template <int vectors, int batch>
INLINE void kernel_gradient_of_filters(const float* x, const Shape& image, const float* turned, int outputs,
                                       int height, int width, float* gradient, ptrdiff_t tap) {
  const Shape padded = of_batch<batch>(image);
  Vector sums[9][vectors] = {};
  for (int y = 0; y < height; y++)
    for (int column = 0; column < width; column++)
      for (int b = 0; b < padded.batch; b++, turned += outputs) {
        const float* in = x + padded.at(y, column) + b;
        Vector of[vectors];
        UNROLL for (int v = 0; v < vectors; v++) of[v] = load(turned + v * LANES);
        UNROLL for (int t = 0; t < 9; t++) {
          const float value = in[padded.at(t / 3, t % 3)];
          UNROLL for (int v = 0; v < vectors; v++) sums[t][v] += of[v] * value;
        }
      }
  for (int t = 0; t < 9; t++)
    for (int v = 0; v < vectors; v++) store(gradient + t * tap + v * LANES, sums[t][v]);
}

// x [C, P, Q, B], routed [O, P', Q', B] with the gradient of the convolution at height x width pixels inside a border
// of one -> gradient of the kernel [3, 3, C, O]. `scratch` has room for [height * width, B, O].
static void kernel_gradient(const float* x, const Shape& padded, const float* routed, const Shape& full, int height,
                            int width, float* gradient, float* scratch) {
  const int channels = padded.channels, outputs = full.channels, batch = padded.batch;
  const ptrdiff_t tap = ptrdiff_t(channels) * outputs;
  if (outputs % LANES == 0 && height * width * batch <= 64 * LANES) {
    for (int y = 0; y < height; y++)
      for (int column = 0; column < width; column++)
        for (int b = 0; b < batch; b++)
          for (int o = 0; o < outputs; o++)
            scratch[(ptrdiff_t(y * width + column) * batch + b) * outputs + o] =
                routed[o * full.plane + full.at(y + 1, column + 1) + b];
    for (int o = 0; o < outputs;) {
      const bool two = GRADIENT_FILTERS == 2 && o + 2 * LANES <= outputs, usual = batch == USUAL_BATCH;
      for (int c = 0; c < channels; c++) {
        const auto block = two ? usual ? kernel_gradient_of_filters<2, USUAL_BATCH>
                                       : kernel_gradient_of_filters<2, ANY_BATCH>
                           : usual ? kernel_gradient_of_filters<1, USUAL_BATCH>
                                   : kernel_gradient_of_filters<1, ANY_BATCH>;
        block(x + c * padded.plane, padded, scratch + o, outputs, height, width, gradient + c * outputs + o, tap);
      }
      o += two ? 2 * LANES : LANES;
    }
    return;
  }
  for (int o = 0; o < outputs;) {
    const int filters = o + GRADIENT_FILTERS <= outputs ? GRADIENT_FILTERS : 1;
    for (int c = 0; c < channels; c++) {
      const auto block = batch == USUAL_BATCH && filters == GRADIENT_FILTERS
                             ? kernel_gradient_block<GRADIENT_FILTERS, USUAL_BATCH>
                         : filters == 1 ? kernel_gradient_block<1, ANY_BATCH>
                                        : kernel_gradient_block<GRADIENT_FILTERS, ANY_BATCH>;
      block(x + c * padded.plane, padded, routed + o * full.plane, full, height, width, gradient + c * outputs + o, tap);
    }
    o += filters;
  }
}

template <int filters, int batch>
INLINE void input_gradient_block(const float* routed, const Shape& result, Kernel kernel, float* gradient,
                                 const Shape& image) {
  const Shape full = of_batch<batch>(result), padded = of_batch<batch>(image);
  for (int y = 0; y < padded.rows - 2; y += 2)
    for (int x = 0; x < padded.columns - 2; x += 2)
      for (int b = 0; b < padded.batch; b += LANES) {
        Vector sums[4][filters] = {};
        convolve<filters>(sums, routed + full.at(y, x) + b, full, kernel);
        for (int w = 0; w < 4; w++)
          if (y + w / 2 < padded.rows - 2 && x + w % 2 < padded.columns - 2)
            for (int c = 0; c < filters; c++)
              store(gradient + c * padded.plane + padded.at(y + 1 + w / 2, x + 1 + w % 2) + b, sums[w][c]);
      }
}

// routed [O, P', Q', B], kernel [3, 3, C, O] -> gradient of the padded image [C, P, Q, B], zero at its border: the
// convolution with the kernel turned by 180 degrees, which `scratch` [O, 3, 3, C] has room for.
static void input_gradient(const float* routed, const Shape& full, const float* kernel, float* gradient,
                           const Shape& padded, float* scratch) {
  const int channels = padded.channels, outputs = full.channels;
  for (int t = 0; t < 9; t++)
    for (int c = 0; c < channels; c++)
      for (int o = 0; o < outputs; o++)
        scratch[(o * 9 + 8 - t) * channels + c] = kernel[(t * channels + c) * outputs + o];
  for (int c = 0; c < channels; c++)
    clear_border(gradient + c * padded.plane, padded, 1, padded.rows - 2, padded.columns - 2);
  for (int c = 0; c < channels;) {
    const Kernel of{scratch + c, channels, ptrdiff_t(9) * channels};
    const int filters = c + FILTERS <= channels ? FILTERS : 1;
    const auto block = filters == 1                ? input_gradient_block<1, ANY_BATCH>
                       : full.batch == USUAL_BATCH ? input_gradient_block<FILTERS, USUAL_BATCH>
                                                   : input_gradient_block<FILTERS, ANY_BATCH>;
    block(routed, full, of, gradient + c * padded.plane, padded);
    c += filters;
  }
}

}  // namespace study
