// An update of the weights, and how it moves them (jaxopt_study/diagnostics.py): one pass over gradients, updates and
// weights, which together are more than a core's own cache holds.

#pragma once

#include "vectors.h"

namespace study {

struct Measures {
  double gradients = 0, updates = 0, weights = 0, sizes = 0;  // squares, and of the updates absolute values too
  Whole opposite{};  // updates whose sign is not that of the step before

  // Adds arrays of `count` numbers; `moved` takes the weights after the update. `before` holds the signs -1, 0, 1 of
  // the last updates, `after` takes those of these. Results may lie where their arguments do.
  void add(const float* gradient, const float* update, const float* weight, float* moved, const int8_t* before,
           int8_t* after, ptrdiff_t count) {
    // Blocks so short that sums in float32 are right to 1e-6, whatever the numbers.
    constexpr ptrdiff_t BLOCK = 32 * LANES;
    for (ptrdiff_t first = 0; first < count; first += BLOCK)
      add_block(gradient + first, update + first, weight + first, moved + first, before + first, after + first,
                first + BLOCK < count ? BLOCK : count - first);
  }

 private:
  void add_block(const float* gradient, const float* update, const float* weight, float* moved, const int8_t* before,
                 int8_t* after, ptrdiff_t count) {
    typedef int8_t Signs __attribute__((vector_size(LANES), aligned(1), may_alias));
    Vector of_gradients{}, of_updates{}, of_weights{}, of_sizes{};
    Whole differing{};
    ptrdiff_t i = 0;
    for (; i + LANES <= count; i += LANES) {
      const Vector g = load(gradient + i), u = load(update + i), w = load(weight + i) + u;
      store(moved + i, w);
      of_gradients += g * g;
      of_updates += u * u;
      of_weights += w * w;
      of_sizes += u < 0 ? -u : u;
      const Whole sign = Whole(u < 0) - Whole(u > 0);
      const Whole last = __builtin_convertvector(*reinterpret_cast<const Signs*>(before + i), Whole);
      differing -= sign * last < 0;
      *reinterpret_cast<Signs*>(after + i) = __builtin_convertvector(sign, Signs);
    }
    for (; i < count; i++) {
      const float g = gradient[i], u = update[i], w = weight[i] + u;
      moved[i] = w;
      of_gradients[0] += g * g;
      of_updates[0] += u * u;
      of_weights[0] += w * w;
      of_sizes[0] += std::fabs(u);
      const int sign = (u > 0) - (u < 0);
      differing[0] += sign * before[i] < 0;
      after[i] = int8_t(sign);
    }
    gradients += sum(of_gradients);
    updates += sum(of_updates);
    weights += sum(of_weights);
    sizes += sum(of_sizes);
    opposite += differing;
  }
};

}  // namespace study
