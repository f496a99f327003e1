// Pixels as the article's network reads them: images [B, H, W, C] of a byte each become numbers [C, P, Q, B] from 0 to
// 1, in training normalized by mean and variance of the batch.

#pragma once

#include <algorithm>
#include <vector>

#include "vectors.h"

namespace study {

// Mean and biased variance of each channel, of numbers from 0 to 1. The sums are of whole numbers, and exact.
static void pixel_moments(const uint8_t* images, const Shape& of, float* mean, float* variance) {
  const int row = of.columns * of.channels;
  std::vector<uint64_t> totals(of.channels), squares(of.channels);
  // Of a row's places, so that channels need not be told apart; so many rows that 32 bits hold the squares.
  constexpr ptrdiff_t ROWS = 1 << 15;
  std::vector<uint32_t> at_place(row), squares_at_place(row);
  const ptrdiff_t rows = ptrdiff_t(of.batch) * of.rows;
  for (ptrdiff_t first = 0; first < rows; first += ROWS) {
    std::fill(at_place.begin(), at_place.end(), 0);
    std::fill(squares_at_place.begin(), squares_at_place.end(), 0);
    for (ptrdiff_t y = first; y < rows && y < first + ROWS; y++) {
      const uint8_t* from = images + y * row;
      for (int i = 0; i < row; i++) {
        const uint32_t value = from[i];
        at_place[i] += value;
        squares_at_place[i] += value * value;
      }
    }
    for (int i = 0; i < row; i++) {
      totals[i % of.channels] += at_place[i];
      squares[i % of.channels] += squares_at_place[i];
    }
  }
  const double count = double(rows) * of.columns;
  for (int c = 0; c < of.channels; c++) {
    const double about = totals[c] / count;
    mean[c] = float(about / 255);
    variance[c] = float((squares[c] / count - about * about) / (255.0 * 255.0));
  }
}

// The numbers less `mean` and times `factor` of their channel, with a border of zeros as `padded` says.
//
// Images lie apart by a power of two or nearly so, and a pixel of all of them falls into few lines of the cache: of each
// a whole line is taken at once, and turned by itself.
static void read_pixels(const uint8_t* images, const Shape& of, const float* mean, const float* factor, float* result,
                        const Shape& padded) {
  constexpr int LINE = 64;
  const int border = (padded.rows - of.rows) / 2;
  const ptrdiff_t row = ptrdiff_t(of.columns) * of.channels;
  for (int c = 0; c < of.channels; c++)
    clear_border(result + c * padded.plane, padded, border, of.rows, of.columns);
  for (int y = 0; y < of.rows; y++)
    for (ptrdiff_t first = 0; first < row; first += LINE) {
      const int count = row - first < LINE ? int(row - first) : LINE;
      for (int b = 0; b < of.batch; b += LANES) {
        uint8_t turned[LINE][LANES];
        for (int lane = 0; lane < LANES; lane++) {
          const uint8_t* line = images + (ptrdiff_t(b + lane) * of.rows + y) * row + first;
          for (int i = 0; i < count; i++) turned[i][lane] = line[i];
        }
        int x = int(first / of.channels), c = int(first % of.channels);
        for (int i = 0; i < count; i++) {
          const Whole whole = __builtin_convertvector(*reinterpret_cast<Bytes*>(turned[i]), Whole);
          const Vector value = __builtin_convertvector(whole, Vector) * (1.0f / 255.0f);
          store(result + c * padded.plane + padded.at(y + border, x + border) + b, (value - mean[c]) * factor[c]);
          if (++c == of.channels) c = 0, x++;
        }
      }
    }
}

}  // namespace study
