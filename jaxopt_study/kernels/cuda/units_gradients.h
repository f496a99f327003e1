// The gradients of the convolution on tensor cores, for the blocks that units.h takes, with its products. Arguments and
// results are those of InputGradient and KernelGradient.

#pragma once

#include "fragments.h"
#include "gradients.h"

namespace study {

// What a lane has of the pooled pixels' gradients: of two filters, of four examples beside each other.
struct Pooled {
  Float values[2][4];
  Word chosen[2][4];

  // From those of the first filter on, `apart` numbers before those of the second.
  template <bool ALL>
  DEVICE void load(const Convolution& of, int k, Word first, int apart, Word example, int left) {
    UNROLL for (int i = 0; i < 2; i++) {
      load_four<ALL>(of.pooled[k], first + uint32_t(i * apart), example, left, values[i]);
      load_four<ALL>(of.chosen[k], first + uint32_t(i * apart), example, left, chosen[i]);
    }
  }
};

// Of the gradient of a candidate what the product wants: all where it was chosen, else zero times it.
template <int PRODUCTS>
DEVICE Coarse<PRODUCTS, 4> routed(const Coarse<PRODUCTS, 4>& pooled, const Word chosen[4], int q) {
  Coarse<PRODUCTS, 4> found;
  UNROLL for (int i = 0; i < 4; i++) {
    const auto its = chosen[i] == uint32_t(q);
    found.part(0)[i] = its ? pooled.part(0)[i] : pooled.part(0)[i] * 0.0f;
    if constexpr (PRODUCTS == 3) found.part(1)[i] = its ? pooled.part(1)[i] : Float{};
  }
  return found;
}

// -> gradient of the padded image. A product is of 16 examples, 8 filters and 8 channels, and a warp has the 32
// examples of a square of 2 x 2 pixels and 16 channels, or of two squares beside each other and 8: example
// 4 group + 2 i + h is row group + 8 h of product i, so that a lane reads and writes four examples beside each other.
template <int PRODUCTS, int EIGHTS, int BATCH>
struct MultiplyForInput : Convolution {
  static constexpr int BLOCKS = 2, CHANNELS = 8 * EIGHTS, SQUARES = 3 - EIGHTS;
  static constexpr bool SHARES = true, ALL = BATCH == LANES;
  static constexpr int OWN = 2 * Coarse<PRODUCTS, 2>::PARTS;  // that a lane has of 8 x 8 kernels
  static constexpr int FLOATS = 9 * EIGHTS * LANES * OWN;     // of 8 filters, shared

  FloatsOut gradient;

  // Squares as InputGradient has them; those that are all border by themselves.
  DEVICE int across() const { return (in.columns / 2 + SQUARES - 1) / SQUARES + 1; }
  DEVICE int warps() const { return (in.rows / 2 + 1) * across() * in.warps(); }

  // For each 8 filters [9, EIGHTS, LANES, OWN], what the lanes have of the block's channels.
  DEVICE void fill(float* weights, int first, int step, Place at) const {
    for (int i = first; i < out.channels * 9 * CHANNELS; i += step) {
      const int half = i % 2, lane = i / 2 % LANES, eight = i / 2 / LANES % EIGHTS, rest = i / 2 / LANES / EIGHTS;
      const int tap = rest % 9, o = rest / 9 * DEPTH + lane % 4 + half * 4, c = at.y * CHANNELS + eight * 8 + lane / 4;
      Coarse<PRODUCTS, 1, float> weight;
      weight.set(0, kernel[at.z][(tap * in.channels + c) * out.channels + o]);
      UNROLL for (int j = 0; j < OWN / 2; j++) weights[i / 2 * OWN + 2 * j + half] = weight.numbers[j];
    }
  }

