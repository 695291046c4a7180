// DNA search on a GPU: every profile of an index that one probe after another matches, exactly.
//
// Three steps for a tile of probes, over the index that csrc/dna_index.h describes (groups, lines, slots, positions):
//   dna_compile   turns each probe, for each group, into a program: the lines to read, best locus first;
//   dna_filter_*  runs the programs. What is left is a superset of the matches with few others in it: a match has at
//                 least `min_identical` loci designated on both sides and identical, and at most `allowed` designated
//                 on both sides and not identical;
//   dna_verify    compares the survivors by the rule itself (compare_dna.h) and keeps the matches.
// dna_exhaustive compares every pair by the rule, for rules that allow too many differences for a filter.
// The buffers of survivors and hits are bounded; their counters count on past the end, so that the host sees what had
// no room, enlarges the buffer and runs the tile again.
//
// What bounds dna_filter_shared, for a probe and the profiles of a group with one set of loci: of most of them, the
// first locus is known to differ before anything is read (they are sorted by it), and the next three decide. That is 6
// lines, 0.75 bytes of shared memory a pair (128 bytes a cycle and multiprocessor: 170 pairs a cycle), and 100
// instructions of a warp for its 4,096 pairs (4 a cycle: 160 pairs a cycle). Where the first locus may be identical, 8
// lines. A lane has 128 profiles and goes on alone to the next four loci where one of them is left: in one warp of
// sixteen after three loci, in one of three after four. Groups of many sets of loci cost 50 lines, 6 bytes a pair.
// Device memory sees 16 bytes of program for each probe and up to 8 blocks, and the lines once a tile and slice.
// dna_filter_direct reads its lines from device memory, 0.75 bytes a pair there: better for few probes only.
#include "compare_dna.h"

enum : pcc_u32 {
  kPccSkip = 0xFFFFFFFF,  // a program's first word: no profile of the group can match
  kPccLaneSlots = 128,    // slots of one lane: 16 bytes of a line
  kPccBlockLanes = 4,     // lanes of one block of 512 slots
  kPccAllLanes = 0xFFFFFFFF,
  kPccNoSlot = 0xFFFFFFFF,
  kPccNoPosition = 0xFFFFFFFF,
};

struct PccGroup {
  pcc_u32 all[8], any[8];  // LocusSets
  pcc_u32 lines;           // of a block
  pcc_u32 key_position;    // its profiles are sorted by their genotype here; kNoPosition: by none
  // Its programs, in units of 16 bytes: first those of the loci in `all`, then those of the others.
  pcc_u32 all_units, any_units;
  pcc_u32 first_unit;  // unit u of probe p lies at (first_unit + u) * probes + p
  pcc_u32 spare;
};

// Blocks of one group that one thread block works on.
struct PccItem {
  pcc_u64 first_line;
  pcc_u32 group, blocks, first_slot, slots;  // slots: those with a profile
  pcc_u32 first_key, last_key;               // genotypes (low << 8 | high) at the group's key position
};

// What a tile asks and finds. The rule is `kind` and the fields of its struct in compare_dna.h. The hits follow at
// once.
enum : pcc_u32 { kPccTreaty = 0, kPccStringency = 1, kPccMixture = 2 };
struct PccTask {
  pcc_u64 survivors, hits;  // those without room included
  pcc_u32 kind;
  pcc_u32 limits[7];
};

// ---- dna_compile ----

__device__ __forceinline__ bool pcc_has(const pcc_u32* set, pcc_u32 position) {
  return set[position >> 5] >> (position & 31) & 1;
}

// The two lines, first | second << 16, whose common bits are the profiles identical to the probe at a position.
__device__ __forceinline__ pcc_u32 pcc_lines(const pcc_u8* locus, const pcc_u8* allele_line, pcc_u32 base) {
  const pcc_u32 first = allele_line[locus[0]], second = allele_line[locus[1]];
  if (!first || !second) return 0;
  return (base + first) | (first == second ? base : base + second) << 16;
}

