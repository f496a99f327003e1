// The gradients of the convolution, from those of the pooled pixels [O, N, M, B] and the candidate that each chose.
//
// The others of its four get zero times the gradient.

#pragma once

#include "norm.h"

namespace study {

// x [C, P, Q, B], padded, kernel [3, 3, C, O], pooled and chosen [O, N, M, B].
struct Convolution {
  Shape in, out;
  Floats x, kernel, pooled;
  Each<const uint8_t> chosen;
};

// -> gradient of the kernel, [parts, 3, 3, C, O]. A warp has CHANNELS x FILTERS kernels and the
// pixels of a part; its 9 sums a kernel and an example stay in registers. With READS == 1 it normalizes what it reads.
template <int CHANNELS, int FILTERS, int BATCH, int READS>
struct KernelGradient : Convolution {
  static constexpr int BLOCKS = 2;
  static constexpr bool SHARES = READS;

  Before before;  // of x, if it is not normalized
  int parts;
  FloatsOut gradient;

  DEVICE int tiles() const { return (in.channels + CHANNELS - 1) / CHANNELS; }
  DEVICE int warps() const { return parts * tiles() * ((out.channels + FILTERS - 1) / FILTERS); }

  DEVICE void fill(float* norms, int first, int step, Place at) const {
    before.fill_all(norms, first, step, at.z, in.channels);
  }

  DEVICE void compute(const float* norms, Place at) const {
    const int number = at.x * WARPS + at.warp, k = at.z, batch = BATCH ? BATCH : in.batch;
    if (number >= warps()) return;
    const int part = number % parts, c = number / parts % tiles() * CHANNELS, o = number / parts / tiles() * FILTERS;
    const int pixels = (out.pixels() + parts - 1) / parts;
    const int line = in.columns * batch, plane = in.rows * line, out_plane = out.pixels() * batch;
    Float sums[CHANNELS][9][FILTERS] = {};
    for (int first = 0; first < batch; first += LANES) {
      const Lanes lanes(batch - first);
      int row = part * pixels / out.columns, column = part * pixels % out.columns;
      ROLLED for (int p = part * pixels; p < least((part + 1) * pixels, out.pixels()); p++) {
        const float* square = x[k] + 2 * row * line + 2 * column * batch + first;
        if (++column == out.columns) column = 0, row++;
        Float values[CHANNELS][4][4];
        UNROLL for (int d = 0; d < CHANNELS; d++)
          UNROLL for (int r = 0; r < 16; r++)
            values[d][r / 4][r % 4] =
                lanes.load(square + least(c + d, in.channels - 1) * plane + r / 4 * line + r % 4 * batch);
        if constexpr (READS) {  // nvcc wants the braces, for the pragma
          UNROLL for (int d = 0; d < CHANNELS; d++) {
            const Affine<float> of = Before::affine(norms + least(c + d, in.channels - 1) * Before::FLOATS);
            UNROLL for (int r = 0; r < 16; r++)
              values[d][r / 4][r % 4] = normalized(values[d][r / 4][r % 4], of, before.factor);
          }
        }
        UNROLL for (int f = 0; f < FILTERS; f++) {
          const int place = least(o + f, out.channels - 1) * out_plane + p * batch + first;
          const Float value = lanes.live(lanes.load(pooled[k] + place)), none = value * 0.0f;
          const Word which = lanes.load(chosen[k] + place);
          UNROLL for (int q = 0; q < 4; q++) {
            const Float part_of = which == uint32_t(q) ? value : none;
            UNROLL for (int d = 0; d < CHANNELS; d++)
              UNROLL for (int t = 0; t < 9; t++) sums[d][t][f] += values[d][t / 3 + q / 2][t % 3 + q % 2] * part_of;
          }
        }
      }
    }
    UNROLL for (int d = 0; d < CHANNELS; d++)
      UNROLL for (int t = 0; t < 9; t++)
        UNROLL for (int f = 0; f < FILTERS; f++) {
          const float all = sum(sums[d][t][f]);
          if (c + d < in.channels && o + f < out.channels)
            store_one(gradient[k] + ((part * 9 + t) * in.channels + c + d) * out.channels + o + f, all);
        }
  }
};

// The sum over parts: [parts, size] -> [size].
struct Parts {
  static constexpr int BLOCKS = 8;
  static constexpr bool SHARES = false;

  int parts, size;
  Floats from;
  FloatsOut to;

