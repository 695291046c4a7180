// The WSQ encoder: the filters, bit allocation between subbands and block layout of the FBI's encoder number one
// (IAFIS-IC-0110 part 3); the overall bin width is searched so that the stream has the size that was asked for.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <queue>
#include <utility>

#include "wsq.h"
#include "wsq_wavelet.h"

namespace pcc::wsq {
namespace {

constexpr int kSentBands = 60;
constexpr std::array<int, 4> kBlockStart = {0, 19, 52, kSentBands};  // the first band of each block
constexpr std::array<int, 3> kBlockTable = {0, 1, 1};                // its Huffman table

constexpr double kBinCentre = 0.44;
constexpr double kZeroBin = 1.2;         // width of the zero bin in bin widths
constexpr double kLeastVariance = 1.01;  // a band below it is not sent
// Bin widths of the lowest bands: below the first, values would outgrow the 15 bits that readers hold them in; at the
// second nothing is left of any image.
constexpr double kFinest = 0.2, kCoarsest = 2e4, kUsual = 16;

// The biorthogonal 9/7 filters, the right half from the centre: what the transform table sends.
constexpr std::array<double, 5> kLow = {0.852698679009404, 0.377402855612654, -0.110624404418423, -0.023849465019380,
                                        0.037828455506995};
constexpr std::array<double, 4> kHigh = {0.788485616405664, -0.418092273222212, -0.040689417609558, 0.064538882628938};

template <std::size_t N>
std::vector<float> whole_filter(const std::array<double, N>& half) {
  std::vector<float> filter(2 * N - 1);
  for (std::size_t k = 0; k < N; ++k) filter[N - 1 + k] = filter[N - 1 - k] = static_cast<float>(half[k]);
  return filter;
}

// value * 10^exponent, rounded to a whole number of at most `limit`, with the largest exponent that allows it.
struct Decimal {
  Decimal(double number, double limit) {
    double scaled = number;
    while (exponent < 9 && std::round(scaled * 10) <= limit) {
      scaled *= 10;
      ++exponent;
    }
    value = static_cast<std::uint32_t>(std::round(scaled));
  }
  // As a decoder reads it.
  float read() const {
    auto number = static_cast<float>(value);
    for (int i = 0; i < exponent; ++i) number = static_cast<float>(number / 10.0);
    return number;
  }
  int exponent = 0;
  std::uint32_t value = 0;
};

struct Writer {
  std::vector<std::uint8_t> bytes;

  void u8(int value) { bytes.push_back(static_cast<std::uint8_t>(value)); }
  void u16(int value) {
    u8(value >> 8);
    u8(value);
  }
  void u32(std::uint32_t value) {
    u16(static_cast<int>(value >> 16));
    u16(static_cast<int>(value & 0xFFFF));
  }
  void decimal16(const Decimal& number) {
    u8(number.exponent);
    u16(static_cast<int>(number.value));
  }
};

// What a grey level becomes, and what each band's bin width is in units of the lowest bands' width.
struct Picture {
  int width, height;
  Decimal shift{0, 65535}, scale{1, 65535};
  std::vector<float> plane;
  BandTree tree;
  std::array<double, kBands> weight{};  // 0: the band is not sent

  Picture(const std::uint8_t* pixels, int width_, int height_)
      : width(width_), height(height_), plane(static_cast<std::size_t>(width_) * height_), tree(width_, height_) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < plane.size(); ++i) sum += pixels[i];
    const auto extremes = std::minmax_element(pixels, pixels + plane.size());
    const double mean = static_cast<double>(sum) / static_cast<double>(plane.size());
    shift = Decimal(mean, 65535);
    const double reach = std::max(mean - *extremes.first, *extremes.second - mean);
    if (reach > 0) scale = Decimal(reach / 128, 65535);
    const float zero = shift.read(), unit = scale.read();
    for (std::size_t i = 0; i < plane.size(); ++i) plane[i] = (pixels[i] - zero) / unit;
    const FilterPair filters{whole_filter(kLow), whole_filter(kHigh)};
    for (const Split& split : tree.splits) analyse(plane.data(), width, split, filters);
    for (int band = 0; band < kSentBands; ++band) weigh(band);
  }

 private:
  // Part 3: the wider its values spread, the finer a band's bins, and the finest bands coarser by fixed factors.
  void weigh(int band) {
    static constexpr std::array<double, 8> kFinestBands = {1.32, 1.08, 1.42, 1.08, 1.32, 1.42, 1.08, 1.08};
    const double spread = variance(tree.bands[band]);
    if (spread < kLeastVariance) return;
    weight[band] = band < 4 ? 1 : 10 / ((band < 52 ? 1 : kFinestBands[band - 52]) * std::log(spread));
  }

