// Forward: convolution 3 x 3, 2 x 2 max-pooling, bias and ReLU in one kernel, with partial sums for the batch norm;
// mean and variance; normalization and dropout, unless who reads the activations does it.

#pragma once

#include "norm.h"

namespace study {

DEVICE Float positive(Float value) { return (value > 0) | (value != value) ? value : Float{}; }

// Of the candidates of a pooled pixel the first of equals; what is not a number wins and stays, as in jnp.maximum.
DEVICE void better_of(Float& best, Word& which, Float candidate, int q) {
  const auto better = (candidate > best) | (candidate != candidate);
  best = better ? candidate : best;
  which = better ? Word{} + uint32_t(q) : which;
}

// The pixels from `left` to `right` and from `top` to `bottom` around one are the part of a border that is next to it.
struct Edge {
  int top, bottom, left, right;

  DEVICE Edge(const Shape& out, int y, int x)
      : top(y == 0 ? -1 : y), bottom(y == out.rows - 1 ? y + 1 : y), left(x == 0 ? -1 : x),
        right(x == out.columns - 1 ? x + 1 : x) {}
};

// x [C, P, Q, B], padded, kernel [3, 3, C, O], bias [O] -> active [O, N, M, B], with a border if `stored` has one, and
// chosen [O, N, M, B]; and, if asked for, of each warp's activations their number, sum and squared deviations from the
// warp's own mean, [3, O, warps] at the start of `parts`.
struct Activation {
  Shape in, out, stored;
  Rate rate;
  Each<const uint32_t> seed;
  Before before;  // of x, if it is not normalized
  Floats x, kernel, bias;
  FloatsOut active;
  Each<uint8_t> chosen;
  FloatsOut parts;
};

// A warp has WINDOWS pooled pixels of a row and FILTERS filters; their 4 candidates each stay in registers while it
// goes through the channels. BATCH is that of the arrays if it is known to the compiler, else 0. With READS == 1 it
// normalizes what it reads.
template <int FILTERS, int WINDOWS, int BATCH, int READS>
struct Activate : Activation {
  static constexpr int BLOCKS = BATCH && WINDOWS <= 2 ? 4 : 3;
  static constexpr bool SHARES = true;
  static constexpr int FLOATS = 9 * FILTERS + READS * Before::FLOATS;  // of a channel, shared

  DEVICE int across() const { return (out.columns + WINDOWS - 1) / WINDOWS; }
  DEVICE int warps() const { return out.rows * across() * out.warps(); }

  // Kernels of the block's filters, [C, FLOATS], of which the first are [3, 3, FILTERS].
  DEVICE void fill(float* weights, int first, int step, Place at) const {
    const int outputs = out.channels;
    for (int i = first; i < in.channels * 9 * FILTERS; i += step) {
      const int tap = i / FILTERS % 9, c = i / FILTERS / 9, o = at.y * FILTERS + i % FILTERS;
      weights[c * FLOATS + i % (9 * FILTERS)] =
          o < outputs ? kernel[at.z][(tap * in.channels + c) * outputs + o] : 0.0f;
    }
    if constexpr (READS)
      for (int c = first; c < in.channels; c += step) before.fill(weights + c * FLOATS + 9 * FILTERS, at.z, c);
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
    ROLLED for (int c = 0; c < in.channels; c++, square += in.rows * line, weights += FLOATS) {
      Float pixels[4][2 * WINDOWS + 2];
      UNROLL for (int r = 0; r < 4; r++)
        UNROLL for (int s = 0; s < 2 * WINDOWS + 2; s++) pixels[r][s] = lanes.load(square + r * line + s * batch);
      if constexpr (READS) {
        const Affine<float> of = Before::affine(weights + 9 * FILTERS);
        UNROLL for (int r = 0; r < 4; r++)
          UNROLL for (int s = 0; s < 2 * WINDOWS + 2; s++) pixels[r][s] = normalized(pixels[r][s], of, before.factor);
      }
      UNROLL for (int t = 0; t < 9; t++)
        UNROLL for (int f = 0; f < FILTERS; f++)
          UNROLL for (int w = 0; w < WINDOWS; w++)
            UNROLL for (int q = 0; q < 4; q++)
              sums[w][q][f] += pixels[t / 3 + q / 2][t % 3 + q % 2 + 2 * w] * weights[t * FILTERS + f];
    }
    const int border = (stored.rows - out.rows) / 2;
    const Dropout dropout(rate, seed[at.z], out.channels * out.plane());
    UNROLL for (int f = 0; f < FILTERS; f++) {
      const int o = at.y * FILTERS + f;
      if (o >= out.channels) break;
      float* const to = active[at.z] + o * stored.plane() + stored.at(border, border) + LANES * group;
      Float values[WINDOWS];
      UNROLL for (int w = 0; w < WINDOWS; w++) {
        Float best = sums[w][0][f];
        Word which{};
        UNROLL for (int q = 1; q < 4; q++) better_of(best, which, sums[w][q][f], q);
        values[w] = positive(best + bias[at.z][o]);
        if (column + w < owned) continue;
        const int place = o * out.plane() + out.at(row, column + w) + LANES * group;
        lanes.store(to + stored.at(row, column + w), dropout(values[w], place, lanes));
        lanes.store(chosen[at.z] + place, which);
        if (border) surround(to, row, column + w, lanes);
      }
      if (parts.data) add_up(values, lanes, owned - column, least(LANES, batch - LANES * group),
                             parts[at.z] + o * warps() + number);
    }
  }

 private:
  DEVICE void surround(float* to, int y, int x, const Lanes& lanes) const {
    const Edge edge(out, y, x);
    ROLLED for (int i = edge.top; i <= edge.bottom; i++)
      ROLLED for (int j = edge.left; j <= edge.right; j++)
        if (i != y || j != x) lanes.store(to + stored.at(i, j), dropped(Float{}));
  }

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

// Batch norm and dropout of active [O, N, M, B], with a border if `stored` has one; mean, variance and scale [O].
// `padded` is the shape of the result.
struct Norm {
  Shape out, stored, padded;
  float epsilon, factor;
  Floats active, mean, variance, scale;

  // The first pixel of a row inside an image of this shape.
  DEVICE int row(const Shape& image, int o, int y) const {
    const int border = (image.rows - out.rows) / 2;
    return o * image.plane() + image.at(y + border, border);
  }
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
    const Affine<float> of{mean[k][o], scale[k][o] * inverse(variance[k][o], epsilon), offset[k][o]};
    const bool inside = y >= border && y < out.rows + border;
    for (int first = 0; first < out.batch; first += LANES) {
      const Lanes lanes(out.batch - first);
      float* to = result[k] + o * padded.plane() + padded.at(y, 0) + first;
      for (int x = 0; x < padded.columns; x += inside && border ? padded.columns - 1 : 1)
        if (border) lanes.store(to + x * out.batch, Float{});
      if (!inside) continue;
      const float* from = active[k] + row(stored, o, y - border) + first;
      SOME for (int x = 0; x < out.columns; x++)
        lanes.store(to + (x + border) * out.batch, normalized(lanes.load(from + x * out.batch), of, factor));
    }
  }
};

}  // namespace study
