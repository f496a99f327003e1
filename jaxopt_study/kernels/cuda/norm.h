// Batch norm and dropout of stored activations (see dropout.h): the same for whoever reads them, so the same bits.

#pragma once

#include "dropout.h"

namespace study {

DEVICE float inverse(float variance, float epsilon) { return 1.0f / sqrtf(variance + epsilon); }

// Of a channel, or of a lane's own.
template <typename Number>
struct Affine {
  Number mean, slope, offset;
};

template <typename Number>
DEVICE Float normalized(Float stored, const Affine<Number>& of, float factor) {
  return after_dropout((activation(stored) - of.mean) * of.slope + of.offset, stored, factor);
}

// Of the block before, whose activations [C, P, Q, B] are read instead of its result: all [C]. A border is stored as
// dropped activations.
struct Before {
  static constexpr int FLOATS = 4;  // that a channel has in shared memory, of which three are used

  float epsilon, factor;
  Floats mean, variance, scale, offset;

  DEVICE void fill(float* to, int k, int c) const {
    to[0] = mean[k][c];
    to[1] = scale[k][c] * inverse(variance[k][c], epsilon);
    to[2] = offset[k][c];
  }
  // Of so many channels, [C, FLOATS].
  DEVICE void fill_all(float* to, int first, int step, int k, int channels) const {
    for (int c = first; c < channels; c += step) fill(to + c * FLOATS, k, c);
  }
  DEVICE static Affine<float> affine(const float* filled) { return {filled[0], filled[1], filled[2]}; }
};

}  // namespace study
