// Forward, the convolution on tensor cores: for blocks whose channels come by eights and filters by sixteens. Its rest,
// arguments and results are those of Activate.
//
// A product is of 16 filters, 8 channels and 8 examples, and a warp has 16 filters and the 32 examples of one pooled
// pixel: example 4 group + j is column `group` of product j, so that a lane reads four examples beside each other, and
// has eight beside each other of each sum.

#pragma once

#include "forward.h"
#include "fragments.h"

namespace study {

// With PRODUCTS == 1 pixels and kernels are rounded to TF32. With 3 each is the sum of two such numbers, of which the
// product of the lower two is left out: float32 but for some 2^-21 of it. What is infinite becomes NaN.
template <int PRODUCTS, int BATCH, int READS>
struct Multiply : Activation {
  static constexpr int BLOCKS = 2;
  static constexpr bool SHARES = true, ALL = BATCH == LANES;
  static constexpr int FRAGMENT = 4 * LANES, PARTS = Coarse<PRODUCTS, 4>::PARTS;
  static constexpr int KERNELS = 9 * PARTS * FRAGMENT;
  static constexpr int FLOATS = KERNELS + READS * DEPTH * Before::FLOATS;  // of 8 channels, shared

  DEVICE int warps() const { return out.pixels() * out.warps(); }

  // For each 8 channels [9, PARTS, LANES, 4], what the lanes have of the block's filters; then the channels' norms.
  DEVICE void fill(float* weights, int first, int step, Place at) const {
    for (int i = first; i < in.channels / DEPTH * 9 * FRAGMENT; i += step) {
      const int own = i % 4, lane = i / 4 % LANES, tap = i / FRAGMENT % 9, eight = i / FRAGMENT / 9;
      const int o = at.y * ROWS + lane / 4 + own % 2 * 8, c = eight * DEPTH + lane % 4 + own / 2 * 4;
      Coarse<PRODUCTS, 1, float> weight;
      weight.set(0, kernel[at.z][(tap * in.channels + c) * out.channels + o]);
      float* to = weights + eight * FLOATS + tap * PARTS * FRAGMENT + i % FRAGMENT;
      UNROLL for (int j = 0; j < PARTS; j++) to[j * FRAGMENT] = weight.numbers[j];
    }
    if constexpr (READS)
      for (int c = first; c < in.channels; c += step)
        before.fill(weights + c / DEPTH * FLOATS + KERNELS + c % DEPTH * Before::FLOATS, at.z, c);
  }

  DEVICE void compute(const float* weights, Place at) const {
    const int number = at.x * WARPS + at.warp, batch = BATCH ? BATCH : in.batch;
    if (number >= warps()) return;
    const int pixel = number / out.warps(), row = pixel / out.columns, column = pixel % out.columns;
    const int skipped = number % out.warps() * LANES, left = batch - skipped;
    const int line = in.columns * batch, plane = in.rows * line;
    const Word member = lane() & 3u, example = (lane() >> 2) * 4u;
    const float* square = x[at.z] + 2 * row * line + 2 * column * batch + skipped;
    Float sums[4][4][4] = {};  // candidates, products, a lane's own
    ROLLED for (int c = 0; c < in.channels; c += DEPTH, square += DEPTH * plane, weights += FLOATS) {
      Affine<Float> of[2];
      if constexpr (READS) {
        UNROLL for (int h = 0; h < 2; h++) of[h] = own_affine(weights + KERNELS, member + 4u * h);
      }
      Float next[2][4];
      UNROLL for (int h = 0; h < 2; h++)
        load_four<ALL>(square, (member + 4u * h) * uint32_t(plane), example, left, next[h]);
      UNROLL for (int p = 0; p < 16; p++) {
        Coarse<PRODUCTS, 2> pixels[4];
        UNROLL for (int h = 0; h < 2; h++) {
          UNROLL for (int j = 0; j < 4; j++) {
            Float value = next[h][j];
            if constexpr (READS) value = normalized(value, of[h], before.factor);
            pixels[j].set(h, value);
          }
          const float* from = square + (p + 1) / 4 * line + (p + 1) % 4 * batch;
          if (p < 15) load_four<ALL>(from, (member + 4u * h) * uint32_t(plane), example, left, next[h]);
        }
        UNROLL for (int t = 0; t < 9; t++) {
          const int down = p / 4 - t / 3, right = p % 4 - t % 3;
          if (down < 0 || down > 1 || right < 0 || right > 1) continue;
          Coarse<PRODUCTS, 4> kernels;
          UNROLL for (int i = 0; i < PARTS; i++) own<4>(weights + (t * PARTS + i) * FRAGMENT, kernels.part(i));
          UNROLL for (int i = 0; i < PRODUCTS; i++)
            UNROLL for (int j = 0; j < 4; j++) add_product(i, sums[down * 2 + right][j], kernels, pixels[j]);
        }
      }
    }
    UNROLL for (int half = 0; half < 2; half++) finish(sums, half, at, number, row, column, skipped, left);
  }

