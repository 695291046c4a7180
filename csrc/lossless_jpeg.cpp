#include "lossless_jpeg.h"

#include <array>
#include <string>
#include <vector>

#include "marker_stream.h"

namespace pcc::lossless_jpeg {
namespace {

enum Marker : int {
  kLosslessFrame = 0xFFC3,
  kHuffmanTable = 0xFFC4,
  kRestart0 = 0xFFD0,
  kStartImage = 0xFFD8,
  kEndImage = 0xFFD9,
  kStartScan = 0xFFDA,
  kRestartInterval = 0xFFDD,
};

bool is_other_frame(int marker) { return marker >= 0xFFC0 && marker <= 0xFFCF && marker != 0xFFC8 && marker != 0xFFCC; }

struct Frame {
  int bits = 0, width = 0, height = 0;
  std::vector<int> components;  // their identifiers
};

struct Tables {
  // By class and number. Lossless scans use those of class 0; NIST's encoder declares class 1 and means the same.
  std::array<std::array<HuffmanTable, 4>, 2> huffman;
  int restart_interval = 0;

  const HuffmanTable& find(int number, std::size_t at) const {
    if (number < 4)
      for (const auto& tables : huffman)
        if (tables[number].defined()) return tables[number];
    throw StreamError(at, "the scan uses Huffman table " + std::to_string(number) + ", which is not defined");
  }
};

Frame read_frame(Reader* in, std::size_t pixel_limit) {
  Reader inside = segment(in, "frame header");
  const std::size_t at = inside.offset();
  Frame frame;
  frame.bits = inside.byte();
  frame.height = inside.u16();
  frame.width = inside.u16();
  const std::string size = std::to_string(frame.width) + " x " + std::to_string(frame.height) + " pixels";
  if (frame.width == 0 || frame.height == 0) throw StreamError(at, "an image of " + size);
  if (static_cast<std::size_t>(frame.width) * frame.height > pixel_limit)
    throw StreamError(at, "an image of " + size + " is over the limit of " + std::to_string(pixel_limit));
  if (frame.bits != 8) throw StreamError(at, "samples of " + std::to_string(frame.bits) + " bits; 8 can be read");
  const int count = inside.byte();
  if (count < 1 || count > 4) throw StreamError(at, std::to_string(count) + " components; 1 to 4 can be read");
  for (int i = 0; i < count; ++i) {
    frame.components.push_back(inside.byte());
    const int sampling = inside.byte();
    if (count > 1 && sampling != 0x11) throw StreamError(at, "components of different sizes, which cannot be read");
    inside.byte();
  }
  return frame;
}

void read_huffman_tables(Reader* in, Tables* tables) {
  Reader inside = segment(in, "Huffman table");
  while (!inside.at_end()) {
    const std::size_t at = inside.offset();
    const int id = inside.byte();
    if (id >> 4 > 1 || (id & 15) > 3) throw StreamError(at, "Huffman table " + std::to_string(id) + " cannot exist");
    tables->huffman[id >> 4][id & 15].read(&inside);
  }
}

// Table H.1. `left` and so on are the neighbours' samples.
int predict(int selector, int left, int above, int corner) {
  switch (selector) {
    case 1:
      return left;
    case 2:
      return above;
    case 3:
      return corner;
    case 4:
      return left + above - corner;
    case 5:
      return left + ((above - corner) >> 1);
    case 6:
      return above + ((left - corner) >> 1);
    default:
      return (left + above) / 2;
  }
}

int read_difference(Bits* bits, const HuffmanTable& table) {
  bits->refill();
  const HuffmanTable::Entry entry = table.find(bits->peek16());
  const int length = entry.symbol == 16 ? 0 : entry.symbol;
  if (entry.length == 0 || length > 16) throw StreamError(bits->offset(), "bits that are no difference of two samples");
  if (entry.length + length > bits->count()) throw StreamError(bits->offset(), "the scan ends before the image");
  bits->drop(entry.length);
  if (entry.symbol == 16) return 32768;
  if (length == 0) return 0;
  const int value = static_cast<int>(bits->peek16() >> (16 - length));
  bits->drop(length);
  return value >> (length - 1) ? value : value - (1 << length) + 1;
}

struct Channel {
  int place;  // among the components of a pixel
  const HuffmanTable* table;
};

// Decodes one scan; returns the components it held, a bit for each.
int read_scan(Reader* in, const Frame& frame, const Tables& tables, std::uint8_t* samples) {
  Reader inside = segment(in, "scan header");
  const std::size_t at = inside.offset();
  const int count = inside.byte(), components = static_cast<int>(frame.components.size());
  if (count < 1 || count > components) throw StreamError(at, "a scan of " + std::to_string(count) + " components");
  std::vector<Channel> channels;
  for (int i = 0; i < count; ++i) {
    const int id = inside.byte();
    int place = 0;
    // NIST's encoder numbers the component of a grey image differently in the frame and in the scan.
    while (components > 1 && frame.components[place] != id)
      if (++place == components) throw StreamError(at, "the scan holds a component that the frame does not have");
    channels.push_back({place, &tables.find(inside.byte() >> 4, at)});
  }
  const int selector = inside.byte();
  inside.byte();
  const int shift = inside.byte() & 15;  // the point transform
  if (selector < 1 || selector > 7) throw StreamError(at, "predictor " + std::to_string(selector) + "; 1 to 7 exist");
  if (shift >= frame.bits) throw StreamError(at, "a point transform that removes all bits");

  // Values before the point transform, of the row above and of this row, modulo the sample's range.
  const int mask = (1 << (frame.bits - shift)) - 1, middle = 1 << (frame.bits - shift - 1);
  std::vector<std::array<int, 4>> above(frame.width), row(frame.width);
  Bits bits(in);
  int until_restart = tables.restart_interval;
  bool first_row = true;  // of the image or after a restart
  for (int y = 0; y < frame.height; ++y, first_row = false) {
    for (int x = 0; x < frame.width; ++x) {
      bool start = first_row && x == 0;
      if (tables.restart_interval != 0 && until_restart-- == 0) {
        if (!bits.pass_restart(kRestart0)) throw StreamError(bits.offset(), "a restart marker is missing here");
        if (x != 0) throw StreamError(bits.offset(), "a restart inside a row, which cannot be read");
        until_restart = tables.restart_interval - 1;
        start = first_row = true;
      }
      for (int i = 0; i < count; ++i) {
        const int place = channels[i].place;
        int predicted = middle;
        if (!start) {
          predicted = first_row ? row[x - 1][i]
                      : x == 0  ? above[0][i]
                                : predict(selector, row[x - 1][i], above[x][i], above[x - 1][i]);
        }
        const int value = (predicted + read_difference(&bits, *channels[i].table)) & mask;
        row[x][i] = value;
        samples[(static_cast<std::size_t>(y) * frame.width + x) * components + place] =
            static_cast<std::uint8_t>(value << shift);
      }
    }
    row.swap(above);
  }
  bits.leave();
  int held = 0;
  for (const Channel& channel : channels) held |= 1 << channel.place;
  return held;
}

}  // namespace

Image decode(const std::uint8_t* data, std::size_t size, std::size_t pixel_limit) {
  Reader in(data, size);
  in.place = "start marker";
  if (in.u16() != kStartImage) throw StreamError(0, "not a JPEG stream: it does not start with FFD8");
  const auto tables = std::make_unique<Tables>();
  Frame frame;
  Image image{0, 0, 0, nullptr};
  for (int read = 0; image.samples == nullptr || read != (1 << image.components) - 1;) {
    in.place = "header";
    const std::size_t at = in.offset();
    const int marker = in.marker();
    if (marker == kLosslessFrame && frame.width == 0) {
      frame = read_frame(&in, pixel_limit);
    } else if (marker == kHuffmanTable) {
      read_huffman_tables(&in, tables.get());
    } else if (marker == kRestartInterval) {
      tables->restart_interval = segment(&in, "restart interval").u16();
    } else if (marker == kStartScan) {
      if (frame.width == 0) throw StreamError(at, "no frame header before the scan");
      if (image.samples == nullptr) {
        // Every sample takes a bit at least: what is allocated is bounded by what was given.
        if (in.left() * 8 < static_cast<std::size_t>(frame.width) * frame.height)
          throw StreamError(at, "the stream is too short for its image");
        image = {frame.width, frame.height, static_cast<int>(frame.components.size()), nullptr};
        image.samples.reset(
            new std::uint8_t[static_cast<std::size_t>(image.width) * image.height * image.components]());
      }
      read |= read_scan(&in, frame, *tables, image.samples.get());
    } else if (is_other_frame(marker)) {
      throw StreamError(at, "frame header " + hex(marker) + " where one of a lossless image (FFC3) is expected");
    } else if (marker == kEndImage) {
      throw StreamError(at, "the image ends before all its components were read");
    } else {
      segment(&in, "segment");
    }
  }
  return image;
}

}  // namespace pcc::lossless_jpeg