  // Over the centre of the band, where the print is; over all of a band too small to have one.
  double variance(Rect r) const {
    if (r.width >= 8 && r.height >= 8)
      r = {r.x + r.width / 8, r.y + 9 * r.height / 32, 3 * r.width / 4, 7 * r.height / 16};
    double sum = 0, squares = 0;
    for (int y = r.y; y < r.y + r.height; ++y)
      for (int x = r.x; x < r.x + r.width; ++x) {
        const double value = plane[static_cast<std::size_t>(y) * width + x];
        sum += value;
        squares += value * value;
      }
    const double n = static_cast<double>(r.width) * r.height;
    return n < 2 ? squares : (squares - sum * sum / n) / (n - 1);
  }
};

// A Huffman symbol and the bits that follow it.
struct Token {
  std::uint8_t symbol;
  std::uint8_t extra_bits;
  std::uint16_t extra;
};

struct BinWidths {
  std::vector<Decimal> step, zero;
  BinWidths(const Picture& picture, double finest) {
    for (int band = 0; band < kBands; ++band) {
      const double width = std::min(picture.weight[band] * finest, 50000.0);  // kZeroBin times this are 16 bits
      step.emplace_back(width, 65535);
      zero.emplace_back(kZeroBin * step.back().read(), 65535);
    }
  }
};

void add_zeros(int* zeros, std::vector<Token>* tokens) {
  if (*zeros == 0) return;
  const auto n = static_cast<std::uint16_t>(*zeros);
  if (n <= kLongestShortRun)
    tokens->push_back({static_cast<std::uint8_t>(n), 0, 0});
  else if (n <= 255)
    tokens->push_back({kRun8, 8, n});
  else
    tokens->push_back({kRun16, 16, n});
  *zeros = 0;
}

void add_value(int value, std::vector<Token>* tokens) {
  const auto size = static_cast<std::uint16_t>(std::abs(value));
  if (value + kValueBias >= kSmallest && value + kValueBias <= kLargest)
    tokens->push_back({static_cast<std::uint8_t>(value + kValueBias), 0, 0});
  else if (size <= 255)
    tokens->push_back({static_cast<std::uint8_t>(value > 0 ? kPositive8 : kNegative8), 8, size});
  else
    tokens->push_back({static_cast<std::uint8_t>(value > 0 ? kPositive16 : kNegative16), 16, size});
}

std::vector<Token> quantise(const Picture& picture, const BinWidths& bins, int block) {
  std::vector<Token> tokens;
  int zeros = 0;
  for (int band = kBlockStart[block]; band < kBlockStart[block + 1]; ++band) {
    if (bins.step[band].value == 0) continue;
    const float per_unit = 1 / bins.step[band].read(), half_zero = bins.zero[band].read() / 2;
    const Rect& r = picture.tree.bands[band];
    for (int y = r.y; y < r.y + r.height; ++y) {
      const float* row = &picture.plane[static_cast<std::size_t>(y) * picture.width];
      for (int x = r.x; x < r.x + r.width; ++x) {
        const float size = std::fabs(row[x]) - half_zero;
        if (size <= 0) {
          if (++zeros == 65535) add_zeros(&zeros, &tokens);
          continue;
        }
        add_zeros(&zeros, &tokens);
        const int value = static_cast<int>(std::min(size * per_unit, 32766.0f)) + 1;
        add_value(row[x] < 0 ? -value : value, &tokens);
      }
    }
  }
  add_zeros(&zeros, &tokens);
  return tokens;
}

// Code lengths 1..16 for the symbols that occur, with the code of all ones left free, as the padding needs.
struct HuffmanCode {
  std::array<std::uint8_t, 17> count{};  // codes by length
  std::vector<std::uint8_t> symbols;     // by length
  std::array<std::uint16_t, 256> code{};
  std::array<std::uint8_t, 256> length{};

