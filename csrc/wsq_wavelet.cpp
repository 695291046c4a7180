#include "wsq_wavelet.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace pcc::wsq {
namespace {

std::array<Rect, 4> quarters(const Split& split) {
  const Rect& a = split.area;
  const int left = split.mirror_x ? a.width / 2 : (a.width + 1) / 2;
  const int top = split.mirror_y ? a.height / 2 : (a.height + 1) / 2;
  return {Rect{a.x, a.y, left, top}, Rect{a.x + left, a.y, a.width - left, top},
          Rect{a.x, a.y + top, left, a.height - top}, Rect{a.x + left, a.y + top, a.width - left, a.height - top}};
}

}  // namespace

BandTree::BandTree(int width, int height) : bands{} {
  const auto divide = [this](const Rect& area, bool mirror_x, bool mirror_y) {
    splits.push_back({area, mirror_x, mirror_y});
    return quarters(splits.back());
  };
  const auto four = [&](const Rect& area, bool mirror_x, bool mirror_y, int first) {
    const auto parts = divide(area, mirror_x, mirror_y);
    std::copy(parts.begin(), parts.end(), bands.begin() + first);
  };
  const auto sixteen = [&](const Rect& area, bool mirror_x, bool mirror_y, int first) {
    const auto parts = divide(area, mirror_x, mirror_y);
    for (int i = 0; i < 4; ++i) four(parts[i], i & 1, i >> 1, first + 4 * i);
  };
  const auto half = divide({0, 0, width, height}, false, false);
  four(half[1], true, false, 52);
  four(half[2], false, true, 56);
  four(half[3], true, true, 60);
  const auto quarter = divide(half[0], false, false);
  sixteen(quarter[1], true, false, 19);
  sixteen(quarter[2], false, true, 35);
  bands[51] = quarter[3];
  sixteen(quarter[0], false, false, 3);
  const Rect lowest = bands[3];
  four(lowest, false, false, 0);
}

namespace {

// How a line goes on past its ends: mirrored on the last sample (whole) or between it and its copy (half); the high
// band of half-sample filters changes its sign there, and is zero on a whole-sample mirror's own place, one past the
// end.
enum class Edge { whole, half, half_negated, zero_negated };

struct Source {
  int index;
  float sign;
};

// Where the sample at `k` of the extended line stands among the n real ones (n >= 1); reflects as often as needed.
Source reflect(int k, int n, Edge left, Edge right) {
  float sign = 1;
  for (;;) {
    if (k < 0) {
      k = left == Edge::whole ? -k : -1 - k;
      if (left == Edge::half_negated) sign = -sign;
    } else if (k >= n) {
      if (right == Edge::zero_negated) {
        if (k == n) return {0, 0};
        k = 2 * n - k;
        sign = -sign;
      } else {
        k = right == Edge::whole ? 2 * n - 2 - k : 2 * n - 1 - k;
        if (right == Edge::half_negated) sign = -sign;
      }
    } else {
      return {k, sign};
    }
    if (n == 1 && left == Edge::whole && right == Edge::whole) return {0, sign};
  }
}

// out[i] = in[0][i] * weight[0] + in[1][i] * weight[1] + ..., added from left to right, each operation rounded: the
// order is part of the result. The inner block stays in registers.
void weighted_sum(float* out, const float* const* in, const float* weight, int taps, int n) {
  constexpr int kBlock = 16;
  int i = 0;
  for (; i + kBlock <= n; i += kBlock) {
    float sum[kBlock];
    for (int j = 0; j < kBlock; ++j) sum[j] = in[0][i + j] * weight[0];
    for (int t = 1; t < taps; ++t)
      for (int j = 0; j < kBlock; ++j) sum[j] += in[t][i + j] * weight[t];
    std::copy(sum, sum + kBlock, out + i);
  }
  for (; i < n; ++i) {
    float sum = in[0][i] * weight[0];
    for (int t = 1; t < taps; ++t) sum += in[t][i] * weight[t];
    out[i] = sum;
  }
}

// Filtering in either direction reads two lines and writes two: synthesis takes the low and the high band and makes the
// even and the odd samples, analysis the other way round. Output j of line `to` is the sum of its taps.
struct Tap {
  int from, shift;  // sample j + shift of input line `from`
  float weight;
};

struct Bank {
  std::array<std::vector<Tap>, 2> to;
  std::array<Edge, 2> left, right_if_even, right_if_odd;  // by input line; even or odd: the length of the whole line
  int reach = 0;                                          // the farthest that a tap reads past a line's end

