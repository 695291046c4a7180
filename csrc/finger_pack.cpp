#include "finger_pack.h"

#include <algorithm>
#include <numeric>

#include "finger_tables.h"

namespace pcc {
namespace {

constexpr int kCylinderCells = 52, kDirections = 6;
constexpr int32_t kSpread = 28;      // pixels from a cell's centre within which minutiae count: 3 sigma
constexpr int32_t kNeighbour = 97;   // the farthest cell centre, 67 pixels away, and 28, and what rounding may add
constexpr int32_t kAreaMargin = 16;  // pixels around the hull that count as the print's area
constexpr int32_t kAreaBorder = 24;  // from the hull to the edge of the bitmap
constexpr int32_t kAreaCell = 4;     // least size of its cells: 2^4 pixels
constexpr uint32_t kLeastNeighbours = 2, kLeastBits = 4;  // of a usable cylinder

constexpr uint32_t kFew = 64;     // minutiae that every set may keep,
constexpr int64_t kPlace = 1100;  // and how many square pixels of the print each of more must have

struct Point {
  int32_t x, y;
};

int64_t cross(Point o, Point a, Point b) { return int64_t{a.x - o.x} * (b.y - o.y) - int64_t{a.y - o.y} * (b.x - o.x); }
int64_t dot(Point o, Point a, Point b) { return int64_t{a.x - o.x} * (b.x - o.x) + int64_t{a.y - o.y} * (b.y - o.y); }

// The convex hull, corner by corner so that cross() of an inner point is positive; all points where they are few.
std::vector<Point> hull_of(std::vector<Point> points) {
  std::sort(points.begin(), points.end(), [](Point a, Point b) { return a.x != b.x ? a.x < b.x : a.y < b.y; });
  const size_t n = points.size();
  if (n < 3) return points;
  std::vector<Point> hull(2 * n);
  size_t k = 0;
  const auto add = [&](Point p, size_t from) {
    while (k >= from + 2 && cross(hull[k - 2], hull[k - 1], p) <= 0) --k;
    hull[k++] = p;
  };
  for (size_t i = 0; i < n; ++i) add(points[i], 0);
  for (size_t i = n - 1, from = k - 1; i--;) add(points[i], from);
  hull.resize(k > 1 ? k - 1 : k);
  return hull;
}

bool within(const std::vector<Point>& hull, Point p, int64_t margin) {
  const size_t n = hull.size();
  bool inside = n >= 3;
  for (size_t i = 0; inside && i < n; ++i) inside = cross(hull[i], hull[i + 1 < n ? i + 1 : 0], p) >= 0;
  if (inside) return true;
  for (size_t i = 0; i < n; ++i) {
    const Point a = hull[i], b = hull[i + 1 < n ? i + 1 : 0];
    const int64_t along = dot(a, b, p), length = dot(a, b, b);
    if (along <= 0) {
      if (dot(a, p, p) <= margin * margin) return true;
    } else if (along < length) {
      const int64_t off = cross(a, b, p);
      if (off * off <= margin * margin * length) return true;
    }
  }
  return false;
}

// Centres of the cells in 1/16 pixels, for a minutia of each direction; and the part of each direction's sixth of the
// turn, by difference of direction.
struct Cylinders {
  int32_t x[256][kCylinderCells], y[256][kCylinderCells];
  int8_t number[8][8];  // of the cell in a row and column, -1 outside the cylinder
  uint16_t part[256][kDirections];