// Grid: (groups, probes / threads). Probes: codes by position, `stride` bytes each. `misses`, 1 or 3, is the number of
// differences that the filter will count to; a probe that may differ at fewer loci gets some that always differ.
// Programs: a word (pcc_lines) a locus of `all`; for the others, units of two loci: their words, the lines of those
// that have them (16 bits each), and how many of these loci must be identical. A line number `lines` means all ones.
extern "C" __global__ void dna_compile(const pcc_u8* probes, pcc_u32 probe_count, pcc_u32 stride, pcc_u32 positions,
                                       const PccGroup* groups, const pcc_u16* bases, const pcc_u8* allele_lines,
                                       pcc_u32 min_identical, pcc_u32 allowed, pcc_u32 misses, pcc_u32* programs) {
  const pcc_u32 p = blockIdx.y * blockDim.x + threadIdx.x;
  if (p >= probe_count) return;
  const PccGroup& group = groups[blockIdx.x];
  const pcc_u16* base = bases + (pcc_u64)blockIdx.x * positions;
  const pcc_u8* codes = probes + (pcc_u64)p * stride;
  const auto word = [=](pcc_u32 unit, pcc_u32 number) -> pcc_u32& {
    return programs[((pcc_u64)(group.first_unit + unit) * probe_count + p) * 4 + number];
  };

  pcc_u32 in_all = 0, in_any = 0, different = 0;
  for (pcc_u32 i = 0; i < positions; ++i) {
    if (codes[2 * i] <= kPccWildcard || !pcc_has(group.any, i)) continue;
    ++in_any;
    if (!pcc_has(group.all, i)) continue;
    ++in_all;
    different += pcc_lines(codes + 2 * i, allele_lines + 256 * i, base[i]) == 0;
  }
  if (in_any < min_identical || different > allowed) {
    word(0, 0) = kPccSkip;
    return;
  }
  if (in_any - min_identical < allowed) allowed = in_any - min_identical;
  if (different > allowed) {
    word(0, 0) = kPccSkip;
    return;
  }

  const pcc_u32 always = group.lines | group.lines << 16;
  pcc_u32 n = 0, m = 0;
  for (pcc_u32 i = 0; i < positions; ++i) {
    if (codes[2 * i] <= kPccWildcard || !pcc_has(group.any, i)) continue;
    const pcc_u32 lines = pcc_lines(codes + 2 * i, allele_lines + 256 * i, base[i]);
    if (pcc_has(group.all, i)) {
      word(n / 4, n % 4) = lines;
      ++n;
      // The key's locus stays first.
      for (; allowed < misses && n; ++allowed, ++n) word(n / 4, n % 4) = 0;
    } else {
      const pcc_u32 unit = group.all_units + m / 2, present = base[i] - 1u;
      word(unit, m % 2) = lines;
      word(unit, 2) = m % 2 ? word(unit, 2) | present << 16 : present;
      ++m;
    }
  }
  for (; allowed < misses; ++allowed, ++n) word(n / 4, n % 4) = 0;
  for (; n < 4 * group.all_units; ++n) word(n / 4, n % 4) = always;
  for (; m < 2 * group.any_units; ++m) {
    const pcc_u32 unit = group.all_units + m / 2;
    word(unit, m % 2) = 0;
    word(unit, 2) = m % 2 ? word(unit, 2) & 0xFFFF : 0;
  }
  if (group.any_units) word(group.all_units, 3) = in_all < min_identical ? min_identical - in_all : 0;
}

// ---- dna_filter_* ----

// One bit for each of 128 slots.
struct PccPlane {
  pcc_u32 word[4];
};
__device__ __forceinline__ PccPlane pcc_plane(pcc_u32 word) { return {{word, word, word, word}}; }
__device__ __forceinline__ bool pcc_none(const PccPlane& p) {
  return (p.word[0] | p.word[1] | p.word[2] | p.word[3]) == 0;
}

// A lane's 16 bytes of each line of its block.
template <bool kShared>
struct PccLines {
  const unsigned char* at;
  pcc_u32 pitch, lines;  // pitch: bytes from one line to the next
  __device__ __forceinline__ PccPlane operator[](pcc_u32 line) const {
    if (!kShared && line == lines) return pcc_plane(0xFFFFFFFF);
    const uint4 v = *reinterpret_cast<const uint4*>(at + line * pitch);
    return {{v.x, v.y, v.z, v.w}};
  }
  __device__ __forceinline__ PccPlane identical(pcc_u32 two) const {
    PccPlane a = (*this)[two & 0xFFFF];
    const PccPlane b = (*this)[two >> 16];
#pragma unroll
    for (int w = 0; w < 4; ++w) a.word[w] &= b.word[w];
    return a;
  }
};

