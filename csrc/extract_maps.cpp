// From grey values to what is known of each cell of 8 x 8 pixels: contrast, ridge orientation, ridge distance, quality.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "extract.h"
#include "extract_bits.h"

namespace pcc::extract {

float direction(float x, float y) {
  const float ax = std::fabs(x), ay = std::fabs(y), most = std::max(ax, ay);
  if (most == 0) return 0;
  const float z = std::min(ax, ay) / most, z2 = z * z;
  // Abramowitz and Stegun 4.4.49, times 128 / pi
  float a =
      z * (0.9998660f + z2 * (-0.3302995f + z2 * (0.1801410f + z2 * (-0.0851330f + z2 * 0.0208351f)))) * 40.7436654f;
  if (ay > ax) a = 64 - a;
  if (x < 0) a = 128 - a;
  if (y < 0) a = 256 - a;
  return a >= 256 ? 0 : a;
}

namespace {

// 1 for what the sensor saw, 0 for flat areas that reach the edge of the image, and 5 pixels around them: frames and
// the white around scanned prints. Their border with the print would be a ridge.
std::vector<std::uint8_t> seen(const std::uint8_t* grey, int width, int height) {
  Bits flat(width, height);
  std::vector<std::uint8_t> even(std::size_t(flat.words) * 64, 1);
  for (int y = 0; y < height; ++y) {  // no step of more than 1 to the right or down
    const std::uint8_t *here = grey + std::size_t(y) * width, *down = y + 1 < height ? here + width : here;
    for (int x = 0; x + 1 < width; ++x)
      even[x] = (std::abs(here[x] - here[x + 1]) <= 1) & (std::abs(here[x] - down[x]) <= 1);
    flat.pack(y, even.data());
  }
  flat = flat.shrunk(3);  // ridges are narrower than 7 pixels
  Bits area(width, height);
  for (int x = 0; x < flat.words; ++x)
    area.row(0)[x] = flat.row(0)[x], area.row(height - 1)[x] = flat.row(height - 1)[x];
  for (int y = 0; y < height; ++y)
    for (const int x : {0, width - 1}) area.row(y)[x / 64] |= flat.row(y)[x / 64] & std::uint64_t(1) << (x % 64);
  area.flood(flat);
  const Bits around = area.grown(8);  // 3 that shrinking took, and 5
  std::vector<std::uint8_t> keep(std::size_t(width) * height);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) keep[std::size_t(y) * width + x] = ~around.row(y)[x / 64] >> (x % 64) & 1;
  return keep;
}

// Standard deviations of the windows that maps are averaged over, in cells unless stated.
constexpr float kOrientationWindow = 7;   // pixels
constexpr float kWide = 2, kFine = 0.6f;  // orientation: of cells that disagree; at the end
constexpr float kNear = 0.5f;             // the spectra
constexpr float kEven = 1.5f;             // ridge distance
constexpr float kTrust = 1;               // the quality of minutiae
constexpr float kVote = 1;                // the vote on where there is a print
constexpr float kLongest = 15;            // pixels, ridge distance
// A print is where ridges explain this part of the variance, and the contrast is this part of the image's best.
constexpr float kLeastQuality = 0.06f, kLeastContrast = 0.2f;

// Gaussian over cells; edges repeat nothing: weights are divided by what lies inside.
void smooth(std::vector<float>& map, int columns, int rows, float sigma) {
  if (sigma < 0.05f) return;
  const int radius = std::min(12, int(sigma * 3 + 1));
  std::vector<float> weight(radius + 1), next(map.size());
  for (int k = 0; k <= radius; ++k) weight[k] = float(std::exp(-0.5 * k * k / (double(sigma) * sigma)));
  auto pass = [&](const std::vector<float>& in, std::vector<float>& out, int length, int step, int lines,
                  int line_step) {
    for (int line = 0; line < lines; ++line)
      for (int i = 0; i < length; ++i) {
        float total = 0, w = 0;
        for (int k = std::max(-radius, -i); k <= std::min(radius, length - 1 - i); ++k) {
          total += weight[k < 0 ? -k : k] * in[std::size_t(line) * line_step + std::size_t(i + k) * step];
          w += weight[k < 0 ? -k : k];
        }
        out[std::size_t(line) * line_step + std::size_t(i) * step] = total / w;
      }
  };
  pass(map, next, columns, 1, rows, columns);
  pass(next, map, rows, columns, columns, 1);
}

}  // namespace

