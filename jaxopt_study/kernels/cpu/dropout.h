// Dropout with the masks of layers/dropout.py, bit for bit: its hash of a counter, 16 bits an activation.

#pragma once

#include "hash.h"
#include "vectors.h"

namespace study {

class Dropout {
 public:
  // Of `size` activations; `rate` 0 keeps them all.
  Dropout(const uint32_t seed[2], uint32_t layer, float rate, ptrdiff_t size)
      : words_((size + 1) / 2), least_(uint32_t(std::lround(rate * 65536.0))), factor_(1.0f / (1.0f - rate)) {
    const uint32_t salt = (layer + 1) * WEYL;
    start_ = hash(seed[0] + salt, 0u);
    tweak_ = hash(seed[1] ^ salt, 0u);
  }

  // The activations from `first` on, each dropped or multiplied by 1 / (1 - rate).
  inline __attribute__((always_inline)) Vector operator()(Vector values, ptrdiff_t first) const {
    if (least_ == 0) return values;
    Words place;
    for (int lane = 0; lane < LANES; lane++) place[lane] = lane;
    place += uint32_t(first);
    const Words high = Words(place >= uint32_t(words_));
    const Words words = hash((place - (high & uint32_t(words_))) * WEYL + start_, Words{} + tweak_);
    const Words bits = (words >> (high & 16u)) & 0xFFFFu;
    return bits >= least_ ? values * factor_ : Vector{};
  }

 private:
  ptrdiff_t words_;
  uint32_t least_, start_, tweak_;
  float factor_;
};

}  // namespace study
