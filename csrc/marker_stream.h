// What WSQ and JPEG have in common: marker segments, canonical Huffman tables, and bits with a zero byte stuffed after
// each FF. Nothing here reads past the given bytes, whatever they are.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

namespace pcc {

// A stream that is damaged, impossible or larger than allowed; `offset` is the byte where reading stopped.
struct StreamError : std::runtime_error {
  StreamError(std::size_t at, const std::string& what) : std::runtime_error(what), offset(at) {}
  std::size_t offset;
};

inline std::string hex(int value) {
  const char* digits = "0123456789ABCDEF";
  std::string text;
  for (int shift = 12; shift >= 0; shift -= 4) text += digits[value >> shift & 15];
  return text;
}

// Bytes from the front to the back; every read is checked.
class Reader {
 public:
  Reader(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  std::size_t offset() const { return at_; }
  std::size_t left() const { return size_ - at_; }
  bool at_end() const { return at_ == size_; }

  std::uint8_t byte() { return *take(1); }
  int u16() {
    const std::uint8_t* b = take(2);
    return b[0] << 8 | b[1];
  }
  std::uint32_t u32() {
    const auto high = static_cast<std::uint32_t>(u16());
    return high << 16 | static_cast<std::uint32_t>(u16());
  }
  const std::uint8_t* take(std::size_t n) {
    if (n > left()) throw StreamError(size_, std::string("the stream ends inside a ") + place);
    at_ += n;
    return data_ + at_ - n;
  }
  const std::uint8_t* here() const { return data_ + at_; }
  void move_to(std::size_t offset) { at_ = offset; }

  // A marker, which any number of fill bytes FF may precede.
  int marker() {
    const std::size_t start = at_;
    int value = u16();
    while (value == 0xFFFF) value = 0xFF00 | byte();
    if (value < 0xFF01) throw StreamError(start, "a marker is expected here, not " + hex(value));
    return value;
  }

  // WSQ's decimal numbers, value / 10^exponent, rounded to 32 bits after each division as in NIST's code.
  float decimal16() {
    const int exponent = byte();
    return divided(static_cast<float>(u16()), exponent);
  }
  float decimal32() {
    const int exponent = byte();
    return divided(static_cast<float>(u32()), exponent);
  }

  const char* place = "marker";  // what is being read, for the error message

 private:
  static float divided(float value, int exponent) {
    for (; exponent > 0; --exponent) value = static_cast<float>(value / 10.0);
    return value;
  }

  const std::uint8_t* data_;
  std::size_t size_, at_ = 0;
};

// A segment whose length counts: a reader of its content, whose offsets are the stream's. `in` goes on behind it.
inline Reader segment(Reader* in, const char* place) {
  in->place = place;
  const std::size_t at = in->offset();
  const int length = in->u16();
  if (length < 2) throw StreamError(at, std::string("a ") + place + " of length " + std::to_string(length));
  const std::uint8_t* content = in->take(length - 2);
  Reader inside(content - at - 2, at + length);  // the same offsets as the stream's
  inside.move_to(at + 2);
  inside.place = place;
  return inside;
}

// Canonical Huffman codes of at most 16 bits: short ones by one look-up, the rest length by length.
class HuffmanTable {
 public:
  static constexpr int kLongest = 16, kFast = 10;

  bool defined() const { return defined_; }

  void read(Reader* in) {
    const std::uint8_t* counts = in->take(kLongest);
    int total = 0;
    for (int length = 1; length <= kLongest; ++length) total += counts[length - 1];
    if (total > static_cast<int>(symbols_.size()))
      throw StreamError(in->offset(), "a Huffman table has over 256 codes");
    std::memcpy(symbols_.data(), in->take(total), total);
    fast_.fill({0, 0});
    std::uint32_t code = 0;
    int index = 0;
    for (int length = 1; length <= kLongest; ++length) {
      code <<= 1;
      first_[length] = static_cast<int>(code) - index;
      for (int i = 0; i < counts[length - 1]; ++i, ++code, ++index)
        if (length <= kFast && code < 1u << length)
          std::fill_n(fast_.begin() + (code << (kFast - length)), 1 << (kFast - length),
                      Entry{symbols_[index], static_cast<std::uint8_t>(length)});
      if (code > 1u << length) throw StreamError(in->offset(), "a Huffman table has more codes than its lengths allow");
      end_[length] = code;
    }
    defined_ = true;
  }

  struct Entry {
    std::uint8_t symbol, length;  // length 0: no such code
  };

  // `bits` holds the next 16 bits of the stream.
  Entry find(std::uint32_t bits) const {
    const Entry entry = fast_[bits >> (kLongest - kFast)];
    if (entry.length) return entry;
    for (int length = kFast + 1; length <= kLongest; ++length) {
      const std::uint32_t code = bits >> (kLongest - length);
      if (code < end_[length])
        return {symbols_[static_cast<int>(code) - first_[length]], static_cast<std::uint8_t>(length)};
    }
    return {0, 0};
  }

 private:
  bool defined_ = false;
  std::array<std::uint8_t, 256> symbols_{};
  std::array<Entry, 1 << kFast> fast_{};
  std::array<int, kLongest + 1> first_{};          // code minus index of a length's first code
  std::array<std::uint32_t, kLongest + 1> end_{};  // one past a length's last code
};

// Bits of entropy-coded data, up to the next marker.
class Bits {
 public:
  explicit Bits(Reader* in) : in_(in), next_(in->here()), end_(next_ + in->left()) {}

  // After this at least 32 bits are there, or the data ends (then what follows them reads as zeros).
  void refill() {
    while (count_ <= 56 && next_ != end_) {
      const std::uint8_t value = *next_;
      if (value == 0xFF) {
        if (end_ - next_ < 2 || next_[1] != 0) return;
        ++next_;
      }
      ++next_;
      bits_ |= static_cast<std::uint64_t>(value) << (56 - count_);
      count_ += 8;
    }
  }

  int count() const { return count_; }
  std::uint32_t peek16() const { return static_cast<std::uint32_t>(bits_ >> 48); }
  void drop(int n) {
    bits_ <<= n;
    count_ -= n;
  }

  // Passes one of the eight restart markers `first`.., if it is next, and the padding before it.
  bool pass_restart(int first) {
    if (end_ - next_ < 2 || next_[0] != first >> 8 || next_[1] < (first & 0xFF) || next_[1] > (first & 0xFF) + 7)
      return false;
    next_ += 2;
    bits_ = 0;
    count_ = 0;
    return true;
  }

  std::size_t offset() const { return in_->offset() + static_cast<std::size_t>(next_ - in_->here()) - count_ / 8; }

  // The reader goes on at the marker that ended the data.
  void leave() { in_->take(static_cast<std::size_t>(next_ - in_->here())); }

 private:
  Reader* in_;
  const std::uint8_t *next_, *end_;
  std::uint64_t bits_ = 0;
  int count_ = 0;
};

}  // namespace pcc
