// Forward: convolution 3 x 3, 2 x 2 max-pooling, bias and ReLU in one kernel, with partial sums for the batch norm;
// mean and variance; normalization and dropout.

#pragma once

#include "dropout.h"

namespace study {

DEVICE Float positive(Float value) { return (value > 0) | (value != value) ? value : Float{}; }

DEVICE float inverse(float variance, float epsilon) { return 1.0f / sqrtf(variance + epsilon); }

// x [C, P, Q, B], padded, kernel [3, 3, C, O], bias [O] -> active and chosen [O, N, M, B]; and, if asked for, of each
// warp's activations their number, sum and squared deviations from the warp's own mean, [3, O, warps] at the start of
// `parts`.
struct Activation {
  Shape in, out;
  Floats x, kernel, bias;
  FloatsOut active;
  Each<uint8_t> chosen;
  FloatsOut parts;
};

// A warp has WINDOWS pooled pixels of a row and FILTERS filters; their 4 candidates each stay in registers while it
// goes through the channels. BATCH is that of the arrays if it is known to the compiler, else 0.
template <int FILTERS, int WINDOWS, int BATCH>
struct Activate : Activation {
  static constexpr int BLOCKS = BATCH && WINDOWS <= 2 ? 4 : 3;
  static constexpr bool SHARES = true;

  DEVICE int across() const { return (out.columns + WINDOWS - 1) / WINDOWS; }
  DEVICE int warps() const { return out.rows * across() * out.warps(); }

  // Kernels of the block's filters, [C, 3, 3, FILTERS].
  DEVICE void fill(float* weights, int first, int step, Place at) const {
    const int outputs = out.channels;
    for (int i = first; i < in.channels * 9 * FILTERS; i += step) {
      const int tap = i / FILTERS % 9, c = i / FILTERS / 9, o = at.y * FILTERS + i % FILTERS;
      weights[i] = o < outputs ? kernel[at.z][(tap * in.channels + c) * outputs + o] : 0.0f;
    }
  }

  DEVICE void compute(const float* weights, Place at) const {
    const int number = at.x * WARPS + at.warp, batch = BATCH ? BATCH : in.batch;
    if (number >= warps()) return;
    const int group = number % out.warps(), row = number / out.warps() / across();
    const int owned = number / out.warps() % across() * WINDOWS;
    const int column = least(owned, out.columns - WINDOWS);  // the last of a row may have some of its neighbour's
    const Lanes lanes(batch - LANES * group);
    const int line = in.columns * batch;
    const float* square = x[at.z] + (2 * row * in.columns + 2 * column) * batch + LANES * group;
    Float sums[WINDOWS][4][FILTERS] = {};
    ROLLED for (int c = 0; c < in.channels; c++, square += in.rows * line, weights += 9 * FILTERS) {
      Float pixels[4][2 * WINDOWS + 2];
      UNROLL for (int r = 0; r < 4; r++)
        UNROLL for (int s = 0; s < 2 * WINDOWS + 2; s++) pixels[r][s] = lanes.load(square + r * line + s * batch);
      UNROLL for (int t = 0; t < 9; t++)
        UNROLL for (int f = 0; f < FILTERS; f++)
          UNROLL for (int w = 0; w < WINDOWS; w++)
            UNROLL for (int q = 0; q < 4; q++)
              sums[w][q][f] += pixels[t / 3 + q / 2][t % 3 + q % 2 + 2 * w] * weights[t * FILTERS + f];
    }
    UNROLL for (int f = 0; f < FILTERS; f++) {
      const int o = at.y * FILTERS + f;
      if (o >= out.channels) break;
      Float values[WINDOWS];
      UNROLL for (int w = 0; w < WINDOWS; w++) {
        Float best = sums[w][0][f];
        Word which{};
        UNROLL for (int q = 1; q < 4; q++) {
          // The first of equals; what is not a number wins and stays, as in jnp.maximum.
          const auto better = (sums[w][q][f] > best) | (sums[w][q][f] != sums[w][q][f]);
          best = better ? sums[w][q][f] : best;
          which = better ? Word{} + uint32_t(q) : which;
        }
        values[w] = positive(best + bias[at.z][o]);
        if (column + w < owned) continue;
        const int place = o * out.plane() + out.at(row, column + w) + LANES * group;
        lanes.store(active[at.z] + place, values[w]);
        lanes.store(chosen[at.z] + place, which);
      }
      if (parts.data) add_up(values, lanes, owned - column, least(LANES, batch - LANES * group),
                             parts[at.z] + o * warps() + number);
    }
  }

