// Lossless JPEG (ITU-T T.81 process 14, frame header SOF3), which ANSI/NIST-ITL calls JPEGL.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

namespace pcc::lossless_jpeg {

struct Image {
  int width, height, components;
  std::unique_ptr<std::uint8_t[]> samples;  // row by row, the components of a pixel side by side
};

// Samples of 8 bits, 1 to 4 components of one size; StreamError (marker_stream.h) for anything else, for an image
// of more than `pixel_limit` pixels, before anything of its size is allocated, and for a stream that ends early.
Image decode(const std::uint8_t* data, std::size_t size, std::size_t pixel_limit);

}  // namespace pcc::lossless_jpeg
