#include "dna_matrix.h"

#include <algorithm>
#include <memory>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "isa.h"

#define PCC_INLINE inline __attribute__((always_inline))

namespace pcc {
namespace {

constexpr uint32_t kDesignated = 2;  // the smallest code of a known allele
constexpr uint32_t kLociStep = 8;    // that the adders take at once
constexpr uint32_t kBatch = 16;      // probes; of 4 to 32 the speed is the same
constexpr uint32_t kBatchWords = kBatch * kLineWords;

struct Single {
  uint32_t place;  // probe of the batch * 512 + slot of the block
  uint32_t matching, partial;
};

// A few probes against a block, and the room for it. Arrays [..][kBatchWords] hold a bit for each pair.
struct MatrixBatch {
  uint32_t loci, padded_loci, at_least;
  uint32_t digits;                         // binary ones, of a number of loci; 3 at least
  uint32_t words;                          // kLineWords a probe
  const uint64_t* lines;                   // of the block
  const uint32_t* line;                    // [probes][padded loci][2]
  uint64_t* counted;                       // the pairs that count
  uint64_t *match, *partial;               // [digits] the numbers
  uint64_t *matching, *partially;          // [loci + 2] the pairs of each number, and one beyond
  uint8_t *match_occurs, *partial_occurs;  // [loci + 2]
  uint64_t* cells;                         // [loci + 1][loci + 1][kLineWords] counts, to be summed over the words
  Single* singles;                         // pairs that are in no cell
  uint32_t single_count;
};

}  // namespace

namespace portable {
typedef uint64_t Vec __attribute__((vector_size(16), may_alias));
typedef uint8_t Bytes __attribute__((vector_size(16)));
PCC_INLINE Vec parity(Vec a, Vec b, Vec c) { return a ^ b ^ c; }
PCC_INLINE Vec majority(Vec a, Vec b, Vec c) { return (a & b) | (c & (a ^ b)); }
PCC_INLINE Bytes bit_counts(Vec v) {
  v -= v >> 1 & 0x5555555555555555;
  v = (v & 0x3333333333333333) + (v >> 2 & 0x3333333333333333);
  return (Bytes)((v + (v >> 4)) & 0x0F0F0F0F0F0F0F0F);
}
PCC_INLINE Vec sum_bytes(Bytes bytes) {
  Vec v = (Vec)bytes;
  v = (v & 0x00FF00FF00FF00FF) + (v >> 8 & 0x00FF00FF00FF00FF);
  v += v >> 16;
  return (v + (v >> 32)) & 0xFFFF;
}
#include "dna_matrix.inc"
}  // namespace portable

#if defined(__x86_64__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,popcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,popcnt")
#endif
namespace avx2 {
typedef uint64_t Vec __attribute__((vector_size(32), may_alias));
typedef uint8_t Bytes __attribute__((vector_size(32)));
PCC_INLINE Vec parity(Vec a, Vec b, Vec c) { return a ^ b ^ c; }
PCC_INLINE Vec majority(Vec a, Vec b, Vec c) { return (a & b) | (c & (a ^ b)); }
PCC_INLINE Bytes bit_counts(Vec v) {
  const __m256i nibble = _mm256_set1_epi8(15);
  const __m256i table = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  const __m256i low = _mm256_and_si256((__m256i)v, nibble);
  const __m256i high = _mm256_and_si256(_mm256_srli_epi16((__m256i)v, 4), nibble);
  return (Bytes)_mm256_add_epi8(_mm256_shuffle_epi8(table, low), _mm256_shuffle_epi8(table, high));
}
PCC_INLINE Vec sum_bytes(Bytes v) { return (Vec)_mm256_sad_epu8((__m256i)v, _mm256_setzero_si256()); }
#include "dna_matrix.inc"
}  // namespace avx2
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(                                                                                   \
    __attribute__((target("avx2,bmi,bmi2,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512bitalg"))), \
    apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512bitalg")
#endif
namespace avx512 {
typedef uint64_t Vec __attribute__((vector_size(64), may_alias));
typedef uint8_t Bytes __attribute__((vector_size(64)));
PCC_INLINE Vec parity(Vec a, Vec b, Vec c) {
  return (Vec)_mm512_ternarylogic_epi64((__m512i)a, (__m512i)b, (__m512i)c, 0x96);
}
PCC_INLINE Vec majority(Vec a, Vec b, Vec c) {
  return (Vec)_mm512_ternarylogic_epi64((__m512i)a, (__m512i)b, (__m512i)c, 0xE8);
}
PCC_INLINE Bytes bit_counts(Vec v) { return (Bytes)_mm512_popcnt_epi8((__m512i)v); }
PCC_INLINE Vec sum_bytes(Bytes v) { return (Vec)_mm512_sad_epu8((__m512i)v, _mm512_setzero_si512()); }
#include "dna_matrix.inc"
}  // namespace avx512
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // __x86_64__

namespace {

using CountBatch = void (*)(MatrixBatch&);

CountBatch count_batch() {
  switch (active_isa()) {
#if defined(__x86_64__)
    case Isa::avx512:
      return avx512::count_batch;
    case Isa::avx2:
      return avx2::count_batch;
#endif
    default:
      return portable::count_batch;
  }
}

bool designated(const uint8_t* pair) { return pair[0] >= kDesignated && pair[1] >= kDesignated; }

// The bits of a line's word for the slots before `end`.
uint64_t slots_below(size_t end, size_t word) {
  if (end <= word * 64) return 0;
  return end - word * 64 < 64 ? (uint64_t{1} << (end - word * 64)) - 1 : ~uint64_t{0};
}

}  // namespace

DnaMatrix::DnaMatrix(const uint8_t* codes, size_t rows, const uint8_t* against, size_t against_rows, uint32_t loci)
    : codes_(codes),
      rows_(rows),
      probes_(against ? against_rows : rows),
      against_itself_(!against),
      loci_(loci),
      padded_loci_((loci + kLociStep - 1) / kLociStep * kLociStep),
      line_(size_t{loci} * 256),
      lines_(1),
      probe_line_(probes_ * padded_loci_ * 2) {
  const uint8_t* pair = codes;
  for (size_t row = 0; row < rows; ++row)
    for (uint32_t l = 0; l < loci; ++l, pair += 2)
      if (designated(pair)) line_[l * 256 + pair[0]] = line_[l * 256 + pair[1]] = 1;
  for (uint32_t& line : line_)
    if (line) {
      line = static_cast<uint32_t>(lines_);
      lines_ += 2;
    }
  pair = against ? against : codes;
  for (size_t row = 0; row < probes_; ++row)
    for (uint32_t l = 0; l < loci; ++l, pair += 2) {
      const uint32_t has = line_[l * 256 + pair[0]];
      uint32_t* line = &probe_line_[(row * padded_loci_ + l) * 2];
      if (!designated(pair)) continue;
      line[0] = has;
      line[1] = pair[0] != pair[1] ? line_[l * 256 + pair[1]] : has ? has + 1 : 0;
    }
}

void DnaMatrix::count(size_t block, uint64_t* counts, uint32_t at_least, std::vector<MatchedPair>& pairs) const {
  const size_t first = block * kBlock, last = std::min(rows_, first + kBlock);
  Column<uint64_t> lines(lines_ * kLineWords);
  const uint8_t* pair = codes_ + first * loci_ * 2;
  for (size_t slot = 0; slot < last - first; ++slot)
    for (uint32_t l = 0; l < loci_; ++l, pair += 2) {
      if (!designated(pair)) continue;
      const size_t low = line_[l * 256 + pair[0]], high = pair[0] == pair[1] ? low + 1 : line_[l * 256 + pair[1]];
      lines[low * kLineWords + slot / 64] |= uint64_t{1} << slot % 64;
      lines[high * kLineWords + slot / 64] |= uint64_t{1} << slot % 64;
    }

  MatrixBatch b{};
  b.loci = loci_;
  b.padded_loci = padded_loci_;
  b.at_least = at_least;
  for (b.digits = 3; loci_ >> b.digits;) ++b.digits;
  b.lines = lines.data();
  const size_t values = size_t{loci_} + 1, sets = values + 1;
  Column<uint64_t> room((1 + 2 * b.digits + 2 * sets) * kBatchWords), cells(values * values * kLineWords);
  Column<uint8_t> occurs(2 * sets);
  const std::unique_ptr<Single[]> singles(new Single[kBatch * kBlock]);
  b.counted = room.data();
  b.match = b.counted + kBatchWords;
  b.partial = b.match + b.digits * kBatchWords;
  b.matching = b.partial + b.digits * kBatchWords;
  b.partially = b.matching + sets * kBatchWords;
  b.match_occurs = occurs.data();
  b.partial_occurs = occurs.data() + sets;
  b.cells = cells.data();
  b.singles = singles.get();

  const CountBatch run = count_batch();
  const size_t probes = against_itself_ ? last : probes_;
  for (size_t probe = 0; probe < probes; probe += kBatch) {
    const size_t n = std::min<size_t>(kBatch, probes - probe);
    b.line = probe_line_.data() + probe * padded_loci_ * 2;
    b.words = static_cast<uint32_t>(n * kLineWords);
    for (size_t i = 0; i < n; ++i) {
      const size_t from = against_itself_ && probe + i >= first ? probe + i + 1 - first : 0;
      for (size_t w = 0; w < kLineWords; ++w)
        b.counted[i * kLineWords + w] = slots_below(last - first, w) & ~slots_below(from, w);
    }
    run(b);
    for (const Single* s = b.singles; s != b.singles + b.single_count; ++s) {
      ++counts[s->matching * values + s->partial];
      if (s->matching < at_least) continue;
      const uint32_t row = static_cast<uint32_t>(first + s->place % kBlock);
      const uint32_t other = static_cast<uint32_t>(probe + s->place / kBlock);
      pairs.push_back(against_itself_ ? MatchedPair{other, row, s->matching, s->partial}  // other < row
                                      : MatchedPair{row, other, s->matching, s->partial});
    }
  }
  for (size_t cell = 0; cell < values * values; ++cell)
    for (size_t w = 0; w < kLineWords; ++w) counts[cell] += cells[cell * kLineWords + w];
}

}  // namespace pcc