 private:
  DEVICE void add_up(const Float values[WINDOWS], const Lanes& lanes, int first, int examples, float* to) const {
    const int apart = out.channels * warps();
    const float count = float((WINDOWS - first) * examples);
    Float total{}, squares{};
    UNROLL for (int w = 0; w < WINDOWS; w++)
      if (w >= first) total += values[w];
    const float all = sum(lanes.live(total)), mean = all / count;
    UNROLL for (int w = 0; w < WINDOWS; w++)
      if (w >= first) squares += (values[w] - mean) * (values[w] - mean);
    store_one(to, count);
    store_one(to + apart, all);
    store_one(to + 2 * apart, sum(lanes.live(squares)));
  }
};

// The warps' sums [3, O, parts] -> mean and biased variance [O]. A variance beyond float32 is NaN, since an infinite
// one would make zeros of all activations.
struct Moments {
  static constexpr int BLOCKS = 4;
  static constexpr bool SHARES = false;

  int channels, count;
  Floats parts;
  FloatsOut mean, variance;

  DEVICE void compute(const float*, Place at) const {
    const int o = at.x * WARPS + at.warp;
    if (o >= channels) return;
    const float* counts = parts[at.z] + o * count;
    const float *totals = counts + channels * count, *squares = totals + channels * count;
    Double numbers{}, total{}, spread{};
    SOME for (int first = 0; first < count; first += LANES) {
      const Lanes lanes(count - first);
      numbers += wide(lanes.live(lanes.load(counts + first)));
      total += wide(lanes.live(lanes.load(totals + first)));
    }
    const double all = sum(numbers), center = sum(total) / all;
    SOME for (int first = 0; first < count; first += LANES) {
      const Lanes lanes(count - first);
      const Double of = wide(lanes.live(lanes.load(counts + first))), one = wide(lanes.load(counts + first));
      const Double apart = wide(lanes.load(totals + first)) / one - center;
      spread += wide(lanes.live(lanes.load(squares + first))) + of * apart * apart;
    }
    const float found = float(sum(spread) / all);
    store_one(mean[at.z] + o, float(center));
    store_one(variance[at.z] + o, found - found == 0 ? found : NAN);
  }
};

// Batch norm and dropout of active [O, N, M, B]; mean, variance and scale [O]. `padded` is the shape of the result.
struct Norm {
  Shape out, padded;
  float epsilon;
  Rate rate;
  Each<const uint32_t> seed;
  Floats active, mean, variance, scale;
};

// -> normalized by them and offset [O], some dropped, with zeros for a border if there is one. A warp has a row.
struct Normalize : Norm {
  static constexpr int BLOCKS = 8;
  static constexpr bool SHARES = false;

  Floats offset;
  FloatsOut result;

  DEVICE void compute(const float*, Place at) const {
    const int y = at.x * WARPS + at.warp, o = at.y, k = at.z, border = (padded.rows - out.rows) / 2;
    if (y >= padded.rows) return;
    const Dropout dropout(rate, seed[k], out.channels * out.plane());
    const float center = mean[k][o], slope = scale[k][o] * inverse(variance[k][o], epsilon), beta = offset[k][o];
    const bool inside = y >= border && y < out.rows + border;
    for (int first = 0; first < out.batch; first += LANES) {
      const Lanes lanes(out.batch - first);
      float* to = result[k] + o * padded.plane() + padded.at(y, 0) + first;
      for (int x = 0; x < padded.columns; x += inside && border ? padded.columns - 1 : 1)
        if (border) lanes.store(to + x * out.batch, Float{});
      if (!inside) continue;
      SOME for (int x = 0; x < out.columns; x++) {
        const int place = o * out.plane() + out.at(y - border, x) + first;
        const Float value = (lanes.load(active[k] + place) - center) * slope + beta;
        lanes.store(to + (x + border) * out.batch, dropout(value, place, lanes));
      }
    }
  }
};

}  // namespace study
