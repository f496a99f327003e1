// Dropout with the masks of layers/dropout.py, bit for bit: its hash of a counter, 16 bits an activation.
//
// Activations are never negative: after ReLU their sign is free, and says whether dropout drops them. So a mask is
// hashed once, and whoever reads an activation has it without another load.

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

constexpr uint32_t DROPPED = 0x80000000u;

// What is stored of an activation that is dropped, and the activation again, dropped or not.
DEVICE Float dropped(Float activation) { return of_bits(bits(activation) | DROPPED); }
DEVICE Float activation(Float stored) { return of_bits(bits(stored) & ~DROPPED); }

// Of what belongs to a stored activation: 0 where that is dropped, else multiplied by 1 / (1 - rate).
DEVICE Float after_dropout(Float value, Float stored, float factor) {
  return bits(stored) >= DROPPED ? Float{} : value * factor;
}

class Dropout {
 public:
  // Of `size` activations of a run.
  DEVICE Dropout(const Rate& rate, const uint32_t seed[2], uint32_t size)
      : words_((size + 1) / 2), least_(rate.least) {
    const uint32_t salt = (rate.layer + 1) * WEYL;
    start_ = hash(seed[0] + salt, 0u);
    tweak_ = hash(seed[1] ^ salt, 0u);
  }

  // The activations of a warp from `first` on, with the sign of what becomes of them.
  DEVICE Float operator()(Float values, uint32_t first, const Lanes& lanes) const {
    return (*this)(values, lanes.index() + first);
  }

  // Activations at these places.
  DEVICE Float operator()(Float values, Word place) const {
    const Float kept = activation(values);  // NaN may come with a sign
    if (least_ == 0) return kept;
    const auto high = place >= words_;
    const Word words = hash((high ? place - words_ : place) * WEYL + start_, tweak_);
    const Word drawn = high ? words >> 16 : words & 0xFFFFu;
    return drawn >= least_ ? kept : dropped(kept);
  }

 private:
  uint32_t words_, least_, start_, tweak_;
};

}  // namespace study
