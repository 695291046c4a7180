// Minutiae of a fingerprint image at 500 ppi. Integers, and floats by + - * / sqrt alone in a fixed order, compiled
// once without contraction: an image has one template on every machine.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace pcc::extract {

// The enhancing filter: standard deviations along the ridge, in pixels, and across it, as a part of the ridge distance.
struct Filter {
  float along, across;
};
// One for each minutiae set of an image. The long one is better on its own (benchmarks/accuracy_extract.py); the short
// one errs elsewhere.
constexpr Filter kFilters[] = {{5.0f, 0.42f}, {3.0f, 0.35f}};

enum Type : std::uint8_t { kOther = 0, kRidgeEnding = 1, kBifurcation = 2 };

struct Minutia {
  std::int16_t x, y;
  std::uint8_t angle;  // 256 per turn, counter-clockwise from +x with y up; INCITS 378: into the ridge or the valley
  std::uint8_t type, quality;  // quality 1-100
};

constexpr int kCell = 8;  // maps have one value a cell of 8 x 8 pixels

// One value a cell, row by row.
struct Maps {
  int columns, rows;
  std::vector<float> cos2, sin2;   // ridge orientation, doubled angle, y down; length = coherence
  std::vector<float> wavelength;   // ridge distance, pixels
  std::vector<float> quality;      // 0-1: part of the local variance that parallel ridges explain
  std::vector<std::uint8_t> mask;  // 1 where there is a print
};

struct Print {
  int width, height;
  Maps maps;
  std::vector<std::int16_t> enhanced;  // below 0 on ridges
  std::vector<std::uint8_t> skeleton;  // 1 on the middle lines of ridges
  std::vector<Minutia> minutiae;       // best first
};

// A plane with a margin of zeros, so that windows need no case for the edge.
struct Plane {
  static constexpr int kMargin = 40;
  int width, height, stride;
  std::vector<std::int16_t> values;
  Plane(int w, int h) : width(w), height(h), stride(w + 2 * kMargin), values(std::size_t(stride) * (h + 2 * kMargin)) {}
  std::int16_t* row(int y) { return values.data() + std::size_t(y + kMargin) * stride + kMargin; }
  const std::int16_t* row(int y) const { return values.data() + std::size_t(y + kMargin) * stride + kMargin; }
};

// Two neighbouring cells of a row or column of `cells`, and how far from the first one's centre to the second's a pixel
// lies.
struct Between {
  int low, high;
  float part;
  Between(int pixel, int cells) {
    const int steps = 2 * pixel + 1 - kCell;  // half pixels from the centre of cell 0
    low = steps < 0 ? 0 : steps / (2 * kCell), part = steps < 0 ? 0.0f : float(steps % (2 * kCell)) / (2 * kCell);
    high = low + 1 < cells ? low + 1 : low;
    if (low >= cells) low = high = cells - 1;
  }
};

Plane normalise(const std::uint8_t* grey, int width, int height, std::vector<float>& contrast);
Maps make_maps(const Plane& image, const std::vector<float>& contrast);
Plane enhance(const Plane& image, const Maps& maps, const Filter& filter);
std::vector<std::uint8_t> thin(const Plane& enhanced, const Maps& maps);
// Repairs the skeleton first.
std::vector<Minutia> find_minutiae(std::vector<std::uint8_t>& skeleton, int width, int height, const Maps& maps);
Print extract(const std::uint8_t* grey, int width, int height, const Filter& filter);
std::vector<std::uint8_t> resample(const std::uint8_t* grey, int width, int height, int to_width, int to_height);

// Direction of (x, y), 256 per turn; 0 for (0, 0).
float direction(float x, float y);

}  // namespace pcc::extract