  void add(int line, int from, int shift, float weight) {
    to[line].push_back({from, shift, weight});
    reach = std::max({reach, shift + 1, -shift});  // the odd line may be one shorter than the even one
  }
};

int floor_half(int n) { return (n - (n & 1)) / 2; }

void use_whole_sample_edges(Bank* bank) {
  bank->left = {Edge::whole, Edge::half};
  bank->right_if_even = {Edge::half, Edge::whole};
  bank->right_if_odd = {Edge::whole, Edge::half};
}

Bank synthesis_bank(const FilterPair& filters) {
  const int low = static_cast<int>(filters.low.size()), high = static_cast<int>(filters.high.size());
  const bool half_sample = low % 2 == 0;
  Bank bank;
  for (int parity = 0; parity < 2; ++parity) {
    for (int i = 0; i < low; ++i)
      if ((parity + low / 2 + i) % 2 == 0) bank.add(parity, 0, floor_half(parity - low / 2 + i), filters.low[i]);
    for (int i = 0; i < high; ++i)
      if ((parity + (high + 1) / 2 + i) % 2 == 0)
        bank.add(parity, 1, floor_half(parity - (high + 1) / 2 + i), half_sample ? -filters.high[i] : filters.high[i]);
  }
  use_whole_sample_edges(&bank);
  if (half_sample) {
    bank.left = {Edge::half, Edge::half_negated};
    bank.right_if_even = {Edge::half, Edge::half_negated};
    bank.right_if_odd = {Edge::whole, Edge::zero_negated};
  }
  return bank;
}

Bank analysis_bank(const FilterPair& filters) {
  const int low = static_cast<int>(filters.low.size()), high = static_cast<int>(filters.high.size());
  Bank bank;
  const auto add = [&bank](int line, int offset, float weight) {
    bank.add(line, offset & 1, floor_half(offset), weight);
  };
  for (int i = 0; i < low; ++i) add(0, i - low / 2, filters.low[i]);
  for (int i = 0; i < high; ++i) add(1, 1 + i - high / 2, filters.high[i]);
  use_whole_sample_edges(&bank);
  return bank;
}

// Where the samples of one line stand along a row or a column of the area.
struct Line {
  int start, step, count;
};
using Lines = std::array<Line, 2>;

Lines samples(int length) { return {Line{0, 2, (length + 1) / 2}, Line{1, 2, length / 2}}; }

Lines halves(int length, bool mirror) {
  const int low = (length + 1) / 2, high = length / 2;
  return {Line{mirror ? high : 0, 1, low}, Line{mirror ? 0 : low, 1, high}};
}

// Room for the two input lines, each with `reach` more samples at both ends; a sample is `lanes` floats side by side.
struct Extended {
  Extended(const Lines& lines, int reach_, int lanes_)
      : reach(reach_), lanes(lanes_), at{at_zero(lines, 0), at_zero(lines, 1)} {}

  float* sample(int line, int k) { return at[line].data() + static_cast<std::size_t>(k + reach) * lanes; }

  void extend(const Lines& lines, const Bank& bank) {
    const bool odd = lines[0].count != lines[1].count;
    for (int line = 0; line < 2; ++line) {
      const int n = lines[line].count;
      if (n == 0) continue;  // stays zero: there is no such band
      const Edge left = bank.left[line], right = odd ? bank.right_if_odd[line] : bank.right_if_even[line];
      for (int k = -reach; k < n + reach; k = k == -1 ? n : k + 1) {
        const Source source = reflect(k, n, left, right);
        const float* from = sample(line, source.index);
        float* to = sample(line, k);
        for (int i = 0; i < lanes; ++i) to[i] = from[i] * source.sign;
      }
    }
  }

