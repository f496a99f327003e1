// An update of the weights, and how it moves them (jaxopt_study/diagnostics.py): one pass over gradients, updates and
// weights, which together are more than a core's own cache holds.

#pragma once

#include "vectors.h"

namespace study {

struct Measures {
  Vector gradients{}, updates{}, weights{}, sizes{};  // squares, and of the updates absolute values too
  int64_t opposite = 0;                               // updates whose sign is not that of the step before

  // Adds arrays of `count` numbers; `moved` takes the weights after the update. `before` holds the signs -1, 0, 1 of
  // the last updates, `after` takes those of these. Results may lie where their arguments do.
  void add(const float* gradient, const float* update, const float* weight, float* moved, const int8_t* before,
           int8_t* after, ptrdiff_t count) {
    typedef int8_t Signs __attribute__((vector_size(LANES), aligned(1), may_alias));
    Whole differing{};
    ptrdiff_t i = 0;
    for (; i + LANES <= count; i += LANES) {
      const Vector g = load(gradient + i), u = load(update + i), w = load(weight + i) + u;
      store(moved + i, w);
      gradients += g * g;
      updates += u * u;
      weights += w * w;
      sizes += u < 0 ? -u : u;
      const Whole sign = Whole(u < 0) - Whole(u > 0);
      const Whole last = __builtin_convertvector(*reinterpret_cast<const Signs*>(before + i), Whole);
      differing -= sign * last < 0;
      *reinterpret_cast<Signs*>(after + i) = __builtin_convertvector(sign, Signs);
    }
    for (int lane = 0; lane < LANES; lane++) opposite += differing[lane];
    for (; i < count; i++) {
      const float g = gradient[i], u = update[i], w = weight[i] + u;
      moved[i] = w;
      gradients[0] += g * g;
      updates[0] += u * u;
      weights[0] += w * w;
      sizes[0] += std::fabs(u);
      const int sign = (u > 0) - (u < 0);
      opposite += sign * before[i] < 0;
      after[i] = int8_t(sign);
    }
  }
};

}  // namespace study
