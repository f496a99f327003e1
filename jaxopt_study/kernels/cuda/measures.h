// An update of the weights, and how it moves them, of all arrays and configurations at once: see kernels/cpu/measures.h.

#pragma once

#include "arrays.h"

namespace study {

// An array that moves, of `size` numbers in each configuration. Weights and signs are those before and become those
// after; -1 is kept as 255. Signs lie in an array of `stride` numbers a configuration, which several may share.
struct Moving {
  const float *gradient, *update;
  float* weight;
  uint8_t* sign;
  ptrdiff_t stride;
  int size, first;  // the first of its chunks
};

// A warp has a chunk of an array; its sums go to the chunk's column of `sums` [5, all chunks]: updates of another sign
// than the last, sizes of updates, squares of gradients, updates and new weights.
struct Measure {
  static constexpr int BLOCKS = 8;
  static constexpr bool SHARES = false;
  static constexpr int ARRAYS = 64;          // that one launch takes
  static constexpr int CHUNK = 32 * LANES;  // so short that sums in float32 are right to 1e-6

  Moving arrays[ARRAYS];
  int count, first, chunks, all;  // arrays, chunks before them, chunks of theirs, chunks of all launches
  FloatsOut sums;

  static int chunks_of(int size) { return (size + CHUNK - 1) / CHUNK; }

  DEVICE void compute(const float*, Place at) const {
    const int chunk = first + at.x * WARPS + at.warp;
    if (chunk >= first + chunks) return;
    int i = 0;
    while (i + 1 < count && arrays[i + 1].first <= chunk) i++;
    const int begin = (chunk - arrays[i].first) * CHUNK, size = least(CHUNK, arrays[i].size - begin);
    const ptrdiff_t place = ptrdiff_t(at.z) * arrays[i].size + begin;
    const float *gradient = arrays[i].gradient + place, *update = arrays[i].update + place;
    float* weight = arrays[i].weight + place;
    uint8_t* sign = arrays[i].sign + at.z * arrays[i].stride + begin;
    Float opposite{}, sizes{}, gradients{}, updates{}, weights{};
    SOME for (int n = 0; n < size; n += LANES) {
      const Lanes lanes(size - n);
      const Float g = lanes.live(lanes.load(gradient + n)), u = lanes.live(lanes.load(update + n));
      const Float w = lanes.fresh(weight + n) + u;
      const Word last = lanes.fresh(sign + n), next = u > 0 ? Word{} + 1u : u < 0 ? Word{} + 255u : Word{};
      lanes.store(weight + n, w);
      lanes.store(sign + n, next);
      opposite += lanes.live(last + next == 256u ? Float{} + 1.0f : Float{});
      sizes += u < 0 ? -u : u;
      gradients += g * g;
      updates += u * u;
      weights += lanes.live(w * w);
    }
    float* to = sums[at.z] + chunk;
    store_one(to, sum(opposite));
    store_one(to + all, sum(sizes));
    store_one(to + 2 * all, sum(gradients));
    store_one(to + 3 * all, sum(updates));
    store_one(to + 4 * all, sum(weights));
  }
};

}  // namespace study