Plane normalise(const std::uint8_t* grey, int width, int height, std::vector<float>& contrast) {
  const std::vector<std::uint8_t> keep = seen(grey, width, height);
  const int columns = (width + kCell - 1) / kCell, rows = (height + kCell - 1) / kCell;
  const std::size_t cells = std::size_t(columns) * rows;
  std::vector<float> count(cells), mean(cells), gain(cells);  // mean and gain hold the sums of values and squares first
  for (int y = 0; y < height; ++y) {
    const std::uint8_t *g = grey + std::size_t(y) * width, *k = keep.data() + std::size_t(y) * width;
    const std::size_t base = std::size_t(y / kCell) * columns;
    for (int left = 0; left < width; left += kCell) {
      std::int32_t n = 0, sum = 0, squares = 0;
      for (int x = left; x < std::min(left + kCell, width); ++x) {
        const int value = g[x] & -k[x];
        n += k[x], sum += value, squares += value * value;
      }
      const std::size_t i = base + left / kCell;
      count[i] += float(n), mean[i] += float(sum), gain[i] += float(squares);
    }
  }
  std::vector<float> own = count;
  constexpr float kWindow = 1.2f;  // cells
  smooth(count, columns, rows, kWindow), smooth(mean, columns, rows, kWindow), smooth(gain, columns, rows, kWindow);
  contrast.assign(cells, 0);
  for (std::size_t i = 0; i < cells; ++i) {
    const float n = std::max(count[i], 1.0f);
    mean[i] /= n;
    const float deviation = std::sqrt(std::max(gain[i] / n - mean[i] * mean[i], 0.0f));
    gain[i] = 256.0f / (deviation + 6.0f);
    contrast[i] = deviation * own[i] / (kCell * kCell);
  }
  Plane plane(width, height);
  std::vector<float> m(columns), a(columns);
  for (int y = 0; y < height; ++y) {
    const Between v(y, rows);
    for (int c = 0; c < columns; ++c) {
      const std::size_t low = std::size_t(v.low) * columns + c, high = std::size_t(v.high) * columns + c;
      m[c] = mean[low] + v.part * (mean[high] - mean[low]), a[c] = gain[low] + v.part * (gain[high] - gain[low]);
    }
    std::int16_t* out = plane.row(y);
    const std::uint8_t *g = grey + std::size_t(y) * width, *k = keep.data() + std::size_t(y) * width;
    for (int x = 0; x < width; ++x) {
      const Between u(x, columns);
      const float value =
          (float(g[x]) - (m[u.low] + u.part * (m[u.high] - m[u.low]))) * (a[u.low] + u.part * (a[u.high] - a[u.low]));
      out[x] = std::int16_t(std::int16_t(std::max(-1000.0f, std::min(1000.0f, value))) & -k[x]);
    }
  }
  return plane;
}

