// The search index of DNA profiles: allele bitmaps over blocks of 512 profiles, grouped by the loci they have.
//
// Words
//   position  0 .. positions-1: the loci that some profile has, most discriminating first. order[position] = the
//             caller's locus. A set of loci is a LocusSet over positions, so its first bits are its best loci.
//   slot      a place for one profile; 512 slots are a block. row_of_slot[slot] = the caller's row, kEmptySlot where
//   empty. group     a run of blocks that share one table of lines. `all`: loci that every profile of the group has
//   designated
//             (both alleles known; a locus with a wildcard is not); `any`: loci that at least one has. A large set of
//             profiles with exactly the same loci is a uniform group (all == any). The others, the tail, form groups of
//             neighbours in an order of their sets that lets them share many loci; all these have one table of lines.
//   line      64 bytes of a block: bit (slot % 512) of 512, little-endian; exactly one cache line.
//
// A block of group g is group.lines consecutive lines:
//   line 0                        all zero: where an allele that no profile has is looked up
//   base(g, p) - 1                locus p designated (only in the tail)
//   base(g, p)                    both alleles of p fall into the same line (homozygous, or both rare)
//   base(g, p) + n                the profile has an allele of line n: n = allele_line[p][code]; alleles below a limit
//                                 of frequency share the last n. 0: no profile has this allele.
// So for a probe with alleles (c, d) at p, c <= d, first = allele_line[p][c], second = allele_line[p][d] (0 if equal to
// first), the profiles identical at p are among line[base + first] & line[base + second], exactly those unless an
// allele is rare; none where either allele has no line.
//
// Inside a group the profiles are sorted by their genotype (low << 8 | high) at `key_position`, the group's best locus;
// first_key[block] is the genotype of the block's first profile. A probe's genotype can only be in few blocks of the
// group; in all the others this locus is known to differ before anything is read.
//
// Memory at 24 loci: 2 bytes a locus and profile for the codes, 4 for the row, 40-50 for the lines.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace pcc {

constexpr uint32_t kBlock = 512;
constexpr uint32_t kLineWords = kBlock / 64, kLineBytes = kBlock / 8;
constexpr uint32_t kEmptySlot = 0xFFFFFFFF;
constexpr uint32_t kNoPosition = 0xFFFFFFFF;
constexpr uint32_t kMaxLoci = 256;

// A set of positions.
struct LocusSet {
  uint64_t word[kMaxLoci / 64] = {};

  void add(uint32_t p) { word[p >> 6] |= uint64_t{1} << (p & 63); }
  bool has(uint32_t p) const { return word[p >> 6] >> (p & 63) & 1; }
};

// Zeroed memory on huge pages where the system has them: a search touches a few lines of every block, and with small
// pages half of its time goes to address translation. Aligned to 64 bytes at least.
void* allocate_zeroed(size_t bytes);
void release(void* memory);

template <class T>
class Column {
 public:
  explicit Column(size_t size = 0) : size_(size), data_(static_cast<T*>(allocate_zeroed(size * sizeof(T)))) {}
  size_t size() const { return size_; }
  size_t bytes() const { return size_ * sizeof(T); }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  T& operator[](size_t i) { return data_.get()[i]; }
  const T& operator[](size_t i) const { return data_.get()[i]; }

 private:
  struct Release {
    void operator()(T* memory) const { release(memory); }
  };
  size_t size_;
  std::unique_ptr<T, Release> data_;
};

// Profiles as a gallery holds them: `rows` x `width` pairs of codes, low code first (0 absent, 1 wildcard).
struct DnaPart {
  const uint8_t* codes;
  size_t rows;
  const int32_t* columns;  // [width]: the locus of each column, -1: not compared
  size_t width;
  const uint8_t* live;  // [rows], 0: removed; or null: all live
};

struct DnaGroup {
  uint64_t first_line;   // of its first block, in DnaIndex::lines
  uint32_t first_block;  // block = slot / 512
  uint32_t blocks;
  uint32_t lines;         // of each block
  uint32_t key_position;  // the profiles are sorted by their genotype here; kNoPosition: by none
  LocusSet all, any;
};

struct DnaIndex {
  uint32_t loci = 0;                 // the caller's
  uint32_t positions = 0;            // those that some profile has
  uint32_t stride = 0;               // bytes of codes a slot: 2 * positions rounded up to 16; the rest is 0 (absent)
  uint64_t rows = 0;                 // the caller's, removed ones included
  uint64_t live = 0;                 // those that can be found
  std::vector<uint32_t> order;       // [positions] the locus of each position
  std::vector<double> match;         // [positions] share of profile pairs that are identical there
  std::vector<uint8_t> allele_line;  // [positions][256]
  std::vector<DnaGroup> groups;      // uniform ones by falling size, then the tail
  uint32_t uniform_groups = 0;
  std::vector<uint16_t> base;       // [groups][positions]; 0: no lines
  std::vector<uint16_t> first_key;  // [blocks]
  Column<uint64_t> lines;           // all blocks
  Column<uint8_t> codes;            // [slots][stride]
  Column<uint32_t> row_of_slot;     // [slots]

  size_t blocks() const { return first_key.size(); }
  size_t slots() const { return blocks() * kBlock; }
  size_t bytes() const;  // of everything a search reads
};

// std::invalid_argument names the part, row and locus of codes that are not a sorted pair, or of a locus out of range.
// `threads` fill the blocks; the index does not depend on their number. Reads `parts` only during the call.
DnaIndex build_dna_index(const std::vector<DnaPart>& parts, uint32_t loci, uint32_t rare_per_million, unsigned threads);

}  // namespace pcc