 private:
  // Of the filters `group` or those eight after: pooling, bias, ReLU and what is stored.
  DEVICE void finish(const Float sums[4][4][4], int half, Place at, int number, int row, int column, int skipped,
                     int left) const {
    const Word o = (lane() >> 2) + uint32_t(at.y * ROWS + half * 8), example = (lane() & 3u) * 8u;
    const int border = (stored.rows - out.rows) / 2;
    const Dropout dropout(rate, seed[at.z], out.channels * out.plane());
    const Float shift = study::at(bias[at.z], o);
    const Word place = o * uint32_t(out.plane()) + uint32_t(out.at(row, column) + skipped);
    const Word to = o * uint32_t(stored.plane()) + uint32_t(stored.at(row + border, column + border) + skipped);
    Float values[8], marked[8];
    Word which[8];
    UNROLL for (int e = 0; e < 8; e++) {  // examples 8 member + 4 i + j
      const int j = e % 4, own = half * 2 + e / 4;
      Float best = sums[0][j][own];
      which[e] = Word{};
      UNROLL for (int q = 1; q < 4; q++) better_of(best, which[e], sums[q][j][own], q);
      values[e] = positive(best + shift);
      marked[e] = dropout(values[e], place + example + uint32_t(e));
    }
    UNROLL for (int i = 0; i < 8; i += 4) {
      store_four<ALL>(active[at.z], to, example + uint32_t(i), left, marked + i);
      store_four<ALL>(chosen[at.z], place, example + uint32_t(i), left, which + i);
    }
    if (border) surround(at, o, row, column, skipped, example, left);
    if (parts.data) add_up(values, example, least(LANES, left), parts[at.z] + number, o * uint32_t(warps()));
  }

  DEVICE void surround(Place at, Word o, int y, int x, int skipped, Word example, int left) const {
    const Float none[4] = {dropped(Float{}), dropped(Float{}), dropped(Float{}), dropped(Float{})};
    const Edge edge(out, y, x);
    ROLLED for (int i = edge.top; i <= edge.bottom; i++)
      ROLLED for (int j = edge.left; j <= edge.right; j++) {
        if (i == y && j == x) continue;
        const Word to = o * uint32_t(stored.plane()) + uint32_t(stored.at(i + 1, j + 1) + skipped);
        UNROLL for (int e = 0; e < 8; e += 4) store_four<ALL>(active[at.z], to, example + uint32_t(e), left, none);
      }
  }

  DEVICE void add_up(const Float values[8], Word example, int examples, float* to, Word place) const {
    const int apart = out.channels * warps();
    Float total{}, squares{};
    UNROLL for (int e = 0; e < 8; e++) total += example + uint32_t(e) < uint32_t(examples) ? values[e] : Float{};
    const Float all = sum_of_group(total), mean = all / float(examples);
    UNROLL for (int e = 0; e < 8; e++) {
      const Float deviation = values[e] - mean;
      squares += example + uint32_t(e) < uint32_t(examples) ? deviation * deviation : Float{};
    }
    const auto first = (lane() & 3u) == 0u;
    put(to, place, Float{} + float(examples), first);
    put(to + apart, place, all, first);
    put(to + 2 * apart, place, sum_of_group(squares), first);
  }
};

}  // namespace study