  DEVICE void compute(const float*, Place at) const {
    const int first = (at.x * WARPS + at.warp) * LANES;
    if (first >= size) return;
    const Lanes lanes(size - first);
    Float total{};
    SOME for (int part = 0; part < parts; part++) total += lanes.load(from[at.z] + part * size + first);
    lanes.store(to[at.z] + first, total);
  }
};

// -> gradient of the padded image [C, P, Q, B], zero at its border. A pooled pixel stands for 2 x 2 pixels, which depend
// on 3 x 3 pooled ones. A warp has CHANNELS channels of WINDOWS such squares beside each other.
template <int CHANNELS, int WINDOWS, int BATCH>
struct InputGradient : Convolution {
  static constexpr int BLOCKS = BATCH && WINDOWS <= 2 ? 4 : 3;
  static constexpr bool SHARES = true;

  FloatsOut gradient;

  // Of squares: one more than pooled pixels on each side, which have the border, and the last of an odd number.
  DEVICE int across() const { return (in.columns / 2 + WINDOWS) / WINDOWS; }
  DEVICE int warps() const { return (in.rows / 2 + 1) * across() * in.warps(); }

  // Kernels of the block's channels, [O, 3, 3, CHANNELS].
  DEVICE void fill(float* weights, int first, int step, Place at) const {
    const int outputs = out.channels;
    for (int i = first; i < outputs * 9 * CHANNELS; i += step) {
      const int tap = i / CHANNELS % 9, o = i / CHANNELS / 9, c = at.y * CHANNELS + i % CHANNELS;
      weights[i] = c < in.channels ? kernel[at.z][(tap * in.channels + c) * outputs + o] : 0.0f;
    }
  }

  DEVICE void compute(const float* weights, Place at) const {
    const int number = at.x * WARPS + at.warp, k = at.z, batch = BATCH ? BATCH : in.batch;
    if (number >= warps()) return;
    const int group = number % in.warps(), row = number / in.warps() / across() - 1;
    const int column = number / in.warps() % across() * WINDOWS - 1;
    const Lanes lanes(batch - LANES * group);
    const int line = out.columns * batch, first = row * line + column * batch + LANES * group;
    const int outputs = row < 0 || 2 * row + 2 == in.rows ? 0 : out.channels;  // none, if all of it is border
    Float sums[WINDOWS][4][CHANNELS] = {};
    ROLLED for (int o = 0; o < outputs; o++, weights += 9 * CHANNELS) {
      // Of the convolution's gradient, the squares' own pixels and one around them.
      Float pixels[4][2 * WINDOWS + 2];
      UNROLL for (int n = 0; n < 3 * (WINDOWS + 2); n++) {
        const int down = n / (WINDOWS + 2) - 1, right = n % (WINDOWS + 2) - 1;
        const int place = o * out.rows * line + first + down * line + right * batch;
        Float value{};
        Word which{};
        if (row + down >= 0 && row + down < out.rows && column + right >= 0 && column + right < out.columns)
          value = lanes.load(pooled[k] + place), which = lanes.load(chosen[k] + place);
        UNROLL for (int q = 0; q < 4; q++) {
          const int r = 2 * down + q / 2 + 1, s = 2 * right + q % 2 + 1;
          if (r >= 0 && r < 4 && s >= 0 && s < 2 * WINDOWS + 2)
            pixels[r][s] = which == uint32_t(q) ? value : value * 0.0f;
        }
      }
      UNROLL for (int t = 0; t < 9; t++)
        UNROLL for (int c = 0; c < CHANNELS; c++)
          UNROLL for (int w = 0; w < WINDOWS; w++)
            UNROLL for (int q = 0; q < 4; q++)
              sums[w][q][c] += pixels[q / 2 + 2 - t / 3][q % 2 + 2 - t % 3 + 2 * w] * weights[t * CHANNELS + c];
    }
    UNROLL for (int w = 0; w < WINDOWS; w++)
      UNROLL for (int q = 0; q < 4; q++) {
        const int y = 2 * row + q / 2 + 1, x = 2 * (column + w) + q % 2 + 1;  // in the padded image
        if (y < 0 || y >= in.rows || x < 0 || x >= in.columns) continue;
        const bool border = y == 0 || y == in.rows - 1 || x == 0 || x == in.columns - 1;
        UNROLL for (int c = 0; c < CHANNELS; c++) {
          if (at.y * CHANNELS + c >= in.channels) break;
          const int place = ((at.y * CHANNELS + c) * in.rows + y) * in.columns * batch + x * batch + LANES * group;
          lanes.store(gradient[k] + place, border ? Float{} : sums[w][q][c]);
        }
      }
  }
};

}  // namespace study
