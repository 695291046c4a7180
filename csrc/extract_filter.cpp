// Enhancement: at each pixel the even Gabor filter of the local ridge orientation and distance.
#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "extract.h"
#include "isa.h"

namespace pcc::extract {

namespace {

constexpr int kOrientations = 32, kWavelengths = 14;
constexpr float kShortest = 5.0f, kStep = 1.09f;  // 5.0, 5.45 ... 15.3 pixels

struct Kernel {
  int radius, taps;                  // 2 radius + 1 rows of `taps` values, a multiple of 16
  std::vector<std::int16_t> values;  // sum of absolute values about 4096
};

Kernel make_kernel(int orientation, float wavelength, float along, float across) {
  const double t = M_PI * orientation / kOrientations, sv = along, su = across * wavelength;
  Kernel k{};
  k.radius = std::min(Plane::kMargin - 8, int(std::max(sv, su) * 2.3 + 0.5));
  k.taps = (2 * k.radius + 1 + 15) / 16 * 16;
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

// The filter at four pixels: at, beside it, below it, below and beside. int32 sums cannot overflow: 4096 * 1000 * 2.
using Four = void (*)(const Kernel& kernel, const std::int16_t* at, int stride, std::int32_t out[4]);

template <int taps>
void four_of(const Kernel& kernel, const std::int16_t* at, int stride, std::int32_t out[4]) {
  std::int32_t a = 0, b = 0, c = 0, d = 0;
  const std::int16_t *row = at - std::ptrdiff_t(kernel.radius) * stride - kernel.radius, *w = kernel.values.data();
  for (int y = 0; y < 2 * kernel.radius + 1; ++y, row += stride, w += taps) {
    for (int x = 0; x < taps; ++x) a += std::int32_t(row[x]) * w[x];
    for (int x = 0; x < taps; ++x) b += std::int32_t(row[x + 1]) * w[x];
    for (int x = 0; x < taps; ++x) c += std::int32_t(row[stride + x]) * w[x];
    for (int x = 0; x < taps; ++x) d += std::int32_t(row[stride + x + 1]) * w[x];
  }
  out[0] = a, out[1] = b, out[2] = c, out[3] = d;
}

void four_portable(const Kernel& kernel, const std::int16_t* at, int stride, std::int32_t out[4]) {
  static constexpr Four kOf[] = {four_of<16>, four_of<32>, four_of<48>, four_of<64>, four_of<80>};
  kOf[kernel.taps / 16 - 1](kernel, at, stride, out);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) void four_avx2(const Kernel& kernel, const std::int16_t* at, int stride,
                                               std::int32_t out[4]) {
  __m256i sum[4] = {};
  const std::int16_t *row = at - std::ptrdiff_t(kernel.radius) * stride - kernel.radius, *w = kernel.values.data();
  for (int y = 0; y < 2 * kernel.radius + 1; ++y, row += stride)
    for (int x = 0; x < kernel.taps; x += 16, w += 16) {
      const __m256i weights = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w));
      for (int k = 0; k < 4; ++k) {
        const std::int16_t* from = row + (k / 2) * stride + x + k % 2;
        const __m256i values = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
        sum[k] = _mm256_add_epi32(sum[k], _mm256_madd_epi16(values, weights));
      }
    }
  const __m256i pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(sum[0], sum[1]), _mm256_hadd_epi32(sum[2], sum[3]));
  const __m128i all = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), all);
}
#endif

Four four_kernel() {
#if defined(__x86_64__)
  if (active_isa() != Isa::portable) return four_avx2;
#endif
  return four_portable;
}

}  // namespace

Plane enhance(const Plane& image, const Maps& maps, const Filter& filter) {
  const Bank& kernels = bank(filter.along, filter.across);
  const Four four = four_kernel();
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
      std::int32_t sums[4];
      four(kernel, image.row(y) + x, image.stride, sums);
      for (int k = 0; k < 4; ++k)
        if (x + k % 2 < image.width && y + k / 2 < image.height)
          out.row(y + k / 2)[x + k % 2] = std::int16_t(std::max(-1000, std::min(1000, sums[k] >> 11)));
    }
  return out;
}

}  // namespace pcc::extract
