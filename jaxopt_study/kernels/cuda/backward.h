// Backward as far as the convolution: sums for the gradients of the batch norm, and what the gradient of a block's
// result becomes at the pooled pixels. Which candidate of a pixel takes it is left to those who read it.

#pragma once

#include "forward.h"

namespace study {

// The dropped gradients of the result [O, N, M, B], padded or not -> sums of each row, [2, O, N]: of the gradients, and
// of their products with normalized activations. A warp has a row.
struct Weigh : Norm {
  static constexpr int BLOCKS = 8;
  static constexpr bool SHARES = false;

  Floats gradient;
  FloatsOut sums;

  DEVICE void compute(const float*, Place at) const {
    const int y = at.x * WARPS + at.warp, o = at.y, k = at.z;
    if (y >= out.rows) return;
    const float center = mean[k][o];
    Float total{}, weighted{};
    for (int first = 0; first < out.batch; first += LANES) {
      const Lanes lanes(out.batch - first);
      const float *from = gradient[k] + row(padded, o, y) + first, *forward = active[k] + row(stored, o, y) + first;
      SOME for (int x = 0; x < out.columns; x++) {
        const Float was = lanes.load(forward + x * out.batch);
        const Float value = lanes.live(after_dropout(lanes.load(from + x * out.batch), was, factor));
        total += value;
        weighted += value * (activation(was) - center);
      }
    }
    store_one(sums[k] + o * out.rows + y, sum(total));
    store_one(sums[k] + (out.channels + o) * out.rows + y, sum(weighted) * inverse(variance[k][o], epsilon));
  }
};

// Sums of rows [S, O, rows] -> S arrays [O].
struct Totals {
  static constexpr int BLOCKS = 8;
  static constexpr bool SHARES = false;

  int channels, rows;
  Floats sums;
  FloatsOut totals[2];

  DEVICE void compute(const float*, Place at) const {
    const int o = at.x * WARPS + at.warp;
    if (o >= channels) return;
    Double total{};
    SOME for (int first = 0; first < rows; first += LANES) {
      const Lanes lanes(rows - first);
      total += wide(lanes.live(lanes.load(sums[at.z] + (at.y * channels + o) * rows + first)));
    }
    store_one(totals[at.y][at.z] + o, float(sum(total)));
  }
};

// The gradient of the result -> that of the pooled pixels [O, N, M, B], and its sums of each row, [O, N]. A warp has a
// row.
//
// What is zero is zero times the gradient, so that NaN and infinity reach all that depends on their channel.
struct Unnormalize : Norm {
  static constexpr int BLOCKS = 8;
  static constexpr bool SHARES = false;

  Floats gradient, d_scale, d_offset;
  FloatsOut pooled, sums;

  DEVICE void compute(const float*, Place at) const {
    const int y = at.x * WARPS + at.warp, o = at.y, k = at.z;
    if (y >= out.rows) return;
    const float center = mean[k][o], inv = inverse(variance[k][o], epsilon), slope = scale[k][o] * inv;
    const float count = float(out.plane()), pull = slope * inv * d_scale[k][o] / count;
    const float offset = -slope * d_offset[k][o] / count;
    Float total{};
    for (int first = 0; first < out.batch; first += LANES) {
      const Lanes lanes(out.batch - first);
      const float *from = gradient[k] + row(padded, o, y) + first, *forward = active[k] + row(stored, o, y) + first;
      SOME for (int x = 0; x < out.columns; x++) {
        const Float kept = lanes.load(forward + x * out.batch), was = activation(kept);
        Float value = after_dropout(lanes.load(from + x * out.batch), kept, factor);
        value = value * slope - (was - center) * pull + offset;
        value = was > 0 ? value : value * 0.0f;
        lanes.store(pooled[k] + o * out.plane() + out.at(y, x) + first, value);
        total += lanes.live(value);
      }
    }
    store_one(sums[k] + o * out.rows + y, sum(total));
  }
};

}  // namespace study