// more[k]: more than k loci so far differ.
template <int kMisses>
struct PccMisses {
  PccPlane more[kMisses + 1];
  __device__ __forceinline__ explicit PccMisses(bool one) {
    more[0] = pcc_plane(one ? 0xFFFFFFFF : 0);
#pragma unroll
    for (int k = 1; k <= kMisses; ++k) more[k] = pcc_plane(0);
  }
  __device__ __forceinline__ void add(const PccPlane& identical) { add(identical, pcc_plane(0xFFFFFFFF)); }
  __device__ __forceinline__ void add(const PccPlane& identical, const PccPlane& present) {
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      const pcc_u32 differs = present.word[w] & ~identical.word[w];
#pragma unroll
      for (int k = kMisses; k > 0; --k) more[k].word[w] |= more[k - 1].word[w] & differs;
      more[0].word[w] |= differs;
    }
  }
  __device__ __forceinline__ PccPlane left() const {
    PccPlane left;
#pragma unroll
    for (int w = 0; w < 4; ++w) left.word[w] = ~more[kMisses].word[w];
    return left;
  }
};

// Counts identical loci modulo 32, from 32 - needed: the carry out of the fifth bit says that they are enough.
struct PccEnough {
  PccPlane count[5], enough;
  __device__ __forceinline__ explicit PccEnough(pcc_u32 needed) {
    enough = pcc_plane(needed - 1 < 32 ? 0 : 0xFFFFFFFF);  // more than 32: not counted, dna_verify decides
#pragma unroll
    for (int k = 0; k < 5; ++k) count[k] = pcc_plane((32 - needed) >> k & 1 ? 0xFFFFFFFF : 0);
  }
  __device__ __forceinline__ void add(const PccPlane& identical) {
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      pcc_u32 carry = identical.word[w];
#pragma unroll
      for (int k = 0; k < 5; ++k) {
        const pcc_u32 next = count[k].word[w] & carry;
        count[k].word[w] ^= carry;
        carry = next;
      }
      enough.word[w] |= carry;
    }
  }
};

// The slots that a program leaves; `unit` is its first. Where `key_differs`, the first locus is known to.
template <int kMisses, bool kShared>
__device__ __forceinline__ PccPlane pcc_run(const PccGroup& group, const PccLines<kShared>& lines, uint4 unit,
                                            const uint4* program, pcc_u32 probes, bool key_differs) {
  PccMisses<kMisses> misses(key_differs);
  PccPlane left;
  if (kMisses == 1 && key_differs) {  // none of the others may differ
    const PccPlane y = lines.identical(unit.y), z = lines.identical(unit.z), w = lines.identical(unit.w);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      left.word[i] = y.word[i] & z.word[i] & w.word[i];
      misses.more[1].word[i] = ~left.word[i];
    }
  } else {
    if (!key_differs) misses.add(lines.identical(unit.x));
    misses.add(lines.identical(unit.y));
    misses.add(lines.identical(unit.z));
    misses.add(lines.identical(unit.w));
    left = misses.left();
  }
  for (pcc_u32 u = 1; u < group.all_units && !pcc_none(left); ++u) {
    unit = program[(pcc_u64)u * probes];
    misses.add(lines.identical(unit.x));
    misses.add(lines.identical(unit.y));
    misses.add(lines.identical(unit.z));
    misses.add(lines.identical(unit.w));
    left = misses.left();
  }
  if (!group.any_units || pcc_none(left)) return left;

  program += (pcc_u64)group.all_units * probes;
  unit = *program;
  PccEnough enough(unit.w);
  for (pcc_u32 u = 1;; ++u) {
    const PccPlane first = lines.identical(unit.x), second = lines.identical(unit.y);
    misses.add(first, lines[unit.z & 0xFFFF]);
    misses.add(second, lines[unit.z >> 16]);
    enough.add(first);
    enough.add(second);
    left = misses.left();
    if (u == group.any_units || pcc_none(left)) break;
    unit = program[(pcc_u64)u * probes];
  }
