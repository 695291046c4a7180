// The subband tree of WSQ and one step of its two-channel filter bank in both directions.
#pragma once
#include <array>
#include <vector>

namespace pcc::wsq {

constexpr int kBands = 64;  // 60..63, the highest diagonal quarter, are never sent by the FBI's encoders

struct Rect {
  int x, y, width, height;
};

// A rectangle of the plane that one filter step splits into four. High-pass filtering and decimation mirror the
// spectrum, so in a mirrored direction the high band comes first: the bands then stand in the order of their frequency.
struct Split {
  Rect area;
  bool mirror_x, mirror_y;
};

struct BandTree {
  BandTree(int width, int height);
  std::array<Rect, kBands> bands;
  std::vector<Split> splits;  // from the whole image down: analysis in this order, synthesis backwards
};

struct FilterPair {
  std::vector<float> low, high;
};

constexpr int kMaxTaps = 32;

// In place on a plane of rows of `stride` floats. Filters: both lengths odd (whole-sample symmetric) or both even
// (half-sample), 1..kMaxTaps. Lines are extended by reflection, without limit, so any width and height >= 0 do.
void synthesise(float* plane, int stride, const Split& split, const FilterPair& filters);

// As above with the two analysis filters, which are odd in every FBI encoder.
void analyse(float* plane, int stride, const Split& split, const FilterPair& filters);

}  // namespace pcc::wsq
