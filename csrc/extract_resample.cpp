// Images of any resolution to 500 ppi.
#include <algorithm>
#include <cmath>

#include "extract.h"

namespace pcc::extract {

namespace {

// For each pixel of a row or column of `to` pixels, which of the `from` it is made of: a triangle about its centre, of
// one new or one old pixel's width, whichever is more. What lies beyond the edge is left out.
struct Axis {
  std::vector<int> first, count;
  std::vector<float> weight;  // kMost a pixel
  int most;
  Axis(int from, int to, float step) : first(to), count(to) {
    const float reach = std::max(1.0f, step);
    most = int(2 * reach) + 2;
    weight.resize(std::size_t(most) * to);
    for (int i = 0; i < to; ++i) {
      const float centre = (float(i) + 0.5f) * step - 0.5f;
      const int low = std::min(from - 1, std::max(0, int(centre - reach + 1))),
                high = std::min(from - 1, int(centre + reach));
      float total = 0, *w = weight.data() + std::size_t(most) * i;
      first[i] = low, count[i] = std::max(1, high - low + 1);
      for (int k = 0; k < count[i]; ++k) total += w[k] = std::max(1e-6f, reach - std::fabs(float(low + k) - centre));
      for (int k = 0; k < count[i]; ++k) w[k] /= total;
    }
  }
};

}  // namespace

std::vector<std::uint8_t> resample(const std::uint8_t* grey, int width, int height, int to_width, int to_height) {
  const Axis across(width, to_width, float(width) / float(to_width)),
      down(height, to_height, float(height) / float(to_height));
  std::vector<float> line(width);
  std::vector<std::uint8_t> out(std::size_t(to_width) * to_height);
  for (int y = 0; y < to_height; ++y) {
    std::fill(line.begin(), line.end(), 0.0f);
    for (int k = 0; k < down.count[y]; ++k) {
      const float w = down.weight[std::size_t(down.most) * y + k];
      const std::uint8_t* row = grey + std::size_t(down.first[y] + k) * width;
      for (int x = 0; x < width; ++x) line[x] += w * row[x];
    }
    for (int x = 0; x < to_width; ++x) {
      float sum = 0.5f;
      for (int k = 0; k < across.count[x]; ++k)
        sum += across.weight[std::size_t(across.most) * x + k] * line[across.first[x] + k];
      out[std::size_t(y) * to_width + x] = std::uint8_t(std::min(255.0f, sum));
    }
  }
  return out;
}

}  // namespace pcc::extract
