// Enhancement: at each pixel the even Gabor filter of the local ridge orientation and distance.
#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>

#include "extract.h"

namespace pcc::extract {

namespace {

constexpr int kOrientations = 32, kWavelengths = 14;
constexpr float kShortest = 5.0f, kStep = 1.09f;  // 5.0, 5.45 ... 15.3 pixels

struct Kernel {
  int radius, taps;                  // 2 radius + 1 rows of `taps` values, a multiple of 8
  std::vector<std::int16_t> values;  // sum of absolute values about 4096
};

Kernel make_kernel(int orientation, float wavelength, float along, float across) {
  const double t = M_PI * orientation / kOrientations, sv = along, su = across * wavelength;
  Kernel k{};
  k.radius = std::min(Plane::kMargin - 8, int(std::max(sv, su) * 2.3 + 0.5));
  k.taps = (2 * k.radius + 1 + 7) / 8 * 8;
  const int side = 2 * k.radius + 1;
  std::vector<double> v(std::size_t(side) * side), envelope(v.size());
  double sum = 0, weight = 0, absolute = 0;
  for (int y = -k.radius; y <= k.radius; ++y)
    for (int x = -k.radius; x <= k.radius; ++x) {
      const std::size_t i = std::size_t(y + k.radius) * side + (x + k.radius);
      const double u = -x * std::sin(t) + y * std::cos(t), w = x * std::cos(t) + y * std::sin(t);
      envelope[i] = std::exp(-0.5 * (u * u / (su * su) + w * w / (sv * sv)));
      v[i] = envelope[i] * std::cos(2 * M_PI * u / wavelength);
      sum += v[i], weight += envelope[i];
    }
  for (std::size_t i = 0; i < v.size(); ++i) v[i] -= envelope[i] * sum / weight, absolute += std::fabs(v[i]);
  k.values.assign(std::size_t(side) * k.taps, 0);
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x)
      k.values[std::size_t(y) * k.taps + x] = std::int16_t(std::lround(4096 * v[std::size_t(y) * side + x] / absolute));
  return k;
}

using Bank = std::vector<Kernel>;

const Bank& bank(float along, float across) {
  static std::mutex guard;
  static std::map<std::pair<float, float>, Bank> banks;
  const std::lock_guard<std::mutex> lock(guard);
  Bank& b = banks[{along, across}];
  if (b.empty())
    for (int o = 0; o < kOrientations; ++o) {
      float l = kShortest;
      for (int w = 0; w < kWavelengths; ++w, l *= kStep) b.push_back(make_kernel(o, l, along, across));
    }
  return b;
}

// Rows of `taps` values, taps a multiple of 8; int32 sums cannot overflow: 4096 * 1000 * 2.
template <int taps>
std::int32_t apply(const Kernel& k, const std::int16_t* at, int stride) {
  std::int32_t sum = 0;
  const std::int16_t* row = at - std::ptrdiff_t(k.radius) * stride - k.radius;
  const std::int16_t* weight = k.values.data();
  for (int y = 0; y < 2 * k.radius + 1; ++y, row += stride, weight += taps)
    for (int x = 0; x < taps; ++x) sum += std::int32_t(row[x]) * weight[x];
  return sum;
}

std::int32_t apply(const Kernel& k, const std::int16_t* at, int stride) {
  switch (k.taps) {
    case 16:
      return apply<16>(k, at, stride);
    case 24:
      return apply<24>(k, at, stride);
    case 32:
      return apply<32>(k, at, stride);
    case 40:
      return apply<40>(k, at, stride);
    case 48:
      return apply<48>(k, at, stride);
    case 56:
      return apply<56>(k, at, stride);
    case 64:
      return apply<64>(k, at, stride);
    default:
      return apply<72>(k, at, stride);
  }
}

}  // namespace

Plane enhance(const Plane& image, const Maps& maps, const Filter& filter) {
  const Bank& kernels = bank(filter.along, filter.across);
  Plane out(image.width, image.height);
  float bounds[kWavelengths];  // the upper end of each wavelength's share
  float l = kShortest;
  for (int w = 0; w < kWavelengths; ++w, l *= kStep) bounds[w] = l * std::sqrt(kStep);
  const int columns = maps.columns, rows = maps.rows;
  // cells that the mask or its neighbours hold
  std::vector<std::uint8_t> wanted(maps.mask.size());
  for (int y = 0; y < rows; ++y)
    for (int x = 0; x < columns; ++x)
      for (int v = std::max(0, y - 1); v <= std::min(rows - 1, y + 1); ++v)
        for (int u = std::max(0, x - 1); u <= std::min(columns - 1, x + 1); ++u)
          wanted[std::size_t(y) * columns + x] |= maps.mask[std::size_t(v) * columns + u];
  for (int y = 0; y < image.height; y += 2)
    for (int x = 0; x < image.width; x += 2) {
      if (!wanted[std::size_t(y / kCell) * columns + x / kCell]) continue;
      // between the centres of four cells
      const float gx = (x + 1.0f) / kCell - 0.5f, gy = (y + 1.0f) / kCell - 0.5f;
      const int left = std::max(0, std::min(columns - 2, int(gx + 1) - 1)),
                top = std::max(0, std::min(rows - 2, int(gy + 1) - 1));
      const int right = std::min(left + 1, columns - 1), bottom = std::min(top + 1, rows - 1);
      const float fx = std::max(0.0f, std::min(1.0f, gx - left)), fy = std::max(0.0f, std::min(1.0f, gy - top));
      const std::size_t i[4] = {std::size_t(top) * columns + left, std::size_t(top) * columns + right,
                                std::size_t(bottom) * columns + left, std::size_t(bottom) * columns + right};
      const float f[4] = {(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy};
      float c = 0, d = 0, length = 0;
      for (int k = 0; k < 4; ++k)
        c += f[k] * maps.cos2[i[k]], d += f[k] * maps.sin2[i[k]], length += f[k] * maps.wavelength[i[k]];
      const int orientation = int(direction(c, d) * (kOrientations / 256.0f) + 0.5f) % kOrientations;
      int w = 0;
      while (w + 1 < kWavelengths && length > bounds[w]) ++w;
      const Kernel& kernel = kernels[std::size_t(orientation) * kWavelengths + w];
      for (int v = y; v < std::min(y + 2, image.height); ++v)
        for (int u = x; u < std::min(x + 2, image.width); ++u)
          out.row(v)[u] =
              std::int16_t(std::max(-1000, std::min(1000, apply(kernel, image.row(v) + u, image.stride) >> 11)));
    }
  return out;
}

}  // namespace pcc::extract