  DEVICE void compute(const float* weights, Place at) const {
    const int number = at.x * WARPS + at.warp, batch = BATCH ? BATCH : in.batch;
    if (number >= warps()) return;
    const int row = number / in.warps() / across() - 1, column = (number / in.warps() % across() - 1) * SQUARES;
    const int skipped = number % in.warps() * LANES, left = batch - skipped;
    const Word member = lane() & 3u, example = (lane() >> 2) * 4u, mine = member * uint32_t(out.plane());
    const bool border = row < 0 || column < 0 || 2 * row + 2 == in.rows || 2 * column + 2 >= in.columns;
    Float sums[2][2 * SQUARES][EIGHTS][2][4] = {};  // rows, columns, channels, products, a lane's own
    // Eight filters after the others, of the pooled pixels on the squares and around them; where there is none the
    // nearest is read, and not added.
    Pooled next;
    const int begin = near(row - 1, column - 1);
    next.load<ALL>(*this, at.z, mine + uint32_t(begin * batch + skipped), 4 * out.plane(), example, left);
    ROLLED for (int o = 0; o < (border ? 0 : out.channels); o += DEPTH, weights += FLOATS) {
      UNROLL for (int n = 0; n < 3 * AROUND; n++) {
        const int down = n / AROUND - 1, right = n % AROUND - 1;
        Coarse<PRODUCTS, 4> values[2];
        Word which[2][4];
        UNROLL for (int i = 0; i < 2; i++)
          UNROLL for (int own = 0; own < 4; own++) {
            values[i].set(own, next.values[own / 2][2 * i + own % 2]);
            which[i][own] = next.chosen[own / 2][2 * i + own % 2];
          }
        const int m = (n + 1) % (3 * AROUND), filters = m ? o : least(o + DEPTH, out.channels - DEPTH);
        const int then = filters * out.pixels() + near(row + m / AROUND - 1, column + m % AROUND - 1);
        next.load<ALL>(*this, at.z, mine + uint32_t(then * batch + skipped), 4 * out.plane(), example, left);
        if (row + down < 0 || row + down >= out.rows || column + right < 0 || column + right >= out.columns) continue;
        UNROLL for (int q = 0; q < 4; q++) {
          const int r = 2 * down + q / 2, s = 2 * right + q % 2;  // of the candidate, from the first square's on
          if (r < -1 || r > 2 || s < -1 || s > 2 * SQUARES) continue;
          const Coarse<PRODUCTS, 4> gradients[2] = {routed(values[0], which[0], q), routed(values[1], which[1], q)};
          UNROLL for (int tap = 0; tap < 9; tap++) {
            const int y = r + tap / 3 - 1, x = s + tap % 3 - 1;
            if (y < 0 || y > 1 || x < 0 || x >= 2 * SQUARES) continue;
            Coarse<PRODUCTS, 2> kernels[EIGHTS];
            UNROLL for (int e = 0; e < EIGHTS; e++)
              own<OWN>(weights + (tap * EIGHTS + e) * LANES * OWN, kernels[e].numbers);
            UNROLL for (int product = 0; product < PRODUCTS; product++)
              UNROLL for (int e = 0; e < EIGHTS; e++)
                UNROLL for (int i = 0; i < 2; i++) add_product(product, sums[y][x][e][i], gradients[i], kernels[e]);
          }
        }
      }
    }
    UNROLL for (int i = 0; i < 4 * SQUARES; i++) {
      const int y = i / (2 * SQUARES), x = i % (2 * SQUARES);
      store(sums[y][x], at, 2 * row + y + 1, 2 * column + x + 1, skipped, left);
    }
  }

 private:
  static constexpr int AROUND = SQUARES + 2;

  // The nearest pooled pixel.
  DEVICE int near(int y, int x) const {
    y = y < 0 ? 0 : least(y, out.rows - 1), x = x < 0 ? 0 : least(x, out.columns - 1);
    return y * out.columns + x;
  }

  // A pixel of the padded image, if it has that.
  DEVICE void store(const Float sums[EIGHTS][2][4], Place at, int y, int x, int skipped, int left) const {
    if (y < 0 || y >= in.rows || x < 0 || x >= in.columns) return;
    const bool border = y == 0 || y == in.rows - 1 || x == 0 || x == in.columns - 1;
    UNROLL for (int c = 0; c < 2 * EIGHTS; c++) {
      Float values[4];
      UNROLL for (int j = 0; j < 4; j++) values[j] = border ? Float{} : sums[c / 2][j / 2][j % 2 * 2 + c % 2];
      const Word channel = (lane() & 3u) * 2u + uint32_t(at.y * CHANNELS + c / 2 * 8 + c % 2);
      const Word place = channel * uint32_t(in.plane()) + uint32_t(in.at(y, x) + skipped);
      store_four<ALL>(gradient[at.z], place, (lane() >> 2) * 4u, left, values);
    }
  }
};

// -> gradient of the kernel, [parts, 3, 3, C, O]. A product is of 16 filters, 8 examples and 8 channels, and a warp has
// 16 filters, 8 channels and the pixels of a part: example 4 member + 2 i + h is column member + 4 h of product i, so
// that a lane reads four examples beside each other. With READS == 1 it normalizes what it reads.
template <int PRODUCTS, int BATCH, int READS>
struct MultiplyForKernel : Convolution {
  static constexpr int BLOCKS = 2, EXAMPLES = 16;
  static constexpr bool SHARES = READS, ALL = BATCH == LANES;

  Before before;  // of x, if it is not normalized
  int parts;
  FloatsOut gradient;

  DEVICE int warps() const { return parts * (in.channels / 8) * (out.channels / ROWS); }

