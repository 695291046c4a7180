// The WSQ decoder: segments, Huffman blocks into the plane of coefficients, synthesis, grey levels.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <new>

#include "marker_stream.h"
#include "wsq.h"
#include "wsq_wavelet.h"

namespace pcc::wsq {
namespace {

struct Frame {
  int width = 0, height = 0;
  float shift = 0, scale = 0;  // grey level = value * scale + shift
};

struct QuantTable {
  bool defined = false;
  float centre = 0;                          // where a reconstructed value stands in its bin
  std::array<float, kBands> step{}, zero{};  // bin width and zero bin width; step 0: the band is not sent
};

bool same(const QuantTable& a, const QuantTable& b) {
  return a.centre == b.centre && a.step == b.step && a.zero == b.zero;
}

struct Tables {
  FilterPair synthesis;
  QuantTable quant;
  std::array<HuffmanTable, 8> huffman;
  std::vector<std::string> comments;
};

// The lengths of the segments below are passed over: their content gives the length, other readers go by it, and so
// streams with a wrong one are in use.

// One half of a symmetric analysis filter, its centre first. The synthesis filter of the other band has the same values
// with alternating signs.
std::vector<float> read_filter(Reader* in, int length, bool antisymmetric) {
  std::vector<float> filter(length);
  const int half = (length + 1) / 2, centre = length / 2, odd = length % 2;
  for (int k = 0; k < half; ++k) {
    const bool negative = in->byte() != 0;
    float value = in->decimal32();
    if (negative) value = -value;
    // Even filters: the low-pass one starts its alternation with a minus, the high-pass one is odd about the centre.
    if ((k + (odd || antisymmetric ? 0 : 1)) % 2) value = -value;
    filter[centre + k] = value;
    filter[centre - k - 1 + odd] = !odd && antisymmetric ? -value : value;
  }
  return filter;
}

void read_transform_table(Reader* in, FilterPair* synthesis) {
  in->place = "transform table";
  in->u16();
  const std::size_t at = in->offset();
  const int analysis_low = in->byte(), analysis_high = in->byte();
  if (analysis_low < 1 || analysis_low > kMaxTaps || analysis_high < 1 || analysis_high > kMaxTaps)
    throw StreamError(at, "filters of " + std::to_string(analysis_low) + " and " + std::to_string(analysis_high) +
                              " taps; 1 to 32 are possible");
  if (analysis_low % 2 != analysis_high % 2)
    throw StreamError(at, "one filter has an odd and one an even length; both must be odd or both even");
  synthesis->high = read_filter(in, analysis_low, true);
  synthesis->low = read_filter(in, analysis_high, false);
}

void read_quant_table(Reader* in, QuantTable* table) {
  in->place = "quantisation table";
  in->u16();
  table->centre = in->decimal16();
  for (int band = 0; band < kBands; ++band) {
    table->step[band] = in->decimal16();
    table->zero[band] = in->decimal16();
  }
  table->defined = true;
}

void read_huffman_tables(Reader* in, std::array<HuffmanTable, 8>* tables) {
  Reader inside = segment(in, "Huffman table");
  do {
    const std::size_t at = inside.offset();
    const unsigned id = inside.byte();
    if (id >= tables->size()) throw StreamError(at, "Huffman table " + std::to_string(id) + "; 0 to 7 are possible");
    (*tables)[id].read(&inside);
  } while (!inside.at_end());
}

void read_table(int marker, Reader* in, Tables* tables) {
  switch (marker) {
    case kTransformTable:
      return read_transform_table(in, &tables->synthesis);
    case kQuantTable:
      return read_quant_table(in, &tables->quant);
    case kHuffmanTable:
      return read_huffman_tables(in, &tables->huffman);
    case kRestartInterval:
      segment(in, "restart interval");
      return;
    case kComment: {
      Reader inside = segment(in, "comment");
      const std::size_t length = inside.left();
      tables->comments.emplace_back(reinterpret_cast<const char*>(inside.take(length)), length);
      return;
    }
    default:
      throw StreamError(in->offset() - 2, "marker " + hex(marker) + " has no place here");
  }
}

Frame read_frame(Reader* in) {
  in->place = "frame header";
  in->take(2 + 1 + 1);  // length, black, white
  const std::size_t at = in->offset();
  Frame frame;
  frame.height = in->u16();
  frame.width = in->u16();
  if (frame.width == 0 || frame.height == 0)
    throw StreamError(at,
                      "an image of " + std::to_string(frame.width) + " x " + std::to_string(frame.height) + " pixels");
  frame.shift = in->decimal16();
  frame.scale = in->decimal16();
  in->take(1 + 2);  // encoder, software
  return frame;
}

// Everything before the first block.
Frame read_head(Reader* in, Tables* tables) {
  in->place = "start marker";
  if (in->u16() != kStartImage) throw StreamError(0, "not a WSQ stream: it does not start with FFA0");
  Frame frame;
  for (;;) {
    in->place = "head before the first block";
    const int marker = in->marker();
    if (marker == kStartBlock) break;
    if (marker == kStartFrame && frame.width == 0)
      frame = read_frame(in);
    else
      read_table(marker, in, tables);
  }
  const std::size_t at = in->offset() - 2;
  if (frame.width == 0) throw StreamError(at, "no frame header (FFA2) before the first block");
  if (tables->synthesis.low.empty()) throw StreamError(at, "no transform table (FFA4) before the first block");
  if (!tables->quant.defined) throw StreamError(at, "no quantisation table (FFA5) before the first block");
  return frame;
}

// The place of the next coefficient: band by band, row by row, over the bands that are sent.
class Cursor {
 public:
  Cursor(float* plane, int stride, const BandTree& tree, const QuantTable& quant)
      : plane_(plane), stride_(stride), tree_(tree), quant_(quant) {}

