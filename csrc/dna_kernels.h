// The search loops of one instruction-set level, and the plain data they work on. The same source (dna_kernels.inc) is
// compiled for each level; it sees no class of the standard library, so no code of one level can be linked into
// another.
#pragma once
#include <cstddef>
#include <cstdint>

#include "compare_dna.h"
#include "dna_index.h"
#include "dna_probes.h"

namespace pcc {

constexpr uint32_t kTile = 1024;     // most probes that run together
constexpr uint32_t kFewProbes = 4;   // so few run one by one
constexpr uint32_t kMaxPlanes = 3;   // most differing loci that bit planes count; more: no filter
constexpr uint32_t kScreenLoci = 4;  // a screen reads as many loci as may differ, and these
constexpr uint32_t kCounted = 4;     // identical loci that are looked for in the tail
constexpr uint32_t kUnfiltered = ~0u;

// DnaIndex as pointers.
struct DnaIndexView {
  const uint64_t* lines;
  const uint8_t* codes;
  const uint32_t* row_of_slot;
  const DnaGroup* groups;
  const uint16_t* base;
  const uint16_t* first_key;
  uint32_t positions, words, stride;  // words: 64-bit words of a LocusSet that are in use
  uint32_t group_count, uniform_groups;
};

// DnaProbes as pointers, from the first probe of the tile on.
struct DnaProbesView {
  const LocusSet* designated;
  const LocusSet* possible;
  const uint8_t* first;
  const uint8_t* second;
  const LocusSet* asked;
  const Shows* shows;
  const uint32_t* start;
  const uint8_t* line;
  const uint32_t* tail_offset;  // [count][tail_offsets] or null: lines to count in the tail, see DnaSearcher
  const uint32_t* tail_loci;    // [count] how many pairs of them, an even number
  uint32_t tail_offsets;
  const uint8_t* codes;
  const uint64_t* sets;
  const uint32_t* names;      // what a hit reports as its probe
  const uint32_t* own_slots;  // the probe's own slot in the index, or null: each slot is a pair to look at
  uint32_t count;             // at most kTile
};

struct DnaHits {
  PccHit* data = nullptr;
  size_t size = 0, capacity = 0;
};
void grow(DnaHits& hits);

// Blocks [from, to) of a group that one probe goes through.
struct DnaRun {
  const char* lines;  // of block `from`
  uint32_t group, probe, from, to;
  uint32_t way;            // screen with k = 0 .. kMaxPlanes, or kCount, or kRefine
  uint32_t offsets;        // how many
  const uint32_t* offset;  // of the lines read, in bytes from a block's first line: `own`, or the probe's tail_offset
  uint32_t own[2 * (kMaxPlanes + kScreenLoci)];
};
constexpr uint32_t kCount = kMaxPlanes + 1, kRefine = kMaxPlanes + 2;

// Pairs on their way to the verifier: their codes are being fetched.
struct DnaPending {
  static constexpr uint32_t kSize = 32;
  uint32_t count, probe[kSize], slot[kSize];
};

// The probes of a tile in one group, by the way they go through it.
struct DnaTile {
  struct Screen {
    uint32_t count;
    uint32_t probe[kTile];
    uint32_t near_from[kTile], near_to[kTile];  // blocks that a run takes
    uint32_t offset[kTile * 2 * (kMaxPlanes + kScreenLoci)];
  } screen[kMaxPlanes + 1];
  uint32_t counted, refined;
  uint32_t counted_probe[kTile], refined_probe[kTile];
};

// What is searched for, and where everything is that the loops touch.
struct DnaSearch {
  enum Order : uint32_t { kProbeFirst, kRowFirst, kSmallerFirst };  // which of the two a hit reports as its probe

  DnaIndexView index;
  DnaProbesView probes;
  DnaRule rule;
  uint32_t max_differing;  // loci designated on both sides that may differ, or fail, under the rule; or kUnfiltered
  // Which slots are paired with a probe. Probes of the index itself (own_slots): those before its own slot and, with
  // `marked`, the later ones that are not marked; so every pair with a marked profile once, if all marked are probes.
  // Other probes: all, or the marked ones.
  const uint8_t* marked;  // [slots] or null
  Order order;
  DnaTile* tile;  // for search_tile
  DnaRun* runs;   // room for 3 a group (search_probe) or one a probe (search_tile)
  DnaPending* pending;
  DnaHits* hits;
};

// They append to search.hits every pair of a probe and a slot that the rule accepts:
struct DnaKernels {
  void (*search_probe)(const DnaSearch& search, uint32_t probe, uint32_t from, uint32_t to);  // in blocks [from, to)
  void (*search_tile)(const DnaSearch& search, uint32_t group, uint32_t from, uint32_t to);   // all probes, one group
  void (*verify_pairs)(const DnaSearch& search, const uint32_t* probes, const uint32_t* slots, uint32_t count);
};

const DnaKernels& dna_kernels();  // of the level in use

}  // namespace pcc