  DEVICE void fill(float* norms, int first, int step, Place at) const {
    before.fill_all(norms, first, step, at.z, in.channels);
  }

  DEVICE void compute(const float* norms, Place at) const {
    const int number = at.x * WARPS + at.warp, batch = BATCH ? BATCH : in.batch;
    if (number >= warps()) return;
    // Warps beside each other read the same pixels.
    const int filters = out.channels / ROWS, eights = in.channels / 8, part = number / filters / eights;
    const Word group = lane() >> 2, member = lane() & 3u, example = member * 4u;
    const Word o = group + uint32_t(number % filters * ROWS), c = group + uint32_t(number / filters % eights * 8);
    Affine<Float> of;
    if constexpr (READS) of = own_affine(norms, c);
    const int pixels = (out.pixels() + parts - 1) / parts, steps = (batch + EXAMPLES - 1) / EXAMPLES;
    const int line = in.columns * batch;
    Float sums[9][4] = {};
    Step now = step(part * pixels * steps, batch);
    Pooled next;
    Float row[4][4];
    next.load<ALL>(*this, at.z, o * uint32_t(out.plane()) + uint32_t(now.pooled), 8 * out.plane(), example, now.left);
    load_row(x[at.z] + now.image, batch, c, example, now.left, row);
    ROLLED for (int n = part * pixels * steps; n < least((part + 1) * pixels, out.pixels()) * steps; n++) {
      const Step then = step(n + 1, batch);
      Coarse<PRODUCTS, 4> gradients[4][2];
      UNROLL for (int i = 0; i < 2; i++) {
        Coarse<PRODUCTS, 4> values;
        Word which[4];
        UNROLL for (int own = 0; own < 4; own++) {
          const int j = 2 * i + own / 2;
          Float value = next.values[own % 2][j];
          if constexpr (!ALL) value = example + uint32_t(j) < uint32_t(now.left) ? value : Float{};
          values.set(own, value);
          which[own] = next.chosen[own % 2][j];
        }
        UNROLL for (int q = 0; q < 4; q++) gradients[q][i] = routed(values, which, q);
      }
      next.load<ALL>(*this, at.z, o * uint32_t(out.plane()) + uint32_t(then.pooled), 8 * out.plane(), example,
                     then.left);
      UNROLL for (int r = 0; r < 4; r++) {
        Coarse<PRODUCTS, 2> images[4][2];
        UNROLL for (int s = 0; s < 4; s++)
          UNROLL for (int j = 0; j < 4; j++) {
            Float value = row[s][j];
            if constexpr (READS) value = normalized(value, of, before.factor);
            images[s][j / 2].set(j % 2, value);
          }
        if (r < 3)
          load_row(x[at.z] + now.image + (r + 1) * line, batch, c, example, now.left, row);
        else
          load_row(x[at.z] + then.image, batch, c, example, then.left, row);
        UNROLL for (int i = 0; i < 2; i++)
          UNROLL for (int product = 0; product < PRODUCTS; product++)
            UNROLL for (int q = 0; q < 4; q++)
              UNROLL for (int u = 0; u < 3; u++) {
                const int t = r - q % 2, v = q / 2;  // candidates of a column one after the other: they have other sums
                if (t >= 0 && t < 3)
                  add_product(product, sums[t * 3 + u], gradients[q % 2 * 2 + v][i], images[u + v][i]);
              }
      }
      now = then;
    }
    UNROLL for (int t = 0; t < 9; t++)
      UNROLL for (int own = 0; own < 4; own++) {
        const Word channel = member * 2u + uint32_t(number / filters % eights * 8 + own % 2);
        put(gradient[at.z] + (part * 9 + t) * in.channels * out.channels + own / 2 * 8,
            channel * uint32_t(out.channels) + o, sums[t][own]);
      }
  }

 private:
  // Where 16 examples of a pixel are, and how many there are from the first of them on.
  struct Step {
    int image, pooled, left;
  };

  // The n-th of all pixels; the last pixel for those after it, which are read and not used.
  DEVICE Step step(int n, int batch) const {
    const int steps = (batch + EXAMPLES - 1) / EXAMPLES, first = n % steps * EXAMPLES;
    const int p = least(n / steps, out.pixels() - 1), row = p / out.columns, column = p % out.columns;
    return {2 * (row * in.columns + column) * batch + first, p * batch + first, batch - first};
  }

  DEVICE void load_row(const float* from, int batch, Word c, Word example, int left, Float row[4][4]) const {
    UNROLL for (int s = 0; s < 4; s++)
      load_four<ALL>(from + s * batch, c * uint32_t(in.plane()), example, left, row[s]);
  }
};

}  // namespace study