  bool at_end() { return at_ == row_end_ && !next_row(); }

  bool put(int value) {
    if (at_ == row_end_ && !next_row()) return false;
    const float v = static_cast<float>(value);
    *at_++ = value > 0   ? step_ * (v - quant_.centre) + half_zero_
             : value < 0 ? step_ * (v + quant_.centre) - half_zero_
                         : 0.0f;
    return true;
  }

  bool skip(int zeros) {
    while (zeros > row_end_ - at_) {
      zeros -= static_cast<int>(row_end_ - at_);
      if (!next_row()) return false;
    }
    at_ += zeros;
    return true;
  }

 private:
  bool next_row() {
    while (rows_left_ == 0) {
      if (++band_ >= kBands) {
        band_ = kBands;
        at_ = row_end_;
        return false;
      }
      const Rect& rect = tree_.bands[band_];
      if (quant_.step[band_] == 0 || rect.width == 0) continue;
      rows_left_ = rect.height;
      row_ = rect.y * stride_ + rect.x;
      step_ = quant_.step[band_];
      half_zero_ = quant_.zero[band_] / 2;
    }
    --rows_left_;
    at_ = plane_ + row_;
    row_end_ = at_ + tree_.bands[band_].width;
    row_ += stride_;
    return true;
  }

  float* plane_;
  std::ptrdiff_t stride_;
  const BandTree& tree_;
  const QuantTable& quant_;
  int band_ = -1, rows_left_ = 0;
  std::ptrdiff_t row_ = 0;  // where the next row starts
  float *at_ = nullptr, *row_end_ = nullptr;
  float step_ = 0, half_zero_ = 0;
};

// Decodes to the next marker other than a restart.
void read_block(Reader* in, const HuffmanTable& table, Cursor* cursor) {
  Bits bits(in);
  for (;;) {
    bits.refill();
    HuffmanTable::Entry entry = table.find(bits.peek16());
    if (entry.length == 0 && bits.count() >= HuffmanTable::kLongest)
      throw StreamError(bits.offset(), "bits that are no code of the block's Huffman table");
    if (entry.length == 0 || entry.length > bits.count()) {  // padding before a marker
      if (bits.pass_restart(kRestart0)) continue;
      break;
    }
    const int symbol = entry.symbol;
    bits.drop(entry.length);
    bool fits;
    if (symbol >= kSmallest && symbol <= kLargest) {
      fits = cursor->put(symbol - kValueBias);
    } else if (symbol >= 1 && symbol <= kLongestShortRun) {
      fits = cursor->skip(symbol);
    } else if (symbol >= kPositive8 && symbol <= kRun16) {
      const int width = symbol == kPositive8 || symbol == kNegative8 || symbol == kRun8 ? 8 : 16;
      if (bits.count() < width) throw StreamError(bits.offset(), "a block ends inside a coefficient");
      const int value = static_cast<int>(bits.peek16() >> (16 - width));
      bits.drop(width);
      if (symbol == kRun8 || symbol == kRun16)
        fits = cursor->skip(value);
      else
        fits = cursor->put(symbol == kNegative8 || symbol == kNegative16 ? -value : value);
    } else {
      throw StreamError(bits.offset(), "Huffman symbol " + std::to_string(symbol) + ", which has no meaning");
    }
    if (!fits) throw StreamError(bits.offset(), "more coefficients than the image has");
  }
  bits.leave();
}

void read_blocks(Reader* in, Tables* tables, Cursor* cursor) {
  const QuantTable quant = tables->quant;
  for (int marker = kStartBlock; marker != kEndImage; marker = in->marker()) {
    if (marker == kStartBlock) {
      in->place = "block header";
      in->u16();
      const std::size_t at = in->offset();
      const unsigned id = in->byte();
      if (id >= tables->huffman.size() || !tables->huffman[id].defined())
        throw StreamError(at, "the block uses Huffman table " + std::to_string(id) + ", which is not defined");
      read_block(in, tables->huffman[id], cursor);
    } else {
      const std::size_t at = in->offset();
      read_table(marker, in, tables);
      if (!same(quant, tables->quant)) throw StreamError(at, "the quantisation changes between blocks");
    }
    // A stream cut behind its last coefficient lacks nothing.
    if (in->left() < 2 && cursor->at_end()) return;
    in->place = "block";
  }
}

std::uint8_t grey(float value, const Frame& frame) {
  float level = value * frame.scale + frame.shift;
  level += 0.5f;
  return static_cast<std::uint8_t>(level > 0 ? (level < 255 ? level : 255.0f) : 0.0f);  // not a number gives 0
}

}  // namespace

Header read_header(const std::uint8_t* data, std::size_t size) {
  Reader in(data, size);
  const auto tables = std::make_unique<Tables>();
  const Frame frame = read_head(&in, tables.get());
  return {frame.width, frame.height, std::move(tables->comments)};
}

Image decode(const std::uint8_t* data, std::size_t size, std::size_t pixel_limit) {
  Reader in(data, size);
  const auto tables = std::make_unique<Tables>();
  const Frame frame = read_head(&in, tables.get());
  const std::size_t pixels = static_cast<std::size_t>(frame.width) * frame.height;
  if (pixels > pixel_limit)
    throw StreamError(in.offset(), "an image of " + std::to_string(frame.width) + " x " + std::to_string(frame.height) +
                                       " pixels is over the limit of " + std::to_string(pixel_limit));

  // calloc: pages that no coefficient reaches are only touched by the synthesis.
  struct Free {
    void operator()(float* memory) const { std::free(memory); }
  };
  const std::unique_ptr<float[], Free> plane(static_cast<float*>(std::calloc(pixels, sizeof(float))));
  if (!plane) throw std::bad_alloc();
  const BandTree tree(frame.width, frame.height);
  Cursor cursor(plane.get(), frame.width, tree, tables->quant);
  read_blocks(&in, tables.get(), &cursor);
  for (auto split = tree.splits.rbegin(); split != tree.splits.rend(); ++split)
    synthesise(plane.get(), frame.width, *split, tables->synthesis);

  Image image{frame.width, frame.height, std::unique_ptr<std::uint8_t[]>(new std::uint8_t[pixels])};
  for (std::size_t i = 0; i < pixels; ++i) image.pixels[i] = grey(plane[i], frame);
  return image;
}

}  // namespace pcc::wsq
