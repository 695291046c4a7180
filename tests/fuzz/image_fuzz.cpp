// Mutants of WSQ and lossless JPEG streams through the decoders, built with sanitizers: image_fuzz SMALL REAL FILE...
// SMALL mutants of small WSQ streams that the encoder makes here and of files below 8 kB, REAL mutants of the other
// files. The same arguments give the same mutants. Ends with 0 and a line of counts; a finding ends it with the
// sanitizer's report.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "lossless_jpeg.h"
#include "marker_stream.h"
#include "wsq.h"

namespace {

using Bytes = std::vector<std::uint8_t>;

struct Random {
  std::uint64_t state;
  std::uint64_t next() {  // splitmix64
    std::uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
  }
  std::size_t below(std::size_t n) { return n ? next() % n : 0; }
};

Bytes ridges(int width, int height, Random* random) {
  Bytes pixels(static_cast<std::size_t>(width) * height);
  const double slope = static_cast<double>(random->below(100)) / 100;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      pixels[static_cast<std::size_t>(y) * width + x] =
          static_cast<std::uint8_t>(128 + 90 * std::sin(x * 0.7 + y * slope) + static_cast<double>(random->below(20)));
  return pixels;
}

// Where segments and entropy-coded data begin: the places where a changed byte does most.
std::vector<std::size_t> markers(const Bytes& stream) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i + 1 < stream.size(); ++i)
    if (stream[i] == 0xFF && stream[i + 1] >= 0xA0) found.push_back(i);
  return found;
}

Bytes mutant(const std::vector<Bytes>& seeds, Random* random) {
  static constexpr std::uint8_t kExtremes[] = {0, 1, 2, 7, 8, 0x10, 0x7F, 0x80, 0xA1, 0xA3, 0xA6, 0xFE, 0xFF};
  Bytes stream = seeds[random->below(seeds.size())];
  for (std::size_t changes = 1 + random->below(2) * random->below(4); changes > 0; --changes) {
    const auto at_markers = markers(stream);
    const std::size_t near = at_markers.empty() ? 0 : at_markers[random->below(at_markers.size())];
    // Half of the places anywhere, half in the first bytes of a segment.
    std::size_t at = random->below(2) ? random->below(stream.size()) : near + random->below(32);
    if (at >= stream.size()) at = random->below(stream.size());
    if (stream.size() < 4) break;
    const auto from = stream.begin() + static_cast<std::ptrdiff_t>(at);
    switch (random->below(8)) {
      case 0:
      case 1:
        stream[at] ^= static_cast<std::uint8_t>(1u << random->below(8));
        break;
      case 2:
        stream[at] = kExtremes[random->below(sizeof kExtremes)];
        break;
      case 3:
        stream[at] = static_cast<std::uint8_t>(random->next());
        break;
      case 4:
        stream.resize(at);
        break;  // cut
      case 5:
        stream.erase(from, from + static_cast<std::ptrdiff_t>(std::min(stream.size() - at, 1 + random->below(40))));
        break;
      case 6: {  // a piece of any seed goes in here
        const Bytes& other = seeds[random->below(seeds.size())];
        const std::size_t start = random->below(other.size());
        const std::size_t length = std::min(other.size() - start, 1 + random->below(200));
        stream.insert(from, other.begin() + static_cast<std::ptrdiff_t>(start),
                      other.begin() + static_cast<std::ptrdiff_t>(start + length));
        break;
      }
      default: {  // the head of this stream, the tail of another
        const Bytes& other = seeds[random->below(seeds.size())];
        const std::size_t start = random->below(other.size());
        stream.resize(at);
        stream.insert(stream.end(), other.begin() + static_cast<std::ptrdiff_t>(start), other.end());
      }
    }
    if (stream.empty()) break;
  }
  return stream;
}

struct Counts {
  long decoded = 0, refused = 0;
  std::uint64_t sum = 0;  // of all pixels: reads every one of them
};

void decode(const Bytes& bytes, std::size_t pixel_limit, Counts* counts) {
  const Bytes exact(bytes);  // no spare capacity behind the end
  try {
    if (exact.size() > 1 && exact[1] == 0xD8) {
      const auto image = pcc::lossless_jpeg::decode(exact.data(), exact.size(), pixel_limit);
      for (std::size_t i = 0; i < static_cast<std::size_t>(image.width) * image.height * image.components; ++i)
        counts->sum += image.samples[i];
    } else {
      pcc::wsq::read_header(exact.data(), exact.size());
      const auto image = pcc::wsq::decode(exact.data(), exact.size(), pixel_limit);
      for (std::size_t i = 0; i < static_cast<std::size_t>(image.width) * image.height; ++i)
        counts->sum += image.pixels[i];
    }
    ++counts->decoded;
  } catch (const pcc::StreamError& error) {
    if (error.offset > exact.size()) std::abort();
    ++counts->refused;
  }
}

void run(const char* name, const std::vector<Bytes>& seeds, long number, std::size_t pixel_limit, Random* random) {
  Counts counts;
  if (!seeds.empty())
    for (long i = 0; i < number; ++i) decode(mutant(seeds, random), pixel_limit, &counts);
  std::printf("%s: %zu seeds, %ld decoded, %ld refused, sum %llu\n", name, seeds.size(), counts.decoded, counts.refused,
              static_cast<unsigned long long>(counts.sum));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  Random random{1};
  std::vector<Bytes> small, real;
  for (int side = 16; side <= 64; side += 4)
    for (const double ratio : {1.0, 5.0, 15.0}) {
      const int width = side, height = 16 + static_cast<int>(random.below(49));
      const Bytes pixels = ridges(width, height, &random);
      small.push_back(pcc::wsq::encode(pixels.data(), width, height, 500, ratio));
    }
  for (int i = 3; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    Bytes bytes{std::istreambuf_iterator<char>(file), {}};
    if (bytes.empty()) {
      std::fprintf(stderr, "%s cannot be read or is empty\n", argv[i]);
      return 2;
    }
    (bytes.size() < 8192 ? small : real).push_back(std::move(bytes));
  }
  run("small", small, std::atol(argv[1]), std::size_t{1} << 18, &random);
  run("real", real, std::atol(argv[2]), std::size_t{1} << 23, &random);
}