namespace {

void find_orientation(const Plane& image, Maps& maps) {
  const int width = image.width, height = image.height, columns = maps.columns, rows = maps.rows;
  const std::size_t cells = std::size_t(columns) * rows;
  std::vector<float> xx(cells), xy(cells), yy(cells);
  std::vector<std::int32_t> line(width + 4);
  Plane soft(width, height);
  for (int y = 0; y < height; ++y) {  // binomial 3 x 3
    const std::int16_t *a = image.row(y - 1), *b = image.row(y), *c = image.row(y + 1);
    std::int16_t* out = soft.row(y);
    for (int x = -1; x <= width; ++x) line[x + 1] = a[x] + 2 * b[x] + c[x];
    for (int x = 0; x < width; ++x) out[x] = std::int16_t((line[x] + 2 * line[x + 1] + line[x + 2]) >> 4);
  }
  for (int y = 1; y + 1 < height; ++y) {
    const std::int16_t *a = soft.row(y - 1), *b = soft.row(y), *c = soft.row(y + 1);
    const std::size_t base = std::size_t(y / kCell) * columns;
    for (int left = 0; left < width; left += kCell) {
      std::int32_t sxx = 0, sxy = 0, syy = 0;  // at most 8 * 8000^2
      const int right = std::min(left + kCell, width - 1);
      for (int x = std::max(left, 1); x < right; ++x) {
        const int gx = a[x + 1] + 2 * b[x + 1] + c[x + 1] - a[x - 1] - 2 * b[x - 1] - c[x - 1];
        const int gy = c[x - 1] + 2 * c[x] + c[x + 1] - a[x - 1] - 2 * a[x] - a[x + 1];
        sxx += gx * gx, sxy += gx * gy, syy += gy * gy;
      }
      const std::size_t i = base + left / kCell;
      xx[i] += float(sxx), xy[i] += float(sxy), yy[i] += float(syy);
    }
  }
  const float sigma = kOrientationWindow / kCell;
  smooth(xx, columns, rows, sigma), smooth(xy, columns, rows, sigma), smooth(yy, columns, rows, sigma);
  maps.cos2.resize(cells), maps.sin2.resize(cells);
  for (std::size_t i = 0; i < cells; ++i) {
    const float energy = xx[i] + yy[i] + 64.0f * 64 * 64;
    maps.cos2[i] = (yy[i] - xx[i]) / energy,
    maps.sin2[i] = -2 * xy[i] / energy;  // along the ridge: across the gradient
  }
  // A wider mean where cells disagree: the less coherent a cell, the more its neighbours count.
  std::vector<float> c = maps.cos2, d = maps.sin2;
  smooth(c, columns, rows, kWide), smooth(d, columns, rows, kWide);
  for (std::size_t i = 0; i < cells; ++i) {
    const float coherence = std::sqrt(maps.cos2[i] * maps.cos2[i] + maps.sin2[i] * maps.sin2[i]);
    maps.cos2[i] = coherence * maps.cos2[i] + (1 - coherence) * c[i];
    maps.sin2[i] = coherence * maps.sin2[i] + (1 - coherence) * d[i];
  }
  smooth(maps.cos2, columns, rows, kFine), smooth(maps.sin2, columns, rows, kFine);
}

// The profile across the ridges of a window, 48 x 16 pixels along the ridge, and how much of it each wavelength
// explains.
constexpr int kHalf = 24, kAlong = 8, kWaves = 13;
constexpr float kShortest = 4.5f, kStep = 1.11f;  // wavelengths 4.5, 5.0 ... 15.7 pixels

struct Waves {
  static constexpr int kLanes = (kWaves + 3) / 4 * 4;
  float length[kWaves], weight[kHalf], weights = 0;
  float cosine[kHalf][kLanes] = {}, sine[kHalf][kLanes] = {};  // by distance from the middle, 0.5, 1.5 ... pixels
  Waves() {
    for (int u = 0; u < kHalf; ++u) {
      const double z = (u + 0.5) / 11.0;
      weight[u] = float(std::exp(-0.5 * z * z)), weights += 2 * weight[u];
    }
    float l = kShortest;
    for (int k = 0; k < kWaves; ++k, l *= kStep) {
      length[k] = l;
      double cc = 0, cw = 0, ss = 0;
      auto angle = [&](int u) { return 2 * M_PI * (u + 0.5) / l; };
      for (int u = 0; u < kHalf; ++u) cw += 2 * weight[u] * std::cos(angle(u)) / weights;
      for (int u = 0; u < kHalf; ++u) {
        const double c = std::cos(angle(u)) - cw, s = std::sin(angle(u));
        cc += 2 * weight[u] * c * c, ss += 2 * weight[u] * s * s;
      }
      for (int u = 0; u < kHalf; ++u) {
        cosine[u][k] = float(weight[u] * (std::cos(angle(u)) - cw) / std::sqrt(cc));
        sine[u][k] = float(weight[u] * std::sin(angle(u)) / std::sqrt(ss));
      }
    }
  }
};

void find_wavelength(const Plane& image, const std::vector<float>& contrast, Maps& maps) {
  static const Waves waves;
  const int columns = maps.columns, rows = maps.rows;
  const std::size_t cells = std::size_t(columns) * rows;
  std::vector<std::vector<float>> power(kWaves, std::vector<float>(cells));
  std::vector<float> total(cells);
  for (int row = 0; row < rows; ++row)
    for (int column = 0; column < columns; ++column) {
      const std::size_t i = std::size_t(row) * columns + column;
      if (contrast[i] <= 0) continue;
      const float norm = std::sqrt(maps.cos2[i] * maps.cos2[i] + maps.sin2[i] * maps.sin2[i]) + 1e-9f;
      // half of the doubled angle, without a sine; in 1/65536 pixel
      const float c2 = maps.cos2[i] / norm, half = std::sqrt(std::max(0.0f, (1 - c2) / 2));
      const int ux = int(65536 * std::sqrt(std::max(0.0f, (1 + c2) / 2))),
                uy = int(65536 * (maps.sin2[i] < 0 ? -half : half));
      const int cx = (2 * column * kCell + kCell - 1) * 32768 + 32768,
                cy = (2 * row * kCell + kCell - 1) * 32768 + 32768;
      float profile[2 * kHalf], all = 0, mean = 0;
      for (int u = 0; u < 2 * kHalf; ++u) {
        const int across = 2 * (u - kHalf) + 1;  // in half pixels
        int x = cx - (1 + kAlong) * ux + ux * 2 - across * uy / 2,
            y = cy - (1 + kAlong) * uy + uy * 2 + across * ux / 2;
        std::int32_t sum = 0, squares = 0;
        for (int v = 0; v < kAlong; ++v, x += 2 * ux, y += 2 * uy) {
          const std::int32_t value = image.row(y >> 16)[x >> 16];
          sum += value, squares += value * value;
        }
        profile[u] = float(sum) / kAlong;
        const float w = waves.weight[u < kHalf ? kHalf - 1 - u : u - kHalf];
        all += w * float(squares) / kAlong, mean += w * profile[u];
      }
      total[i] = all - mean * mean / waves.weights + waves.weights * 900;  // a floor of 30 / 256 of a deviation
      float c[Waves::kLanes] = {}, d[Waves::kLanes] = {};
      for (int u = 0; u < kHalf; ++u) {
        const float even = profile[kHalf + u] + profile[kHalf - 1 - u],
                    odd = profile[kHalf + u] - profile[kHalf - 1 - u];
        for (int k = 0; k < Waves::kLanes; ++k) c[k] += waves.cosine[u][k] * even, d[k] += waves.sine[u][k] * odd;
      }
      for (int k = 0; k < kWaves; ++k) power[k][i] = c[k] * c[k] + d[k] * d[k];
    }
  for (int k = 0; k < kWaves; ++k) smooth(power[k], columns, rows, kNear);
  smooth(total, columns, rows, kNear);
  maps.wavelength.assign(cells, 0), maps.quality.assign(cells, 0);
  std::vector<float> weight(cells);
  for (std::size_t i = 0; i < cells; ++i) {
    int best = 0;
    for (int k = 1; k < kWaves; ++k)
      if (power[k][i] > power[best][i]) best = k;
    const float p = power[best][i];
    if (p <= 0) continue;
    float at = float(best);
    if (best > 0 && best + 1 < kWaves) {
      const float a = power[best - 1][i], b = power[best + 1][i];
      at += 0.5f * (b - a) / (2 * p - a - b + 1e-6f * p);
    }
    const int low = std::min(int(at), kWaves - 2);
    const float length = waves.length[low] * (1 + (at - low) * (kStep - 1));
    // Print and handwriting on cards vary more slowly than ridges do.
    const float as_ridges = std::max(0.0f, std::min(1.0f, (kLongest - length) / 2));
    maps.quality[i] = std::min(1.0f, p / total[i]) * as_ridges;
    weight[i] = maps.quality[i] * maps.quality[i];
    maps.wavelength[i] = weight[i] * length;
  }
  std::vector<float> near = maps.wavelength, near_weight = weight;
  smooth(near, columns, rows, kEven), smooth(near_weight, columns, rows, kEven);
  smooth(maps.wavelength, columns, rows, 8), smooth(weight, columns, rows, 8);
  for (std::size_t i = 0; i < cells; ++i) {  // the near mean, and a little of the wide one for cells without ridges
    const float w = near_weight[i] + 0.02f * weight[i];
    maps.wavelength[i] = w > 0 ? (near[i] + 0.02f * maps.wavelength[i]) / w : 9.0f;
  }
}

// Parts of fewer cells than `least` change sides.
void drop_small(std::vector<std::uint8_t>& mask, int columns, int rows, std::uint8_t side, int least) {
  std::vector<std::uint8_t> done(mask.size());
  std::vector<int> part;
  for (std::size_t start = 0; start < mask.size(); ++start) {
    if (mask[start] != side || done[start]) continue;
    part.assign(1, int(start));
    done[start] = 1;
    for (std::size_t head = 0; head < part.size(); ++head) {
      const int x = part[head] % columns, y = part[head] / columns;
      const int next[4][2] = {{x - 1, y}, {x + 1, y}, {x, y - 1}, {x, y + 1}};
      for (const auto& [nx, ny] : next) {
        if (nx < 0 || ny < 0 || nx >= columns || ny >= rows) continue;
        const int j = ny * columns + nx;
        if (mask[j] == side && !done[j]) done[j] = 1, part.push_back(j);
      }
    }
    if (int(part.size()) < least)
      for (const int j : part) mask[j] = !side;
  }
}

void find_mask(const std::vector<float>& contrast, Maps& maps) {
  const int columns = maps.columns, rows = maps.rows;
  const std::size_t cells = std::size_t(columns) * rows;
  std::vector<float> sorted;
  for (std::size_t i = 0; i < cells; ++i)
    if (contrast[i] > 0) sorted.push_back(contrast[i]);
  float reference = 0;
  if (!sorted.empty()) {
    auto at = sorted.begin() + std::ptrdiff_t(sorted.size() * 9 / 10);
    std::nth_element(sorted.begin(), at, sorted.end());
    reference = *at;
  }
  std::vector<float> vote(cells);
  for (std::size_t i = 0; i < cells; ++i)
    vote[i] = contrast[i] > kLeastContrast * reference && contrast[i] > 2 ? maps.quality[i] : 0.0f;
  smooth(vote, columns, rows, kVote);
  maps.mask.resize(cells);
  for (std::size_t i = 0; i < cells; ++i) maps.mask[i] = vote[i] > kLeastQuality && contrast[i] > 0;
  if (kTrust > 0) smooth(maps.quality, columns, rows, kTrust);
  drop_small(maps.mask, columns, rows, 1, 24);
  drop_small(maps.mask, columns, rows, 0, 12);
}

}  // namespace

Maps make_maps(const Plane& image, const std::vector<float>& contrast) {
  Maps maps{};
  maps.columns = (image.width + kCell - 1) / kCell, maps.rows = (image.height + kCell - 1) / kCell;
  find_orientation(image, maps);
  find_wavelength(image, contrast, maps);
  find_mask(contrast, maps);
  return maps;
}

}  // namespace pcc::extract