#pragma unroll
  for (int w = 0; w < 4; ++w) left.word[w] &= enough.enough.word[w];
  return left;
}

// Clears the bits of slots from `end` on.
__device__ __forceinline__ void pcc_keep_before(PccPlane& left, pcc_u32 slot, pcc_u32 end) {
#pragma unroll
  for (int w = 0; w < 4; ++w) {
    const pcc_u32 from = slot + 32 * w;
    if (end <= from)
      left.word[w] = 0;
    else if (end - from < 32)
      left.word[w] &= (1u << (end - from)) - 1;
  }
}

// What a filter is given for its item.
struct PccFilter {
  PccGroup group;
  PccItem item;
  const pcc_u8* codes;  // of the probes, by position
  const uint4* programs;
  pcc_u32 stride, probes;
  pcc_u32 first_probe_slot;  // kPccNoSlot, or: only slots before the probe's own, which is first_probe_slot + p
  PccTask* task;
  pcc_u64* survivors;  // probe << 32 | slot
  pcc_u64 capacity;
};

// All lanes of a warp: appends the survivors of each, with one atomic.
__device__ __forceinline__ void pcc_append(const PccFilter& f, const PccPlane& left, pcc_u32 probe, pcc_u32 slot) {
  const pcc_u32 lane = threadIdx.x & 31;
  pcc_u32 own = 0;
#pragma unroll
  for (int w = 0; w < 4; ++w) own += __popc(left.word[w]);
  pcc_u32 sum = own;  // of this lane and those before it
#pragma unroll
  for (pcc_u32 step = 1; step < 32; step *= 2) {
    const pcc_u32 before = __shfl_up_sync(kPccAllLanes, sum, step);
    if (lane >= step) sum += before;
  }
  pcc_u64 at = lane == 31 ? atomicAdd(&f.task->survivors, (pcc_u64)sum) : 0;
  at = __shfl_sync(kPccAllLanes, at, 31) + sum - own;
#pragma unroll
  for (int w = 0; w < 4; ++w)
    for (pcc_u32 bits = left.word[w]; bits; bits &= bits - 1, ++at)
      if (at < f.capacity) f.survivors[at] = (pcc_u64)probe << 32 | (slot + 32 * w + __ffs((int)bits) - 1);
}

// What a warp needs first of a probe, loaded while it works on the one before; nothing here waits for a load.
struct PccNext {
  uint4 unit;
  pcc_u32 key;  // the codes at the group's key position, low | high << 8
};
__device__ __forceinline__ PccNext pcc_next(const PccFilter& f, pcc_u32 p, bool some) {
  PccNext next = {make_uint4(kPccSkip, 0, 0, 0), 0};
  if (!some) return next;
  next.unit = f.programs[p];
  if (f.group.key_position != kPccNoPosition)
    next.key = *reinterpret_cast<const pcc_u16*>(f.codes + (pcc_u64)p * f.stride + 2 * f.group.key_position);
  return next;
}
__device__ __forceinline__ bool pcc_key_differs(const PccItem& item, pcc_u32 key) {
  const pcc_u32 low = key & 0xFF, genotype = low << 8 | key >> 8;
  return (low > kPccWildcard) & (genotype - item.first_key > item.last_key - item.first_key);
}

// The probes of this thread block: its slice, but for those that come before all slots of the item.
struct PccRange {
  pcc_u32 from, to;
};
__device__ __forceinline__ PccRange pcc_range(const PccItem& item, pcc_u32 probes, pcc_u32 first_probe_slot) {
  const pcc_u32 slice = (probes + gridDim.y - 1) / gridDim.y;
  PccRange range = {blockIdx.y * slice, blockIdx.y * slice + slice};
  if (range.to > probes) range.to = probes;
  if (first_probe_slot != kPccNoSlot && item.first_slot >= first_probe_slot + range.from)
    range.from = item.first_slot - first_probe_slot + 1;
  return range;
}