  explicit HuffmanCode(std::array<std::uint32_t, 256> frequency) {
    if (std::all_of(frequency.begin(), frequency.end(), [](auto n) { return n == 0; })) frequency[1] = 1;
    const std::vector<int> depth = depths(frequency);
    std::array<int, 257> at_depth{};  // 256 real symbols and the free code make at most 256 levels
    for (int symbol = 0; symbol <= 256; ++symbol)
      if (depth[symbol]) ++at_depth[depth[symbol]];
    // Codes longer than 16 bits (as in JPEG's annex K.3): one of two brothers takes their parent's place, the other and
    // a shorter code share that one's place, one level down.
    for (int level = 256; level > 16; --level)
      while (at_depth[level] > 0) {
        int shorter = level - 2;
        while (at_depth[shorter] == 0) --shorter;
        at_depth[level] -= 2;
        ++at_depth[level - 1];
        at_depth[shorter + 1] += 2;
        --at_depth[shorter];
      }
    int longest = 16;
    while (at_depth[longest] == 0) --longest;
    --at_depth[longest];  // the free code
    for (int level = 1; level <= 16; ++level) count[level] = static_cast<std::uint8_t>(at_depth[level]);

    for (int symbol = 0; symbol < 256; ++symbol)
      if (depth[symbol]) symbols.push_back(static_cast<std::uint8_t>(symbol));
    std::stable_sort(symbols.begin(), symbols.end(), [&](int a, int b) { return depth[a] < depth[b]; });
    int next = 0, index = 0;
    for (int level = 1; level <= 16; ++level, next <<= 1)
      for (int i = 0; i < count[level]; ++i, ++index) {
        code[symbols[index]] = static_cast<std::uint16_t>(next++);
        length[symbols[index]] = static_cast<std::uint8_t>(level);
      }
  }

 private:
  // Depths in the Huffman tree of the symbols and of symbol 256, the rarest, which becomes the free code.
  static std::vector<int> depths(const std::array<std::uint32_t, 256>& frequency) {
    using Node = std::pair<std::uint64_t, int>;  // weight, index: equal weights in a fixed order
    std::priority_queue<Node, std::vector<Node>, std::greater<>> queue;
    std::vector<int> parent(257, -1);
    for (int symbol = 0; symbol < 256; ++symbol)
      if (frequency[symbol]) queue.emplace(frequency[symbol] * std::uint64_t{512}, symbol);
    queue.emplace(1, 256);
    while (queue.size() > 1) {
      const Node a = queue.top();
      queue.pop();
      const Node b = queue.top();
      queue.pop();
      const int node = static_cast<int>(parent.size());
      parent[a.second] = parent[b.second] = node;
      parent.push_back(-1);
      queue.emplace(a.first + b.first, node);
    }
    std::vector<int> depth(parent.size(), 0);
    for (int node = static_cast<int>(parent.size()) - 2; node >= 0; --node)
      if (parent[node] >= 0) depth[node] = depth[parent[node]] + 1;
    return depth;
  }
};

void write_tokens(const std::vector<Token>& tokens, const HuffmanCode& code, Writer* out) {
  std::uint64_t bits = 0;
  int count = 0;
  const auto put = [&](std::uint32_t value, int length) {
    bits = bits << length | value;
    count += length;
    while (count >= 8) {
      count -= 8;
      const auto byte = static_cast<std::uint8_t>(bits >> count);
      out->bytes.push_back(byte);
      if (byte == 0xFF) out->bytes.push_back(0);
    }
  };
  for (const Token& token : tokens) {
    put(code.code[token.symbol], code.length[token.symbol]);
    if (token.extra_bits) put(token.extra, token.extra_bits);
  }
  if (count > 0) put((1u << (8 - count)) - 1, 8 - count);
}

void write_half_filter(const double* half, int n, Writer* out) {
  for (int k = 0; k < n; ++k) {
    const Decimal number(std::fabs(half[k]), 4294967295.0);
    out->u8(half[k] < 0);
    out->u8(number.exponent);
    out->u32(number.value);
  }
}

