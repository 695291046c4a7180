// Black and white images, 64 pixels a word.
#pragma once
#include <cstdint>
#include <cstring>
#include <vector>

namespace pcc::extract {

struct Bits {
  int width, height, words;
  std::vector<std::uint64_t> values;  // rows of words, bit k is pixel k; a row of zeros above and below
  Bits(int w, int h) : width(w), height(h), words((w + 63) / 64), values(std::size_t(words) * (h + 2)) {}
  std::uint64_t* row(int y) { return values.data() + std::size_t(y + 1) * words; }
  const std::uint64_t* row(int y) const { return values.data() + std::size_t(y + 1) * words; }

  // Row y from bytes of 0 or 1, 64 * words of them.
  void pack(int y, const std::uint8_t* bytes) {
    for (int w = 0; w < words; ++w) {
      std::uint64_t v = 0;
      for (int k = 0; k < 8; ++k) {
        std::uint64_t eight;  // little-endian, as all machines that this is built for
        std::memcpy(&eight, bytes + 64 * w + 8 * k, 8);
        v |= (eight * 0x0102040810204080) >> 56 << (8 * k);
      }
      row(y)[w] = v;
    }
  }
  // Set where a pixel within `radius`, in a square, is set.
  Bits grown(int radius) const {
    Bits across = *this, out(width, height);
    for (int step = 0; step < radius; ++step)
      for (int y = 0; y < height; ++y) {
        std::uint64_t* r = across.row(y);
        std::uint64_t left = 0;
        for (int w = 0; w < words; ++w) {
          const std::uint64_t v = r[w], right = w + 1 < words ? r[w + 1] << 63 : 0;
          r[w] = v | v << 1 | left | v >> 1 | right;
          left = v >> 63;
        }
      }
    for (int y = 0; y < height; ++y)
      for (int v = y - radius < 0 ? 0 : y - radius; v <= y + radius && v < height; ++v)
        for (int w = 0; w < words; ++w) out.row(y)[w] |= across.row(v)[w];
    return out;
  }
  // Set where all pixels within `radius` are set; beyond the edge all are.
  Bits shrunk(int radius) const {
    Bits inverse = *this;
    for (int y = 0; y < height; ++y)
      for (int w = 0; w < words; ++w) {
        const int over = 64 * (w + 1) - width;
        inverse.row(y)[w] = ~row(y)[w] & (over > 0 ? ~std::uint64_t(0) >> over : ~std::uint64_t(0));
      }
    Bits out = inverse.grown(radius);
    for (int y = 0; y < height; ++y)
      for (int w = 0; w < words; ++w) out.row(y)[w] = ~out.row(y)[w];
    return out;
  }
  // Grows the set pixels to all that is connected with them through set pixels of `area`.
  void flood(const Bits& area) {
    // along a row: a carry runs from each set pixel to the end of its run of `area`
    auto right = [&](std::uint64_t* r, const std::uint64_t* a) {
      std::uint64_t carry = 0;
      for (int w = 0; w < words; ++w) {
        const std::uint64_t seed = (r[w] | carry) & a[w], sum = a[w] + seed;
        r[w] = seed | (a[w] & ~sum);
        carry = r[w] >> 63;
      }
    };
    auto left = [&](std::uint64_t* r, const std::uint64_t* a) {
      std::uint64_t carry = 0;
      for (int w = words - 1; w >= 0; --w) {
        std::uint64_t v = (r[w] | carry << 63) & a[w];
        for (std::uint64_t before = 0; before != v;) before = v, v |= v >> 1 & a[w];
        r[w] = v;
        carry = v & 1;
      }
    };
    for (bool changed = true; changed;) {
      changed = false;
      for (int pass = 0; pass < 2; ++pass)
        for (int k = 0; k < height; ++k) {
          const int y = pass ? height - 1 - k : k, from = pass ? y + 1 : y - 1;
          std::uint64_t *r = row(y), *f = row(from);
          const std::uint64_t* a = area.row(y);
          bool grows = !pass;
          for (int w = 0; w < words; ++w) {
            const std::uint64_t v = (r[w] | f[w]) & a[w];
            if (v != r[w]) r[w] = v, grows = changed = true;
          }
          if (grows) right(r, a), left(r, a);
        }
    }
  }
};

}  // namespace pcc::extract