// A warp takes one probe after another, or several at a time where the item has few blocks: four lanes for each block.
template <int kMisses, bool kShared>
__device__ __forceinline__ void pcc_filter(const PccFilter& f, const uint4* lines) {
  const pcc_u32 lanes = f.item.blocks * kPccBlockLanes, together = 32 / lanes;
  const pcc_u32 which = (threadIdx.x & 31) / lanes, lane = (threadIdx.x & 31) % lanes;
  const pcc_u32 first_slot = f.item.first_slot + lane * kPccLaneSlots, end = f.item.first_slot + f.item.slots;
  const pcc_u32 own = kShared ? lane : lane / kPccBlockLanes * kPccBlockLanes * f.group.lines + lane % kPccBlockLanes;
  const PccLines<kShared> own_lines = {reinterpret_cast<const unsigned char*>(lines + own),
                                       (kShared ? lanes : kPccBlockLanes) * (pcc_u32)sizeof(uint4), f.group.lines};

  const PccRange range = pcc_range(f.item, f.probes, f.first_probe_slot);
  const pcc_u32 step = blockDim.x / 32 * together;
  pcc_u32 warp_first = range.from + threadIdx.x / 32 * together, p = warp_first + which;
  PccNext next = pcc_next(f, p, which < together && p < range.to);
  for (; warp_first < range.to; warp_first += step, p += step) {
    const PccNext now = next;
    next = pcc_next(f, p + step, which < together && p + step < range.to);
    PccPlane left = pcc_plane(0);
    if (now.unit.x != kPccSkip) {
      const bool key_differs = pcc_key_differs(f.item, now.key);
      left = pcc_run<kMisses>(f.group, own_lines, now.unit, f.programs + p, f.probes, key_differs);
      const pcc_u32 own_slot = f.first_probe_slot == kPccNoSlot ? kPccNoSlot : f.first_probe_slot + p;
      if (!pcc_none(left)) pcc_keep_before(left, first_slot, own_slot < end ? own_slot : end);
    }
    if (__any_sync(kPccAllLanes, !pcc_none(left))) pcc_append(f, left, p, first_slot);
  }
}

// Grid: (items, slices of the probes); threads: a multiple of 32. Shared memory: the lines of the item, each over all
// blocks, so that a warp reads 512 bytes in a row without bank conflicts, and a line of ones: (lines + 1) x blocks
// x 64.
extern "C" __global__ void __launch_bounds__(640)
    dna_filter_shared(const uint4* lines, const PccItem* items, const PccGroup* groups, const pcc_u8* codes,
                      pcc_u32 stride, const uint4* programs, pcc_u32 probes, pcc_u32 first_probe_slot, pcc_u32 misses,
                      PccTask* task, pcc_u64* survivors, pcc_u64 capacity) {
  extern __shared__ uint4 shared_lines[];
  const PccItem item = items[blockIdx.x];
  const PccRange range = pcc_range(item, probes, first_probe_slot);
  if (range.from >= range.to) return;
  const PccGroup group = groups[item.group];
  const pcc_u32 block_words = group.lines * kPccBlockLanes, lanes = item.blocks * kPccBlockLanes;
  for (pcc_u32 b = 0; b < item.blocks; ++b) {
    const uint4* block = lines + item.first_line * kPccBlockLanes + b * block_words;
#pragma unroll 4
    for (pcc_u32 i = threadIdx.x; i < block_words; i += blockDim.x)
      shared_lines[i / kPccBlockLanes * lanes + b * kPccBlockLanes + i % kPccBlockLanes] = block[i];
  }
  for (pcc_u32 i = threadIdx.x; i < lanes; i += blockDim.x)
    shared_lines[group.lines * lanes + i] = make_uint4(0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF);
  __syncthreads();
  const PccFilter f = {
      group, item,      codes,   programs + (pcc_u64)group.first_unit * probes, stride, probes, first_probe_slot,
      task,  survivors, capacity};
  if (misses == 1)
    pcc_filter<1, true>(f, shared_lines);
  else
    pcc_filter<3, true>(f, shared_lines);
}