  Cylinders() {
    int cell = 0;
    for (int i = -7; i <= 7; i += 2)
      for (int j = -7; j <= 7; j += 2) {
        const bool held = i * i + j * j <= 64;  // 70 pixels, in units of 8.75
        number[(i + 7) / 2][(j + 7) / 2] = static_cast<int8_t>(held ? cell : -1);
        if (!held) continue;
        for (int turn = 0; turn < 256; ++turn) {
          const int32_t c = kCosine[turn], s = kCosine[(turn + 192) & 255];
          x[turn][cell] = (140 * (c * i - s * j) + 8192) >> 14;
          y[turn][cell] = (140 * (s * i + c * j) + 8192) >> 14;
        }
        ++cell;
      }
    for (int difference = 0; difference < 256; ++difference)
      for (int k = 0; k < kDirections; ++k) {
        const int off = ((2 * k + 1) * 64 - 3 * difference - 384 + 3 * 768) % 768;  // in 1/768 turn
        part[difference][k] = kPart[off > 384 ? 768 - off : off];
      }
  }
};

// The first row of cells that lies more than 28 pixels beyond a place `along` the direction, and how many before it do
// not, at most. Rows lie 17.5 pixels apart, the middle between the fourth and the fifth.
constexpr int32_t kReach = 5;
int32_t first_beyond(int32_t along) { return (2 * (along + kSpread + 2 + 4 * 256 * 35) + 122) / 35 + 1 - 8 * 256; }

uint16_t inverse_root(uint32_t bits) { return static_cast<uint16_t>((pcc_root((uint32_t{1} << 30) / bits) + 1) / 2); }

// As many as a print of this size has: one on kPlace square pixels (2.8 square millimetres) of its hull, and in any
// case kFew. What an extractor finds beyond is noise in the main.
uint32_t most_minutiae(const RawMinutiae& m) {
  if (m.count <= kFew) return kFew;
  std::vector<Point> points(m.count);
  for (uint32_t i = 0; i < m.count; ++i) points[i] = {m.x[i], m.y[i]};
  const std::vector<Point> hull = hull_of(points);
  int64_t twice = 0;
  for (size_t i = 2; i < hull.size(); ++i) twice += cross(hull[0], hull[i - 1], hull[i]);
  return static_cast<uint32_t>(std::clamp<int64_t>(twice / (2 * kPlace), kFew, kPccMinutiae));
}

uint64_t digest(uint64_t hash, uint32_t value) {
  for (int byte = 0; byte < 4; ++byte) hash = (hash ^ (value >> 8 * byte & 255)) * 1099511628211u;  // FNV-1a
  return hash;
}

}  // namespace

std::vector<uint32_t> choose_minutiae(const RawMinutiae& m) {
  std::vector<uint32_t> chosen(m.count);
  std::iota(chosen.begin(), chosen.end(), 0u);
  const auto by_direction = [&] {
    std::sort(chosen.begin(), chosen.end(), [&](uint32_t a, uint32_t b) {
      const auto first = static_cast<uint8_t>(-m.angle[a]), second = static_cast<uint8_t>(-m.angle[b]);
      return first != second ? first < second : a < b;
    });
    return chosen;
  };
  const uint32_t most = most_minutiae(m);
  if (m.count <= most) return by_direction();
  int64_t sum_x = 0, sum_y = 0;
  for (uint32_t i = 0; i < m.count; ++i) sum_x += m.x[i], sum_y += m.y[i];
  std::vector<int64_t> off(m.count);
  for (uint32_t i = 0; i < m.count; ++i) {
    const int64_t x = int64_t{m.x[i]} * m.count - sum_x, y = int64_t{m.y[i]} * m.count - sum_y;
    off[i] = x * x + y * y;
  }
  std::stable_sort(chosen.begin(), chosen.end(), [&](uint32_t a, uint32_t b) {
    return m.quality[a] != m.quality[b] ? m.quality[a] > m.quality[b] : off[a] < off[b];
  });
  chosen.resize(most);
  return by_direction();
}

void pack_minutiae(const RawMinutiae& m, const std::vector<uint32_t>& chosen, const FingerRoom& room) {
  static const Cylinders cylinders;
  const auto n = static_cast<uint32_t>(chosen.size()), stride = (n + 7) / 8 * 8;
  std::vector<Point> points(n);
  for (uint32_t i = 0; i < n; ++i) {
    points[i] = {m.x[chosen[i]], m.y[chosen[i]]};
    room.x[i] = m.x[chosen[i]], room.y[i] = m.y[chosen[i]];
    room.direction[i] = static_cast<uint8_t>(-m.angle[chosen[i]]);
  }
  const std::vector<Point> hull = hull_of(points);

  for (uint32_t q = 0; q < n; ++q) {
    const uint8_t turn = room.direction[q];
    const int32_t *cell_x = cylinders.x[turn], *cell_y = cylinders.y[turn];
    const int32_t c = kCosine[turn], s = kCosine[(turn + 192) & 255];
    uint32_t density[kCylinderCells][kDirections] = {}, neighbours = 0;
    for (uint32_t o = 0; o < n; ++o) {
      const int32_t dx = points[o].x - points[q].x, dy = points[o].y - points[q].y;
      if (o == q || dx < -kNeighbour || dx > kNeighbour || dy < -kNeighbour || dy > kNeighbour) continue;
      const uint16_t* part = cylinders.part[static_cast<uint8_t>(turn - room.direction[o])];
      // Along and across the minutia's direction, in pixels; rows and columns of cells that may be near enough.
      const int32_t along = (c * dx + s * dy) >> 14, across = (c * dy - s * dx) >> 14;
      const int32_t row_end = first_beyond(along), column_end = first_beyond(across);
      bool counts = false;
      for (int32_t row = std::max(0, row_end - kReach); row < std::min(8, row_end); ++row)
        for (int32_t column = std::max(0, column_end - kReach); column < std::min(8, column_end); ++column) {
          const int cell = cylinders.number[row][column];
          if (cell < 0) continue;
          const int32_t x = 16 * dx - cell_x[cell], y = 16 * dy - cell_y[cell], d = (x * x + y * y) >> 8;
          if (d >= kSpread * kSpread) continue;
          counts = true;
          const uint32_t near = kNear[d];
          for (int k = 0; k < kDirections; ++k) density[cell][k] += near * part[k];
        }
      neighbours += counts;
    }
    uint32_t bits = 0, bit = 0;
    for (int c = 0; c < kCylinderCells; ++c)
      for (int k = 0; k < kDirections; ++k, ++bit)
        if (density[c][k] > kThreshold) {
          room.words[(bit >> 5) * stride + q] |= 1u << (bit & 31);
          ++bits;
        }
    const bool usable = neighbours >= kLeastNeighbours && bits >= kLeastBits;
    room.inverse[q] = usable ? inverse_root(bits) : uint16_t{0};
  }

  int32_t left = 0, top = 0, right = 0, bottom = 0;
  for (uint32_t i = 0; i < n; ++i) {
    left = i ? std::min(left, points[i].x) : points[i].x, right = i ? std::max(right, points[i].x) : points[i].x;
    top = i ? std::min(top, points[i].y) : points[i].y, bottom = i ? std::max(bottom, points[i].y) : points[i].y;
  }
  left -= kAreaBorder, top -= kAreaBorder;
  int32_t cell = kAreaCell;
  while ((std::max(right - left, bottom - top) + kAreaBorder) >> cell >= static_cast<int32_t>(kPccCells)) ++cell;
  *room.left = static_cast<int16_t>(left), *room.top = static_cast<int16_t>(top);
  *room.cell = static_cast<uint8_t>(cell);
  const int32_t middle = 1 << (cell - 1);
  const int32_t rows = n ? (bottom - top + kAreaMargin) / (2 * middle) + 1 : 0;
  const int32_t columns = n ? (right - left + kAreaMargin) / (2 * middle) + 1 : 0;
  for (int32_t r = 0; r < rows; ++r)
    for (int32_t c = 0; c < columns; ++c)
      if (within(hull, {left + (c << cell) + middle, top + (r << cell) + middle}, kAreaMargin)) room.area[r] |= 1u << c;

  uint64_t order = 14695981039346656037u;
  for (uint32_t i = 0; i < n; ++i) {
    order = digest(order, static_cast<uint16_t>(room.x[i]) | uint32_t{static_cast<uint16_t>(room.y[i])} << 16);
    order = digest(order, room.direction[i]);
  }
  *room.order = order;
}

}  // namespace pcc
