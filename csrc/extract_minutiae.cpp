// From the enhanced image to minutiae: middle lines of the ridges, their repair, their ends and forks.
#include <algorithm>
#include <cmath>

#include "extract.h"
#include "extract_bits.h"

namespace pcc::extract {

namespace {

// The eight neighbours of 64 pixels, from north, clockwise: bit k of n[d] is the neighbour of pixel k.
inline void neighbours(const Bits& b, int y, int word, std::uint64_t n[8]) {
  auto west = [&](const std::uint64_t* r) { return r[word] << 1 | (word ? r[word - 1] >> 63 : 0); };
  auto east = [&](const std::uint64_t* r) { return r[word] >> 1 | (word + 1 < b.words ? r[word + 1] << 63 : 0); };
  const std::uint64_t *up = b.row(y - 1), *here = b.row(y), *down = b.row(y + 1);
  n[0] = up[word], n[1] = east(up), n[2] = east(here), n[3] = east(down);
  n[4] = down[word], n[5] = west(down), n[6] = west(here), n[7] = west(up);
}

// Which of 64 pixels have how many of the given bits: at least one, two, three, four.
inline void count4(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d, std::uint64_t least[5]) {
  const std::uint64_t ab = a | b, cd = c | d, ab2 = a & b, cd2 = c & d;
  least[1] = ab | cd, least[2] = ab2 | cd2 | (ab & cd), least[3] = (ab2 & cd) | (cd2 & ab), least[4] = ab2 & cd2;
}

// Guo and Hall, Parallel thinning with two-subiteration algorithms, CACM 32 (1989), 64 pixels at once.
void thin_bits(Bits& image) {
  Bits next = image;
  for (bool changed = true; changed;) {
    changed = false;
    for (int half = 0; half < 2; ++half) {
      for (int y = 0; y < image.height; ++y)
        for (int word = 0; word < image.words; ++word) {
          const std::uint64_t p = image.row(y)[word];
          next.row(y)[word] = p;
          if (!p) continue;
          std::uint64_t n[8], c[5], a[5], b[5];
          neighbours(image, y, word, n);
          count4(~n[0] & (n[1] | n[2]), ~n[2] & (n[3] | n[4]), ~n[4] & (n[5] | n[6]), ~n[6] & (n[7] | n[0]), c);
          count4(n[7] | n[0], n[1] | n[2], n[3] | n[4], n[5] | n[6], a);
          count4(n[0] | n[1], n[2] | n[3], n[4] | n[5], n[6] | n[7], b);
          const std::uint64_t one = c[1] & ~c[2], two_or_three = a[2] & b[2] & ~(a[4] & b[4]);
          const std::uint64_t keep = half ? (n[0] | n[1] | ~n[3]) & n[2] : (n[4] | n[5] | ~n[7]) & n[6];
          const std::uint64_t gone = p & one & two_or_three & ~keep;
          if (gone) changed = true;
          next.row(y)[word] = p & ~gone;
        }
      std::swap(image.values, next.values);
    }
  }
}

// A pixel becomes what most of the nine here are.
void majority(Bits& image) {
  Bits next = image;
  for (int y = 0; y < image.height; ++y)
    for (int word = 0; word < image.words; ++word) {
      std::uint64_t n[8], a[5], b[5];
      neighbours(image, y, word, n);
      const std::uint64_t p = image.row(y)[word];
      count4(n[0], n[1], n[2], n[3], a), count4(n[4], n[5], n[6], n[7], b);
      const std::uint64_t five = (a[4] & b[1]) | (a[3] & b[2]) | (a[2] & b[3]) | (a[1] & b[4]);
      const std::uint64_t four = a[4] | b[4] | (a[3] & b[1]) | (a[2] & b[2]) | (a[1] & b[3]);
      next.row(y)[word] = five | (four & p);
    }
  image.values = next.values;
}

constexpr int kDx[8] = {0, 1, 1, 1, 0, -1, -1, -1}, kDy[8] = {-1, -1, 0, 1, 1, 1, 0, -1};

struct Point {
  int x, y;
};

// A skeleton with a margin of one pixel.
struct Skeleton {
  int width, height, stride;
  std::vector<std::uint8_t> on;
  int offset[8];
  Skeleton(const std::vector<std::uint8_t>& pixels, int w, int h)
      : width(w), height(h), stride(w + 2), on(std::size_t(w + 2) * (h + 2)) {
    for (int d = 0; d < 8; ++d) offset[d] = kDy[d] * stride + kDx[d];
    for (int y = 0; y < h; ++y)
      std::copy_n(pixels.begin() + std::ptrdiff_t(y) * w, w, on.begin() + std::ptrdiff_t(y + 1) * stride + 1);
  }
  int at(int x, int y) const { return (y + 1) * stride + x + 1; }
  Point point(int i) const { return {i % stride - 1, i / stride - 1}; }
  // Lines that meet at a pixel: 1 at an end, 2 along a line, 3 or more at a fork.
  int lines(int i) const {
    int n = 0;
    for (int d = 0; d < 8; ++d) n += !on[i + offset[d]] && on[i + offset[(d + 1) & 7]];
    return n;
  }
  // The first pixel of each line that leaves i.
  int leaving(int i, int first[8]) const {
    int n = 0;
    for (int d = 0; d < 8; ++d) {
      if (on[i + offset[d]] || !on[i + offset[(d + 1) & 7]]) continue;
      const int a = (d + 1) & 7, b = (d + 2) & 7;
      first[n++] = i + offset[(a & 1) && on[i + offset[b]] ? b : a];  // the one beside, where there is one
    }
    return n;
  }
};

enum End { kGoesOn, kStops, kForks };

struct Walk {
  std::vector<int> path;  // from the first pixel after the start
  End end;
};

// Along the line that leaves `start` by `first`, at most `most` pixels, up to its end or the next fork.
void walk(const Skeleton& s, int start, int first, int most, Walk& w) {
  w.path.clear();
  w.end = kGoesOn;
  int before = start, here = first;
  while (true) {
    w.path.push_back(here);
    const int lines = s.lines(here);
    if (lines >= 3) {
      w.end = kForks;
      return;
    }
    if (int(w.path.size()) >= most) return;
    int best = -1, best_rank = 9;
    for (int d = 0; d < 8; ++d) {
      const int i = here + s.offset[d];
      if (!s.on[i] || i == before || i == start) continue;
      const Point a = s.point(i), b = s.point(before), c = s.point(start);
      const bool beside = std::abs(a.x - b.x) <= 1 && std::abs(a.y - b.y) <= 1;
      const bool near_start = w.path.size() <= 2 && std::abs(a.x - c.x) <= 1 && std::abs(a.y - c.y) <= 1;
      const int rank = (d & 1) + 2 * beside + 4 * near_start;
      if (rank < best_rank) best_rank = rank, best = i;
    }
    if (best < 0 || best_rank >= 4) {
      w.end = kStops;
      return;
    }
    if (best_rank >= 2 && w.path.size() >= 2 && best == w.path[w.path.size() - 2]) {
      w.end = kStops;
      return;
    }
    before = here, here = best;
  }
}

std::vector<int> ends_of(const Skeleton& s, bool forks) {
  std::vector<int> found;
  for (int y = 0; y < s.height; ++y)
    for (int x = 0; x < s.width; ++x) {
      const int i = s.at(x, y);
      if (!s.on[i]) continue;
      const int lines = s.lines(i);
      if (forks ? lines >= 3 : lines <= 1) found.push_back(i);
    }
  return found;
}

struct Field {
  const Maps& maps;
  std::size_t cell(Point p) const { return std::size_t(p.y / kCell) * maps.columns + p.x / kCell; }
  // Between the centres of the four cells around.
  float between(const std::vector<float>& map, Point p) const {
    const float gx = (p.x + 0.5f) / kCell - 0.5f, gy = (p.y + 0.5f) / kCell - 0.5f;
    const int left = std::max(0, std::min(maps.columns - 1, int(gx + 1) - 1)),
              top = std::max(0, std::min(maps.rows - 1, int(gy + 1) - 1));
    const int right = std::min(left + 1, maps.columns - 1), bottom = std::min(top + 1, maps.rows - 1);
    const float fx = std::max(0.0f, std::min(1.0f, gx - left)), fy = std::max(0.0f, std::min(1.0f, gy - top));
    const float* m = map.data();
    return (1 - fy) * ((1 - fx) * m[top * maps.columns + left] + fx * m[top * maps.columns + right]) +
           fy * ((1 - fx) * m[bottom * maps.columns + left] + fx * m[bottom * maps.columns + right]);
  }
  // How much (x, y) lies along the ridges: 1 along, -1 across.
  float along(Point p, float x, float y) const {
    const float c = between(maps.cos2, p), d = between(maps.sin2, p),
                n = (x * x + y * y) * (std::sqrt(c * c + d * d) + 1e-9f);
    return n > 0 ? ((x * x - y * y) * c + 2 * x * y * d) / n : 0;
  }
};

void erase(Skeleton& s, const std::vector<int>& path, std::size_t n) {
  for (std::size_t k = 0; k < n; ++k) s.on[path[k]] = 0;
}

// Pixels. Shorter is not believed: a ridge on its own, a spur from a fork, the way round a lake, a bridge from ridge to
// ridge, a gap in a ridge.
constexpr int kIsland = 12, kSpur = 9, kLake = 20, kBridge = 10, kGap = 9;
constexpr float kBorder = 10;                   // how far inside the print a minutia lies
constexpr int kEndReach = 14, kForkReach = 10;  // how far its ridges are followed
constexpr int kSpot = 6, kFacing = 7;           // two that are nearer, or face each other and are nearer, are neither

// Short ridges on their own, spurs, bridges between ridges and lakes within one are the sensor's or the skin's, or
// the filter's: they say nothing that comes back.
void repair(Skeleton& s, const Field& field) {
  Walk w, w2;
  int first[8];
  for (int round = 0; round < 2; ++round) {
    for (const int i : ends_of(s, false)) {
      if (!s.on[i]) continue;
      if (s.leaving(i, first) == 0) {
        s.on[i] = 0;
        continue;
      }
      walk(s, i, first[0], kIsland, w);
      if (w.end == kStops) erase(s, w.path, w.path.size()), s.on[i] = 0;
      if (w.end == kForks && w.path.size() <= kSpur) erase(s, w.path, w.path.size() - 1), s.on[i] = 0;
    }
    for (const int i : ends_of(s, true)) {
      if (!s.on[i]) continue;
      const int n = s.leaving(i, first);
      if (n < 3) continue;
      int fork[8], size[8];
      bool erased = false;
      for (int k = 0; k < n && !erased; ++k) {
        walk(s, i, first[k], kLake, w);
        fork[k] = w.end == kForks ? w.path.back() : -1, size[k] = int(w.path.size());
        if (fork[k] < 0 || size[k] < 2) continue;
        for (int j = 0; j < k && !erased; ++j)
          if (fork[j] == fork[k]) {  // a lake: the longer way goes
            walk(s, i, first[size[j] > size[k] ? j : k], kLake, w2);
            erase(s, w2.path, w2.path.size() - 1), erased = true;
          }
        if (erased || size[k] > kBridge) continue;
        const Point a = s.point(i), b = s.point(fork[k]), m = {(a.x + b.x) / 2, (a.y + b.y) / 2};
        if (field.along(m, float(b.x - a.x), float(b.y - a.y)) < 0) erase(s, w.path, w.path.size() - 1), erased = true;
      }
    }
  }
  // Ends that face each other across a gap: one ridge.
  const std::vector<int> ends = ends_of(s, false);
  struct Tip {
    int i;
    Point p;
    float x, y;
  };
  std::vector<Tip> tips;
  for (const int i : ends) {
    if (s.leaving(i, first) != 1) continue;
    walk(s, i, first[0], 8, w);
    const Point p = s.point(i), q = s.point(w.path.back());
    const float n = std::sqrt(float((p.x - q.x) * (p.x - q.x) + (p.y - q.y) * (p.y - q.y))) + 1e-6f;
    tips.push_back({i, p, (p.x - q.x) / n, (p.y - q.y) / n});
  }
  for (std::size_t a = 0; a < tips.size(); ++a)
    for (std::size_t b = 0; b < a; ++b) {
      if (tips[a].i < 0 || tips[b].i < 0) continue;
      const float x = float(tips[b].p.x - tips[a].p.x), y = float(tips[b].p.y - tips[a].p.y),
                  d = std::sqrt(x * x + y * y);
      if (d > kGap || d < 1) continue;
      if (tips[a].x * tips[b].x + tips[a].y * tips[b].y > -0.7f) continue;
      if (tips[a].x * x + tips[a].y * y < 0.7f * d) continue;
      const int steps = int(d + 1);
      for (int k = 1; k < steps; ++k)
        s.on[s.at(tips[a].p.x + int(x * k / steps + (x < 0 ? -0.5f : 0.5f)),
                  tips[a].p.y + int(y * k / steps + (y < 0 ? -0.5f : 0.5f)))] = 1;
      tips[a].i = tips[b].i = -1;
    }
}

}  // namespace

std::vector<std::uint8_t> thin(const Plane& enhanced, const Maps& maps) {
  Bits bits(enhanced.width, enhanced.height);
  std::vector<std::uint8_t> ridge(std::size_t(bits.words) * 64);
  for (int y = 0; y < enhanced.height; ++y) {
    const std::int16_t* row = enhanced.row(y);
    const std::uint8_t* mask = maps.mask.data() + std::size_t(y / kCell) * maps.columns;
    for (int x = 0; x < enhanced.width; ++x) ridge[x] = (row[x] < 0) & mask[x / kCell];
    bits.pack(y, ridge.data());
  }
  majority(bits);
  thin_bits(bits);
  std::vector<std::uint8_t> out(std::size_t(enhanced.width) * enhanced.height);
  for (int y = 0; y < enhanced.height; ++y)
    for (int x = 0; x < enhanced.width; ++x)
      out[std::size_t(y) * enhanced.width + x] = bits.row(y)[x / 64] >> (x % 64) & 1;
  return out;
}

std::vector<Minutia> find_minutiae(std::vector<std::uint8_t>& skeleton, int width, int height, const Maps& maps) {
  Skeleton s(skeleton, width, height);
  const Field field{maps};
  repair(s, field);
  for (int y = 0; y < height; ++y)
    std::copy_n(s.on.begin() + std::ptrdiff_t(y + 1) * s.stride + 1, width,
                skeleton.begin() + std::ptrdiff_t(y) * width);

  // Distance to the edge of the print, in pixels, city block over cells is too coarse: a window of pixels is looked at.
  auto inside = [&](int x, int y) {
    return x >= 0 && y >= 0 && x < width && y < height && maps.mask[std::size_t(y / kCell) * maps.columns + x / kCell];
  };
  auto depth = [&](Point p) {  // 0-16: how far all eight directions stay inside
    static constexpr int kFar[8][2] = {{0, -10}, {7, -7}, {10, 0}, {7, 7}, {0, 10}, {-7, 7}, {-10, 0}, {-7, -7}};
    int d = 0;
    for (int far = 1; far <= 8; ++far, ++d)
      for (const auto& f : kFar)
        if (!inside(p.x + f[0] * far / 4, p.y + f[1] * far / 4)) return d * 2.5f;
    return d * 2.5f;
  };

  std::vector<Minutia> found;
  Walk w;
  int first[8];
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const int i = s.at(x, y);
      if (!s.on[i]) continue;
      const int n = s.leaving(i, first);
      if (n != 1 && n < 3) continue;
      const Point p = {x, y};
      const float border = depth(p);
      if (border < kBorder) continue;
      float dx = 0, dy = 0;  // y down
      bool good = true;
      int reach = 99;
      if (n == 1) {
        walk(s, i, first[0], kEndReach, w);
        good = w.end == kGoesOn || w.path.size() > kEndReach * 0.7f;
        reach = int(w.path.size());
        const Point q = s.point(w.path.back());
        dx = float(q.x - x), dy = float(q.y - y);
      } else {
        float vx[8], vy[8];
        for (int k = 0; k < n && k < 3; ++k) {
          walk(s, i, first[k], kForkReach, w);
          good = good && (w.end == kGoesOn || w.path.size() > kForkReach * 0.6f);
          reach = std::min(reach, int(w.path.size()));
          const Point q = s.point(w.path.back());
          const float length = std::sqrt(float((q.x - x) * (q.x - x) + (q.y - y) * (q.y - y))) + 1e-6f;
          vx[k] = (q.x - x) / length, vy[k] = (q.y - y) / length;
        }
        float most = -2;
        for (int a = 0; a < 3; ++a)
          for (int b = 0; b < a; ++b)
            if (vx[a] * vx[b] + vy[a] * vy[b] > most)
              most = vx[a] * vx[b] + vy[a] * vy[b], dx = vx[a] + vx[b], dy = vy[a] + vy[b];
      }
      if (!good) continue;
      const float c = field.between(maps.cos2, p), d = field.between(maps.sin2, p);
      const float o = direction(c, d) / 2;  // 0-128
      float angle = o;
      const float path = direction(dx, dy);
      float off = path - o;
      off -= 256 * std::floor(off / 256);
      if (off > 64 && off < 192) angle += 128;
      const float q = field.between(maps.quality, p);
      const float coherence = std::sqrt(c * c + d * d);
      float score = q * (0.5f + 0.5f * coherence) * std::min(1.0f, 0.6f + 0.4f * border / 20);
      found.push_back({std::int16_t(x), std::int16_t(y), std::uint8_t(int(512.5f - angle) & 255),
                       std::uint8_t(n == 1 ? kRidgeEnding : kBifurcation),
                       std::uint8_t(std::max(1.0f, std::min(100.0f, 100 * score + 0.5f)))});
    }
  // Pairs that face each other or lie on one spot are one false break, bridge or scar.
  std::vector<std::uint8_t> gone(found.size());
  for (std::size_t a = 0; a < found.size(); ++a)
    for (std::size_t b = 0; b < a; ++b) {
      const int dx = found[a].x - found[b].x, dy = found[a].y - found[b].y, d2 = dx * dx + dy * dy;
      const int turn = std::abs(std::int8_t(std::uint8_t(found[a].angle - found[b].angle)));
      if (d2 < kSpot * kSpot || (d2 < kFacing * kFacing && turn > 85)) gone[a] = gone[b] = 1;
    }
  std::vector<Minutia> kept;
  for (std::size_t a = 0; a < found.size(); ++a)
    if (!gone[a]) kept.push_back(found[a]);
  std::stable_sort(kept.begin(), kept.end(), [](const Minutia& a, const Minutia& b) { return a.quality > b.quality; });
  return kept;
}

Print extract(const std::uint8_t* grey, int width, int height, const Filter& filter) {
  Print p{};
  p.width = width, p.height = height;
  std::vector<float> contrast;
  const Plane image = normalise(grey, width, height, contrast);
  p.maps = make_maps(image, contrast);
  const Plane enhanced = enhance(image, p.maps, filter);
  p.skeleton = thin(enhanced, p.maps);
  p.minutiae = find_minutiae(p.skeleton, width, height, p.maps);
  p.enhanced.resize(std::size_t(width) * height);
  for (int y = 0; y < height; ++y) std::copy_n(enhanced.row(y), width, p.enhanced.begin() + std::ptrdiff_t(y) * width);
  return p;
}

}  // namespace pcc::extract