  const int reach, lanes;

 private:
  std::vector<float> at_zero(const Lines& lines, int line) const {
    return std::vector<float>(static_cast<std::size_t>(lines[line].count + 2 * reach) * lanes);
  }
  std::array<std::vector<float>, 2> at;
};

struct Sum {
  const float* in[2 * kMaxTaps];
  float weight[2 * kMaxTaps];
  int taps = 0;

  Sum(const std::vector<Tap>& list, Extended& lines, int k) {
    for (const Tap& tap : list) {
      in[taps] = lines.sample(tap.from, k + tap.shift);
      weight[taps++] = tap.weight;
    }
  }
};

// Strips of columns narrow enough for the cache, and wide enough for whole cache lines.
void filter_columns(float* area, std::size_t stride, int width, const Lines& from, const Lines& to, const Bank& bank) {
  constexpr int kStrip = 32;
  Extended lines(from, bank.reach, std::min(width, kStrip));
  for (int x = 0; x < width; x += kStrip) {
    const int lanes = std::min(width - x, kStrip);
    for (int line = 0; line < 2; ++line)
      for (int k = 0; k < from[line].count; ++k)
        std::memcpy(lines.sample(line, k), area + (from[line].start + from[line].step * k) * stride + x,
                    lanes * sizeof(float));
    lines.extend(from, bank);
    for (int line = 0; line < 2; ++line)
      for (int k = 0; k < to[line].count; ++k) {
        const Sum sum(bank.to[line], lines, k);
        weighted_sum(area + (to[line].start + to[line].step * k) * stride + x, sum.in, sum.weight, sum.taps, lanes);
      }
  }
}

void filter_rows(float* area, std::size_t stride, int height, const Lines& from, const Lines& to, const Bank& bank) {
  Extended lines(from, bank.reach, 1);
  std::vector<float> made(to[0].count);
  const Sum sums[2] = {Sum(bank.to[0], lines, 0), Sum(bank.to[1], lines, 0)};
  for (int y = 0; y < height; ++y) {
    float* row = area + y * stride;
    for (int line = 0; line < 2; ++line) {
      float* sample = lines.sample(line, 0);
      const float* source = row + from[line].start;
      for (int k = 0; k < from[line].count; ++k) sample[k] = source[from[line].step * k];
    }
    lines.extend(from, bank);
    for (int line = 0; line < 2; ++line) {
      weighted_sum(made.data(), sums[line].in, sums[line].weight, sums[line].taps, to[line].count);
      float* target = row + to[line].start;
      for (int k = 0; k < to[line].count; ++k) target[to[line].step * k] = made[k];
    }
  }
}

}  // namespace

void synthesise(float* plane, int stride, const Split& split, const FilterPair& filters) {
  const Bank bank = synthesis_bank(filters);
  const Rect& a = split.area;
  float* area = plane + static_cast<std::size_t>(a.y) * stride + a.x;
  filter_columns(area, stride, a.width, halves(a.height, split.mirror_y), samples(a.height), bank);
  filter_rows(area, stride, a.height, halves(a.width, split.mirror_x), samples(a.width), bank);
}

void analyse(float* plane, int stride, const Split& split, const FilterPair& filters) {
  const Bank bank = analysis_bank(filters);
  const Rect& a = split.area;
  float* area = plane + static_cast<std::size_t>(a.y) * stride + a.x;
  filter_rows(area, stride, a.height, samples(a.width), halves(a.width, split.mirror_x), bank);
  filter_columns(area, stride, a.width, samples(a.height), halves(a.height, split.mirror_y), bank);
}

}  // namespace pcc::wsq