// The same without shared memory.
extern "C" __global__ void __launch_bounds__(256)
    dna_filter_direct(const uint4* lines, const PccItem* items, const PccGroup* groups, const pcc_u8* codes,
                      pcc_u32 stride, const uint4* programs, pcc_u32 probes, pcc_u32 first_probe_slot, pcc_u32 misses,
                      PccTask* task, pcc_u64* survivors, pcc_u64 capacity) {
  const PccItem item = items[blockIdx.x];
  const PccGroup group = groups[item.group];
  const PccFilter f = {
      group, item,      codes,   programs + (pcc_u64)group.first_unit * probes, stride, probes, first_probe_slot,
      task,  survivors, capacity};
  if (misses == 1)
    pcc_filter<1, false>(f, lines + item.first_line * kPccBlockLanes);
  else
    pcc_filter<3, false>(f, lines + item.first_line * kPccBlockLanes);
}

// ---- dna_verify, dna_exhaustive ----

// One pair by the rule; a match is appended. `reference` is codes; so is `probe`, but of a mixture its allele sets.
__device__ __forceinline__ void pcc_judge(const pcc_u8* probe, pcc_u32 probe_number, const pcc_u8* reference,
                                          pcc_u32 slot, pcc_u32 positions, PccTask* task, pcc_u64 capacity) {
  const pcc_u32* limits = task->limits;
  PccTally tally;
  pcc_u32 quality;
  if (task->kind == kPccTreaty) {
    const PccTreatyRule rule = {(pcc_u16)limits[0], (pcc_u16)limits[1], (pcc_u16)limits[2], (pcc_u16)limits[3],
                                (pcc_u16)limits[4], (pcc_u16)limits[5], (pcc_u16)limits[6]};
    tally = pcc_compare(probe, reference, positions, rule.count_wildcards);
    quality = pcc_quality(tally, rule);
  } else if (task->kind == kPccStringency) {
    const PccStringencyRule rule = {(pcc_u16)limits[0], (pcc_u16)limits[1], (pcc_u16)limits[2]};
    tally = pcc_stringency(probe, reference, positions, rule.level);
    quality = pcc_stringency_quality(tally, rule);
  } else {
    const PccMixtureRule rule = {(pcc_u16)limits[0], (pcc_u16)limits[1]};
    tally = pcc_mixture((const pcc_u64*)probe, reference, positions);
    quality = pcc_mixture_quality(tally, rule);
  }
  if (!quality) return;
  const pcc_u64 at = atomicAdd(&task->hits, (pcc_u64)1);
  if (at < capacity)
    reinterpret_cast<PccHit*>(task + 1)[at] = {
        probe_number, slot, tally.full, tally.wildcards, tally.microvariants, tally.mismatches, (pcc_u16)quality, 0};
}

// Grid: any. A hit's `probe` counts from the tile's first, its `row` is the slot.
extern "C" __global__ void dna_verify(const pcc_u64* survivors, pcc_u64 survivor_capacity, const pcc_u8* probes,
                                      const pcc_u8* codes, pcc_u32 stride, pcc_u32 positions, PccTask* task,
                                      pcc_u64 capacity) {
  const pcc_u64 count = task->survivors < survivor_capacity ? task->survivors : survivor_capacity;
  for (pcc_u64 i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += (pcc_u64)gridDim.x * blockDim.x) {
    const pcc_u32 probe = (pcc_u32)(survivors[i] >> 32), slot = (pcc_u32)survivors[i];
    pcc_judge(probes + (pcc_u64)probe * stride, probe, codes + (pcc_u64)slot * stride, slot, positions, task, capacity);
  }
}

// Grid: (slots / threads, slices of the probes).
extern "C" __global__ void dna_exhaustive(const pcc_u8* probes, pcc_u32 probe_count, pcc_u32 probe_stride,
                                          pcc_u32 first_probe_slot, const pcc_u8* codes, pcc_u32 slots, pcc_u32 stride,
                                          pcc_u32 positions, PccTask* task, pcc_u64 capacity) {
  const pcc_u32 slot = blockIdx.x * blockDim.x + threadIdx.x;
  if (slot >= slots) return;
  for (pcc_u32 p = blockIdx.y; p < probe_count; p += gridDim.y) {
    if (first_probe_slot != kPccNoSlot && first_probe_slot + p <= slot) continue;
    pcc_judge(probes + (pcc_u64)p * probe_stride, p, codes + (pcc_u64)slot * stride, slot, positions, task, capacity);
  }
}
