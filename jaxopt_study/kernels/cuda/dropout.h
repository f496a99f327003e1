// Dropout with the masks of layers/dropout.py, bit for bit: its hash of a counter, 16 bits an activation.

#pragma once

#include "../cpu/hash.h"
#include "arrays.h"

namespace study {

// What all runs share of it.
struct Rate {
  uint32_t layer, least;
  float factor;

  Rate(uint32_t layer, float rate)
      : layer(layer), least(uint32_t(std::lround(rate * 65536.0))), factor(1.0f / (1.0f - rate)) {}
};

class Dropout {
 public:
  // Of `size` activations of a run.
  DEVICE Dropout(const Rate& rate, const uint32_t seed[2], uint32_t size)
      : words_((size + 1) / 2), least_(rate.least), factor_(rate.factor) {
    const uint32_t salt = (rate.layer + 1) * WEYL;
    start_ = hash(seed[0] + salt, 0u);
    tweak_ = hash(seed[1] ^ salt, 0u);
  }

  // The activations of a warp from `first` on, each dropped or multiplied by 1 / (1 - rate).
  DEVICE Float operator()(Float values, uint32_t first, const Lanes& lanes) const {
    if (least_ == 0) return values;
    const Word place = lanes.index() + first;
    const auto high = place >= words_;
    const Word words = hash((high ? place - words_ : place) * WEYL + start_, tweak_);
    const Word bits = high ? words >> 16 : words & 0xFFFFu;
    return bits >= least_ ? values * factor_ : Float{};
  }

 private:
  uint32_t words_, least_, start_, tweak_;
  float factor_;
};

}  // namespace study
