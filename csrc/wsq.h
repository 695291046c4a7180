// WSQ, the FBI's wavelet / scalar-quantisation compression of 8-bit grey fingerprint images (IAFIS-IC-0110, version 3).
// Knows no Python and keeps no state between calls; every float operation is rounded to 32 bits in the order of NIST's
// reference code, so the pixels are the same on every machine.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace pcc::wsq {

constexpr int kMinSide = 16;     // below this some subbands are empty: the encoder refuses, the decoder copes
constexpr int kMaxSide = 65535;  // 16 bits in the frame header

// Markers, IAFIS-IC-0110 table of marker codes.
enum Marker : int {
  kStartImage = 0xFFA0,
  kEndImage = 0xFFA1,
  kStartFrame = 0xFFA2,
  kStartBlock = 0xFFA3,
  kTransformTable = 0xFFA4,
  kQuantTable = 0xFFA5,
  kHuffmanTable = 0xFFA6,
  kRestartInterval = 0xFFA7,
  kComment = 0xFFA8,
  kRestart0 = 0xFFB0,  // to FFB7
};

// Huffman categories, table A.2: 1..100 is a run of so many zeros, 107..254 the value symbol - 180.
enum Symbol : int {
  kLongestShortRun = 100,
  kPositive8 = 101,
  kNegative8 = 102,
  kPositive16 = 103,
  kNegative16 = 104,
  kRun8 = 105,
  kRun16 = 106,
  kSmallest = 107,
  kValueBias = 180,
  kLargest = 254,
};

struct Header {
  int width, height;
  std::vector<std::string> comments;  // bytes of the comment segments before the first block, in order
};

struct Image {
  int width, height;
  std::unique_ptr<std::uint8_t[]> pixels;  // row by row, no padding
};

// Both throw StreamError (marker_stream.h). The header ends at the first block; nothing but the comments is allocated.
Header read_header(const std::uint8_t* data, std::size_t size);

// Coefficients that the stream does not hold (it may end its blocks early) are zero. More than `pixel_limit` pixels are
// refused before anything of that size is allocated.
Image decode(const std::uint8_t* data, std::size_t size, std::size_t pixel_limit);

// The largest stream of at most width * height / ratio bytes (see wsq_encode.cpp for images too small for that).
std::vector<std::uint8_t> encode(const std::uint8_t* pixels, int width, int height, int ppi, double ratio);

}  // namespace pcc::wsq
