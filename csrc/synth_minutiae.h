// Synthetic fingers as minutiae: masters and their impressions, from SplitMix64 words and integer arithmetic alone, so
// the same on every machine. What is modelled and why stands in datasets/minutiae.py, whose parameters arrive here.
//
// Units: 1/16 pixel at 500 ppi, x to the right, y down; angles 1/65536 turn, counter-clockwise from +x as on paper;
// shares of 1024; strengths and qualities 0-255 (of minutiae put out: 1-100).
#pragma once
#include <array>
#include <cstdint>
#include <vector>

namespace pcc {

constexpr int kPatterns = 5, kSingularPoints = 4;

// Every number of the model, in the order of FingerModel's fields in datasets/minutiae.py (which explains them).
struct FingerModel {
  std::int32_t density, density_spread, pad_width, pad_height, pad_spread, steepness;
  std::int32_t crowding, crowding_radius, spacing, direction_spread, downward, endings;
  std::int32_t keep, keep_quality, keep_strength, confusion, other, jitter, angle_jitter, outliers, bend;
  std::int32_t clustered, edge;
};

// A way of taking prints, in the order of Capture's fields.
struct Capture {
  std::int32_t share, width, height, contact_width, contact_height, contact_spread;
  std::int32_t shift_x, shift_y, rotation, quality, quality_spread, spurious, steadiness;
};

struct SingularPoint {
  std::int32_t sign;  // +1 core, -1 delta, 0 none
  std::int32_t x, y, spread_x, spread_y;
};

struct Pattern {
  std::array<std::int32_t, 2> share;  // right hand, left hand
  std::int32_t arching;               // steepness of an arch; 0 where singular points make the flow
  std::array<SingularPoint, kSingularPoints> points;
};

struct FingerTables {
  FingerModel model;
  std::array<Pattern, kPatterns> patterns;
  std::vector<Capture> captures;
  std::vector<std::int16_t> sine;            // 1024 a turn, times 16384
  std::vector<std::uint16_t> arctangent;     // of k / 256, k = 0 ... 256
  std::vector<std::uint16_t> steepened;      // what a ridge at k / 2048 turn becomes
  std::vector<std::uint16_t> quadrant;       // direction of (k % 64, k / 64), made by complete(), as is the next
  std::uint64_t master_key, impression_key;  // datasets/draws.py: Stream.key
};

// Prints one after the other; print i has minutiae offsets[i] to offsets[i + 1].
struct Prints {
  std::vector<std::uint64_t> offsets{0};
  std::vector<std::int16_t> x, y;  // whole pixels
  std::vector<std::uint8_t> angle, type, quality;
  std::vector<std::int16_t> origin;  // masters: strength; impressions: number of the master's minutia, -1 if spurious
  // One a print: pattern, capture and quality (masters: none), rotation, and where the master's origin lies.
  std::vector<std::uint8_t> pattern, capture, print_quality;
  std::vector<std::int16_t> rotation, origin_x, origin_y;
};

void complete(FingerTables& tables);
// The flow of a finger's ridges: directions (0 to half a turn) at points `step` pixels apart, rows * columns of them
// about the middle of the finger; its cores and deltas as sign, x, y in pixels.
struct FlowMap {
  std::uint8_t pattern;
  std::int32_t pad_width, pad_height;  // half of them, pixels
  std::vector<std::int32_t> points;
  std::vector<std::uint16_t> directions;
};
FlowMap make_flow_map(const FingerTables& tables, std::uint32_t finger, int step, int rows, int columns);
Prints make_masters(const FingerTables& tables, std::uint32_t first, std::uint32_t count);
// All impressions (first_impression and the following) of each finger before those of the next.
Prints make_impressions(const FingerTables& tables, std::uint32_t first, std::uint32_t count,
                        std::uint32_t first_impression, std::uint32_t impressions);

}  // namespace pcc