void write_head(const Picture& picture, const BinWidths& bins, int ppi, double ratio, Writer* out) {
  char comment[256];
  const int length = std::snprintf(comment, sizeof comment,
                                   "NIST_COM 9\nPIX_WIDTH %d\nPIX_HEIGHT %d\nPIX_DEPTH 8\nPPI %d\nLOSSY 1\n"
                                   "COLORSPACE GRAY\nCOMPRESSION WSQ\nWSQ_BITRATE %.6f",
                                   picture.width, picture.height, ppi, 8 / ratio);
  out->u16(kStartImage);
  out->u16(kComment);
  out->u16(length + 2);
  out->bytes.insert(out->bytes.end(), comment, comment + length);

  out->u16(kTransformTable);
  out->u16(2 + 2 + 6 * static_cast<int>(kLow.size() + kHigh.size()));
  out->u8(2 * static_cast<int>(kLow.size()) - 1);
  out->u8(2 * static_cast<int>(kHigh.size()) - 1);
  write_half_filter(kLow.data(), static_cast<int>(kLow.size()), out);
  write_half_filter(kHigh.data(), static_cast<int>(kHigh.size()), out);

  out->u16(kQuantTable);
  out->u16(2 + 3 + 6 * kBands);
  out->decimal16(Decimal(kBinCentre, 65535));
  for (int band = 0; band < kBands; ++band) {
    out->decimal16(bins.step[band]);
    out->decimal16(bins.zero[band]);
  }

  out->u16(kStartFrame);
  out->u16(17);
  out->u8(0);    // black
  out->u8(255);  // white
  out->u16(picture.height);
  out->u16(picture.width);
  out->decimal16(picture.shift);
  out->decimal16(picture.scale);
  out->u8(0);   // encoder: none that the FBI has numbered
  out->u16(0);  // software
}

struct Stream {
  std::vector<std::uint8_t> bytes;
  std::size_t coefficients;  // bytes in the blocks, without headers and tables
};

Stream write_stream(const Picture& picture, double finest, int ppi, double ratio) {
  const BinWidths bins(picture, finest);
  std::array<std::vector<Token>, 3> tokens;
  std::array<std::array<std::uint32_t, 256>, 2> frequency{};
  for (int block = 0; block < 3; ++block) {
    tokens[block] = quantise(picture, bins, block);
    for (const Token& token : tokens[block]) ++frequency[kBlockTable[block]][token.symbol];
  }
  Writer out;
  write_head(picture, bins, ppi, ratio, &out);
  const HuffmanCode codes[2] = {HuffmanCode(frequency[0]), HuffmanCode(frequency[1])};
  std::size_t coefficients = 0;
  for (int block = 0, written = -1; block < 3; ++block) {
    const int table = kBlockTable[block];
    const HuffmanCode& code = codes[table];
    if (written != table) {
      out.u16(kHuffmanTable);
      out.u16(2 + 1 + 16 + static_cast<int>(code.symbols.size()));
      out.u8(table);
      out.bytes.insert(out.bytes.end(), code.count.begin() + 1, code.count.end());
      out.bytes.insert(out.bytes.end(), code.symbols.begin(), code.symbols.end());
      written = table;
    }
    out.u16(kStartBlock);
    out.u16(3);
    out.u8(table);
    const std::size_t before = out.bytes.size();
    write_tokens(tokens[block], code, &out);
    coefficients += out.bytes.size() - before;
  }
  out.u16(kEndImage);
  return {std::move(out.bytes), coefficients};
}

}  // namespace

// The tables are counted, too, but take no more than half: a small image at a high ratio would otherwise lose all its
// coefficients to about 700 bytes of tables.
std::vector<std::uint8_t> encode(const std::uint8_t* pixels, int width, int height, int ppi, double ratio) {
  const Picture picture(pixels, width, height);
  const double allowed = static_cast<double>(width) * height / ratio;
  struct End {
    double finest, used;  // used: bytes of coefficients by the bytes there is room for; 0: not tried
  };
  End fine{kFinest, 0}, coarse{kCoarsest, 0};  // too large a stream, and one that fits
  std::vector<std::uint8_t> best;
  double finest = kUsual;
  while (coarse.finest > 1.0005 * fine.finest) {
    Stream stream = write_stream(picture, finest, ppi, ratio);
    const double room = std::max(allowed - static_cast<double>(stream.bytes.size() - stream.coefficients), allowed / 2);
    const double used = static_cast<double>(stream.coefficients) / room;
    (used > 1 ? fine : coarse) = {finest, used};
    if (used <= 1) {
      if (stream.bytes.size() > best.size()) best = std::move(stream.bytes);
      if (used >= 0.99 || finest <= kFinest) break;
    }
    if (fine.used == 0) {
      finest = std::max(kFinest, finest / 2);
    } else if (coarse.used == 0) {
      finest = std::min(kCoarsest, finest * 2);
    } else {
      // Size falls as a power of the bin width, about; not on pictures that were quantised before.
      const double part = std::log(fine.used) / std::log(fine.used / coarse.used);
      finest = fine.finest * std::pow(coarse.finest / fine.finest, std::clamp(part, 0.2, 0.8));
    }
  }
  return best.empty() ? write_stream(picture, kCoarsest, ppi, ratio).bytes : best;
}

}  // namespace pcc::wsq
