// Arrays [K, C, H, W, B]: what each of K configurations has of its own or shares with the others.

#pragma once

#include "warp.h"

namespace study {

// An array of each configuration; one that all share has the stride 0.
template <typename Number>
struct Each {
  Number* data = nullptr;
  ptrdiff_t stride = 0;

  DEVICE Number* operator[](int k) const { return data + k * stride; }
};

typedef Each<const float> Floats;
typedef Each<float> FloatsOut;

// Of one configuration [C, H, W, B]; a pixel is B numbers.
struct Shape {
  int channels, rows, columns, batch;

  DEVICE int pixels() const { return rows * columns; }
  DEVICE int warps() const { return (batch + LANES - 1) / LANES; }  // over the examples
  DEVICE int at(int y, int x) const { return (y * columns + x) * batch; }
  DEVICE int plane() const { return rows * columns * batch; }
};

DEVICE int least(int a, int b) { return a < b ? a : b; }

}  // namespace study
