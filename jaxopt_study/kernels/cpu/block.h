// A block of the network: convolution, 2 x 2 max-pooling, bias, ReLU, batch norm, dropout.

#pragma once

#include "convolution.h"
#include "dropout.h"

namespace study {

// What a block is given besides its input, each [O] but `kernel` [3, 3, C, O] and `shift` [O, 4, N, M], which is added
// to the convolution and may be null; and of a batch how many `examples` count, the first. All else is zero of the others.
struct Parameters {
  const float *kernel, *shift, *bias, *scale, *offset;
  float epsilon;
  int examples;
};

INLINE Vector positive(Vector value) { return (value > 0) | (value != value) ? value : Vector{}; }

INLINE float inverse(float variance, float epsilon) { return 1.0f / std::sqrt(variance + epsilon); }

// For `filters` neighbours, of which all pointers are the first's: activations [filters, N, M, B] and the chosen output
// of each window.
template <int filters, int batch>
INLINE void activate(const float* x, const Shape& image, Kernel kernel, const float* shift, const float* bias,
                     float* active, uint8_t* chosen, const Shape& result, int examples) {
  const Shape padded = of_batch<batch>(image), out = of_batch<batch>(result);
  const ptrdiff_t pixels = ptrdiff_t(out.rows) * out.columns;
  for (int y = 0; y < out.rows; y++)
    for (int column = 0; column < out.columns; column++)
      for (int b = 0; b < out.batch; b += LANES) {
        Vector sums[4][filters];
        for (int o = 0; o < filters; o++)
          for (int w = 0; w < 4; w++)
            sums[w][o] = all(shift ? shift[(o * 4 + w) * pixels + y * out.columns + column] : 0.0f);
        convolve<filters>(sums, x + padded.at(2 * y, 2 * column) + b, padded, kernel);
        for (int o = 0; o < filters; o++) {
          Vector best = sums[0][o];
          Whole which{};
          for (int w = 1; w < 4; w++) {
            // The first of equals; what is not a number wins and stays, as in jnp.maximum.
            const Whole better = (sums[w][o] > best) | (sums[w][o] != sums[w][o]);
            best = better ? sums[w][o] : best;
            which = better ? Whole{} + w : which;
          }
          const ptrdiff_t at = o * out.plane + out.at(y, column) + b;
          store(active + at, cut(positive(best + bias[o]), examples - b));
          *reinterpret_cast<Bytes*>(chosen + at) = __builtin_convertvector(which, Bytes);
        }
      }
}

// The sum of the terms of `count` numbers, a multiple of LANES, in blocks that round little.
template <typename Term>
INLINE double blocked_sum(const float* numbers, ptrdiff_t count, Term term) {
  constexpr ptrdiff_t SIDE_BY_SIDE = 4 * LANES, BLOCK = 64 * SIDE_BY_SIDE;
  double total = 0;
  for (ptrdiff_t first = 0; first < count; first += BLOCK) {
    const ptrdiff_t end = first + BLOCK < count ? first + BLOCK : count;
    Vector sums[4] = {};
    ptrdiff_t i = first;
    for (; i + SIDE_BY_SIDE <= end; i += SIDE_BY_SIDE)
      UNROLL for (int v = 0; v < 4; v++) sums[v] += term(load(numbers + i + v * LANES));
    for (; i < end; i += LANES) sums[0] += term(load(numbers + i));
    total += sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
  }
  return total;
}

// Mean and biased variance in two passes, the second of deviations from what the first found: a mean of squares minus
// the square of the mean would lose a deviation that is small beside the mean. A variance beyond float32 is NaN, since
// an infinite one would make zeros of all activations.
static void moments(const float* numbers, ptrdiff_t count, float* mean, float* variance) {
  const float about = float(blocked_sum(numbers, count, [](Vector x) { return x; }) / double(count));
  const double rest = blocked_sum(numbers, count, [=](Vector x) { return x - about; }) / double(count);
  const double squares = blocked_sum(numbers, count, [=](Vector x) { return (x - about) * (x - about); });
  const double spread = squares / double(count) - rest * rest;
  *mean = float(about + rest);
  *variance = !std::isfinite(spread) ? NAN : spread < 0 ? 0.0f : float(spread);
}

// The same of the first `examples` of each `batch` of them; the others are zero.
static void moments_of(int examples, int batch, const float* numbers, ptrdiff_t count, float* mean, float* variance) {
  if (examples == batch) return moments(numbers, count, mean, variance);
  const auto total = [&](auto term) {
    double found = 0;
    for (ptrdiff_t first = 0; first < count; first += batch)
      for (int b = 0; b < examples; b += LANES) found += sum(cut(term(load(numbers + first + b)), examples - b));
    return found / (double(count) / batch * examples);
  };
  const float about = float(total([](Vector x) { return x; }));
  const double rest = total([=](Vector x) { return x - about; });
  const double spread = total([=](Vector x) { return (x - about) * (x - about); }) - rest * rest;
  *mean = float(about + rest);
  *variance = !std::isfinite(spread) ? NAN : spread < 0 ? 0.0f : float(spread);
}

// x [C, P, Q, B] -> active and chosen [O, N, M, B], mean and variance of the batch [O] where they are asked for.
static void activations(const float* x, const Shape& padded, const Parameters& of, float* active, uint8_t* chosen,
                        const Shape& out, float* mean, float* variance) {
  const int outputs = out.channels;
  for (int o = 0; o < outputs;) {
    const Kernel kernel{of.kernel + o, ptrdiff_t(padded.channels) * outputs, outputs};
    const float* shift = of.shift ? of.shift + 4 * ptrdiff_t(o) * out.rows * out.columns : nullptr;
    const int filters = o + FILTERS <= outputs ? FILTERS : 1;
    const auto block = filters == 1               ? activate<1, ANY_BATCH>
                       : out.batch == USUAL_BATCH ? activate<FILTERS, USUAL_BATCH>
                                                  : activate<FILTERS, ANY_BATCH>;
    block(x, padded, kernel, shift, of.bias + o, active + o * out.plane, chosen + o * out.plane, out,
          of.examples);
    for (const int end = o + filters; o < end; o++)
      if (mean) moments_of(of.examples, out.batch, active + o * out.plane, out.plane, mean + o, variance + o);
  }
}

// active [O, N, M, B] -> normalized, some dropped, and padded as `result` [O, N + 2 border, M + 2 border, B] says.
static void normalize(const float* active, const Shape& out, const Parameters& of, const float* mean,
                      const float* variance, const Dropout& dropout, float* result, const Shape& padded) {
  const int border = (padded.rows - out.rows) / 2;
  const Shape counted(out.channels, out.rows, out.columns, of.examples);
  for (int o = 0; o < out.channels; o++, result += padded.plane) {
    const float slope = of.scale[o] * inverse(variance[o], of.epsilon), center = mean[o], offset = of.offset[o];
    clear_border(result, padded, border, out.rows, out.columns);
    for (int y = 0; y < out.rows; y++)
      for (int x = 0; x < out.columns; x++)
        for (int b = 0; b < out.batch; b += LANES) {
          const ptrdiff_t at = o * out.plane + out.at(y, x) + b;
          const Vector value = (load(active + at) - center) * slope + offset;
          const Vector kept = dropout(value, o * counted.plane + counted.at(y, x) + b);
          store(result + padded.at(y + border, x + border) + b, cut(kept, of.examples - b));
        }
  }
}

// What the gradient of a block's result becomes on its way back to the convolution.
//
// gradient, as padded as the result, active, chosen, mean and variance of the batch -> routed [O, P', Q', B], zero
// where no window chose, and the gradients of bias, scale, offset [O] and of the shift [O, 4, N, M] if asked for.
//
// What is zero is zero times the gradient, so that NaN and infinity reach all that depends on their channel.
static void unnormalize(const float* gradient, const Shape& padded, const float* active, const uint8_t* chosen,
                        const Shape& out, const Parameters& of, const float* mean, const float* variance,
                        const Dropout& dropout, float* routed, const Shape& full, float* d_bias, float* d_scale,
                        float* d_offset, float* d_shift) {
  const int border = (padded.rows - out.rows) / 2;
  const ptrdiff_t pixels = ptrdiff_t(out.rows) * out.columns;
  const Shape counted(out.channels, out.rows, out.columns, of.examples);
  const float count = float(pixels * of.examples);
  for (int o = 0; o < out.channels; o++, gradient += padded.plane, routed += full.plane) {
    const float center = mean[o];
    Vector total{}, weighted{};
    for (int y = 0; y < out.rows; y++)
      for (int x = 0; x < out.columns; x++)
        for (int b = 0; b < out.batch; b += LANES) {
          const ptrdiff_t at = o * out.plane + out.at(y, x) + b;
          const Vector given = load(gradient + padded.at(y + border, x + border) + b);
          const Vector value = cut(dropout(given, o * counted.plane + counted.at(y, x) + b), of.examples - b);
          total += value;
          weighted += value * (load(active + at) - center);
        }
    const float inv = inverse(variance[o], of.epsilon), slope = of.scale[o] * inv;
    d_offset[o] = sum(total);
    d_scale[o] = sum(weighted) * inv;
    const float pull = slope * inv * d_scale[o] / count, offset = -slope * d_offset[o] / count;
    clear_border(routed, full, 1, 2 * out.rows, 2 * out.columns);
    Vector biases{};
    for (int y = 0; y < out.rows; y++)
      for (int x = 0; x < out.columns; x++) {
        Vector shifts[4] = {};
        for (int b = 0; b < out.batch; b += LANES) {
          const ptrdiff_t at = o * out.plane + out.at(y, x) + b;
          const Vector was = load(active + at);
          Vector value = dropout(load(gradient + padded.at(y + border, x + border) + b),
                                 o * counted.plane + counted.at(y, x) + b);
          value = value * slope - (was - center) * pull + offset;
          value = cut(was > 0 ? value : value * 0.0f, of.examples - b);
          biases += value;
          const Vector none = value * 0.0f;
          const Whole which = __builtin_convertvector(*reinterpret_cast<const Bytes*>(chosen + at), Whole);
          for (int w = 0; w < 4; w++) {
            const Vector part = which == w ? value : none;
            store(routed + full.at(2 * y + 1 + w / 2, 2 * x + 1 + w % 2) + b, part);
            shifts[w] += part;
          }
        }
        if (d_shift)
          for (int w = 0; w < 4; w++) d_shift[(o * 4 + w) * pixels + y * out.columns + x] = sum(shifts[w]);
      }
    d_bias[o] = sum(biases);
  }
}

}  // namespace study
