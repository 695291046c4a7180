// Fingerprint scores on a GPU: each warp compares a probe with one reference after another, as compare_finger.h says.
//
// What bounds it, for two sets of 45 minutiae: the cylinders' common bits, 45 x 45 x 10 population counts in 45 x 2
// rounds of a warp, 16 counts a cycle and multiprocessor; and the compatibilities of 48 candidates, some 40
// instructions for each of 1,128 pairs. A reference's 4 KB come from device memory once and from L1 afterwards. The
// lanes of a warp take the second set's minutiae, then the candidates, then minutiae again; one lane does what is
// short. Loops that are not to be unrolled would make it spill registers.
#include "compare_finger.h"

enum : pcc_u32 { kPccFingerWarps = 4, kPccFingerThreads = 32 * kPccFingerWarps, kPccEveryLane = 0xFFFFFFFF };
enum : pcc_u32 { kPccColumns = kPccMinutiae / 32 };  // minutiae of the second set that a lane has

// What a warp keeps of one comparison.
struct PccFingerWork {
  PccBest rows[kPccMinutiae], columns[kPccMinutiae];
  union {
    struct {
      pcc_u16 cosine[4 * kPccMinutiae];
      pcc_u8 a[4 * kPccMinutiae], b[4 * kPccMinutiae];
    } found;
    pcc_u8 agree[kPccLatentCandidates][kPccLatentCandidates];
    struct {
      PccPoint in_b[kPccMinutiae], bent[kPccMinutiae];
      pcc_u32 nearest_b[kPccMinutiae];
      pcc_u16 nearest_a[kPccMinutiae];
      pcc_u8 a[kPccMinutiae], b[kPccMinutiae];
    } paired;
  };
  PccCandidates c;
  PccAccepted accepted;
  PccPose pose;
  pcc_s16 ax[kPccLatentCandidates], ay[kPccLatentCandidates], bx[kPccLatentCandidates], by[kPccLatentCandidates];
  pcc_s32 weight[kPccLatentCandidates];
  pcc_u8 chosen[kPccLatentCandidates];
};

__device__ __forceinline__ pcc_u32 pcc_lane() { return threadIdx.x & 31; }

__device__ __forceinline__ pcc_u32 pcc_sum(pcc_u32 v) {
  for (int lanes = 16; lanes; lanes >>= 1) v += __shfl_xor_sync(kPccEveryLane, v, lanes);
  return v;
}
__device__ __forceinline__ pcc_u32 pcc_most(pcc_u32 v) {
  for (int lanes = 16; lanes; lanes >>= 1) {
    const pcc_u32 other = __shfl_xor_sync(kPccEveryLane, v, lanes);
    v = v > other ? v : other;
  }
  return v;
}
__device__ __forceinline__ pcc_u32 pcc_votes(bool vote) { return __ballot_sync(kPccEveryLane, vote); }
// How many lanes before this one voted.
__device__ __forceinline__ pcc_u32 pcc_before(pcc_u32 votes) {
  return static_cast<pcc_u32>(__popc(votes & ((1u << pcc_lane()) - 1)));
}

// The two best of each row and column.
__device__ __forceinline__ void pcc_resemble(const PccFingerSet& a, const PccFingerSet& b, bool limited,
                                             PccFingerWork& work) {
  pcc_u32 words[kPccColumns][kPccWords];
  pcc_u16 inverse[kPccColumns];
  pcc_u8 direction[kPccColumns];
  PccBest columns[kPccColumns];
#pragma unroll
  for (pcc_u32 k = 0; k < kPccColumns; ++k) {
    const pcc_u32 j = 32 * k + pcc_lane();
    const bool is = j < b.count;
#pragma unroll
    for (pcc_u32 w = 0; w < kPccWords; ++w) words[k][w] = is ? __ldg(b.words + w * b.stride + j) : 0;
    inverse[k] = is ? __ldg(b.inverse + j) : pcc_u16{0};
    direction[k] = is ? __ldg(b.direction + j) : pcc_u8{0};
    columns[k] = PccBest();
  }
  for (pcc_u32 i = 0; i < a.count; ++i) {
    const pcc_u16 norm = __ldg(a.inverse + i);
    const pcc_u8 turned = __ldg(a.direction + i);
    PccBest best = PccBest();
#pragma unroll
    for (pcc_u32 k = 0; k < kPccColumns; ++k) {
      if (32 * k >= b.count) break;
      pcc_u32 common = 0;
#pragma unroll
      for (pcc_u32 w = 0; w < kPccWords; ++w) common += pcc_bits(__ldg(a.words + w * a.stride + i) & words[k][w]);
      const bool far = limited && pcc_turn_between(turned, direction[k]) > kPccRotationMax;
      const pcc_u32 cosine = far ? 0 : pcc_cosine(common, norm, inverse[k]);
      pcc_offer(columns[k], static_cast<pcc_u16>(cosine << 7 | i));
      const pcc_u32 j = 32 * k + pcc_lane();
      if (j < b.count) pcc_offer(best, static_cast<pcc_u16>(cosine << 7 | j));
    }
    for (int lanes = 16; lanes; lanes >>= 1) {
      const pcc_u32 other = __shfl_xor_sync(kPccEveryLane, static_cast<pcc_u32>(best.first) << 16 | best.second, lanes);
      pcc_offer(best, static_cast<pcc_u16>(other >> 16));
      pcc_offer(best, static_cast<pcc_u16>(other));
    }
    if (pcc_lane() == 0) work.rows[i] = best;
  }
#pragma unroll
  for (pcc_u32 k = 0; k < kPccColumns; ++k)
    if (32 * k + pcc_lane() < b.count) work.columns[32 * k + pcc_lane()] = columns[k];
  __syncwarp();
}

// pcc_cut.
__device__ __forceinline__ PccCut pcc_cut_warp(const pcc_u16* cosine, pcc_u32 count, pcc_u32 most) {
  if (count <= most) return {0, count};
  const auto reached = [&](pcc_u32 least) {  // how many have that cosine or more
    pcc_u32 n = 0;
    for (pcc_u32 k = pcc_lane(); k < count; k += 32) n += cosine[k] >= least;
    return pcc_sum(n);
  };
  pcc_u32 least = 0;
#pragma unroll 1
  for (pcc_u32 bit = 256; bit; bit >>= 1)
    if (reached(least | bit) > most) least |= bit;
  return {least, most - reached(least + 1)};
}

// pcc_take of the lanes' cosines, where there `is` one.
__device__ __forceinline__ bool pcc_take_warp(PccCut& cut, pcc_u32 cosine, bool is) {
  const pcc_u32 ties = pcc_votes(is && cosine == cut.least), count = static_cast<pcc_u32>(__popc(ties));
  const bool take = is && (cosine > cut.least || (cosine == cut.least && pcc_before(ties) < cut.room));
  cut.room -= count < cut.room ? count : cut.room;
  return take;
}

// pcc_gather by a warp, with the places of the candidates beside them.
__device__ __forceinline__ void pcc_gather_warp(const PccFingerSet& a, const PccFingerSet& b, pcc_u32 most,
                                                PccFingerWork& work) {
  pcc_u32 found = 0;
  for (pcc_u32 step = 0; step < 4; ++step) {
    const pcc_u32 end = step < 2 ? a.count : b.count;
    for (pcc_u32 start = 0; start < end; start += 32) {
      const pcc_u32 k = start + pcc_lane();
      bool is = k < end;
      pcc_u32 key = 0, row = 0, column = 0;
      if (is) {
        const PccBest best = step < 2 ? work.rows[k] : work.columns[k];
        key = step & 1 ? best.second : best.first;
        row = step < 2 ? k : key & 127, column = step < 2 ? key & 127 : k;
        is = static_cast<pcc_s32>(key >> 7) >= kPccCosineMin;
        if (is && step >= 2) is = (work.rows[row].first & 127u) != column && (work.rows[row].second & 127u) != column;
      }
      const pcc_u32 votes = pcc_votes(is);
      if (is) {
        const pcc_u32 at = found + pcc_before(votes);
        work.found.cosine[at] = static_cast<pcc_u16>(key >> 7);
        work.found.a[at] = static_cast<pcc_u8>(row), work.found.b[at] = static_cast<pcc_u8>(column);
      }
      found += static_cast<pcc_u32>(__popc(votes));
    }
  }
  __syncwarp();
  PccCut cut = pcc_cut_warp(work.found.cosine, found, most);
  pcc_u32 count = 0;
  for (pcc_u32 start = 0; start < found; start += 32) {
    const pcc_u32 k = start + pcc_lane();
    const pcc_u32 cosine = k < found ? work.found.cosine[k] : 0;
    const bool take = pcc_take_warp(cut, cosine, k < found);
    const pcc_u32 votes = pcc_votes(take);
    if (take) {
      const pcc_u32 at = count + pcc_before(votes), i = work.found.a[k], j = work.found.b[k];
      work.c.a[at] = static_cast<pcc_u8>(i), work.c.b[at] = static_cast<pcc_u8>(j);
      work.c.cosine[at] = static_cast<pcc_u16>(cosine);
      work.c.turn[at] = static_cast<pcc_u8>(b.direction[j] - a.direction[i]);
      work.c.own[at] = static_cast<pcc_u8>(pcc_similarity(cosine));
      work.ax[at] = a.x[i], work.ay[at] = a.y[i], work.bx[at] = b.x[j], work.by[at] = b.y[j];
    }
    count += static_cast<pcc_u32>(__popc(votes));
  }
  if (pcc_lane() == 0) work.c.count = count;
  __syncwarp();
}

// pcc_agreement.
__device__ __forceinline__ pcc_u8 pcc_agreement_of(const PccFingerWork& work, pcc_u32 p, pcc_u32 q) {
  if (work.c.a[p] == work.c.a[q] || work.c.b[p] == work.c.b[q]) return 0;
  return pcc_compatibility(pcc_step(work.ax[q] - work.ax[p], work.ay[q] - work.ay[p]),
                           pcc_step(work.bx[q] - work.bx[p], work.by[q] - work.by[p]), work.c.turn[p], work.c.turn[q]);
}

// pcc_first_look.
__device__ __forceinline__ bool pcc_first_look_warp(PccFingerWork& work, pcc_u32 mode) {
  PccCut cut = pcc_cut_warp(work.c.cosine, work.c.count, kPccLook);
  pcc_u32 count = 0;
  for (pcc_u32 start = 0; start < work.c.count; start += 32) {
    const pcc_u32 k = start + pcc_lane();
    const bool take = pcc_take_warp(cut, k < work.c.count ? work.c.cosine[k] : 0, k < work.c.count);
    const pcc_u32 votes = pcc_votes(take);
    if (take) work.chosen[count + pcc_before(votes)] = static_cast<pcc_u8>(k);
    count += static_cast<pcc_u32>(__popc(votes));
  }
  __syncwarp();
#pragma unroll 1
  for (pcc_u32 k = pcc_lane(); k < kPccLook * kPccLook / 2; k += 32) {  // each with those up to half a circle ahead
    const pcc_u32 p = k % kPccLook, ahead = k / kPccLook + 1, q = (p + ahead) % kPccLook;
    if (p >= count || q >= count || (2 * ahead == kPccLook && q < p)) continue;
    work.agree[p][q] = work.agree[q][p] = pcc_agreement_of(work, work.chosen[p], work.chosen[q]);
  }
  __syncwarp();
  const pcc_u32 p = pcc_lane();
  pcc_u32 support = 0;
  if (p < count) {
    const pcc_u32 own = work.c.own[work.chosen[p]];
    support = kPccOwn * own;
#pragma unroll 1
    for (pcc_u32 q = 0; q < count; ++q)
      if (q != p) support += work.agree[q][p] * (work.c.own[work.chosen[q]] / 2u);
    support *= own;
  }
  const pcc_u32 most = pcc_most(support);
  __syncwarp();
  return most >= static_cast<pcc_u32>(mode == kPccEarlyExit ? kPccLookLeast : kPccLookLeastLatent);
}

__device__ __forceinline__ void pcc_agree_warp(PccFingerWork& work) {
  const pcc_u32 n = work.c.count;
  for (pcc_u32 p = 0; p < n; ++p)
#pragma unroll 1
    for (pcc_u32 q = pcc_lane(); q <= p; q += 32) work.agree[p][q] = work.agree[q][p] = pcc_agreement_of(work, p, q);
  __syncwarp();
}

enum : pcc_u32 { kPccPlaces = kPccLatentCandidates / 32 };  // candidates that a lane has

// Relaxation: leaves the weights in `work` and this lane's raw supports in `raw`; returns the greatest.
__device__ __forceinline__ pcc_u32 pcc_relax_warp(PccFingerWork& work, pcc_s32 (&raw)[kPccPlaces]) {
  const pcc_u32 n = work.c.count;
  for (pcc_u32 p = pcc_lane(); p < n; p += 32) work.weight[p] = work.c.own[p] >> 1;
  __syncwarp();
  pcc_u32 most = 0;
  for (pcc_s32 round = 0; round < kPccRounds; ++round) {
    pcc_u32 mine = 0;
#pragma unroll
    for (pcc_u32 k = 0; k < kPccPlaces; ++k) {
      const pcc_u32 p = 32 * k + pcc_lane();
      raw[k] = 0;
      if (p >= n) continue;
      pcc_s32 support = kPccOwn * work.c.own[p];
      for (pcc_u32 q = 0; q < n; ++q) support += work.agree[q][p] * work.weight[q];  // symmetric; no bank conflicts
      raw[k] = support * work.c.own[p];
      mine = mine > static_cast<pcc_u32>(raw[k]) ? mine : static_cast<pcc_u32>(raw[k]);
    }
    most = pcc_most(mine);  // its shuffles are a barrier, too: all have read the weights
    const pcc_u32 shift = pcc_shift_to(most, 15);
    most >>= shift;
    __syncwarp();
    if (!most) return 0;
    const pcc_s32 factor = (127 << 16) / static_cast<pcc_s32>(most);
#pragma unroll
    for (pcc_u32 k = 0; k < kPccPlaces; ++k) {
      const pcc_u32 p = 32 * k + pcc_lane();
      raw[k] >>= shift;
      if (p < n) work.weight[p] = raw[k] * factor >> 16;
    }
    __syncwarp();
  }
  return most;
}

// The best first, one to one, each with the support of half of those before it.
__device__ __forceinline__ void pcc_accept_warp(PccFingerWork& work, const pcc_s32 (&raw)[kPccPlaces], pcc_u32 most) {
  const pcc_u32 n = work.c.count;
  pcc_u32 order[kPccPlaces];  // raw << 6 | 63 - p, and 1 more; 0: not eligible, or done
#pragma unroll
  for (pcc_u32 k = 0; k < kPccPlaces; ++k) {
    const pcc_u32 p = 32 * k + pcc_lane();
    const bool eligible = p < n && raw[k] * kPccEligible > static_cast<pcc_s32>(most);
    order[k] = eligible ? (static_cast<pcc_u32>(raw[k]) << 6 | (63 - p)) + 1 : 0;
  }
  pcc_u32 count = 0, sum = 0;
  for (;;) {
    pcc_u32 mine = 0;
#pragma unroll
    for (pcc_u32 k = 0; k < kPccPlaces; ++k) mine = mine > order[k] ? mine : order[k];
    const pcc_u32 best = pcc_most(mine);
    if (!best) break;
    const pcc_u32 p = 63 - ((best - 1) & 63);
#pragma unroll
    for (pcc_u32 k = 0; k < kPccPlaces; ++k) order[k] = order[k] == best ? 0 : order[k];
    bool taken = false;
    pcc_u32 support = 0, agreement = 0;
    for (pcc_u32 k = pcc_lane(); k < count; k += 32) {
      taken |= work.accepted.a[k] == work.c.a[p] || work.accepted.b[k] == work.c.b[p];
      const pcc_u32 agree = work.agree[p][work.chosen[k]];
      support += static_cast<pcc_s32>(agree) > kPccSupport;
      agreement += agree;
    }
    if (pcc_votes(taken) || 2 * pcc_sum(support) < count) continue;
    sum += agreement;
    if (pcc_lane() == 0) {
      work.chosen[count] = static_cast<pcc_u8>(p);
      work.accepted.a[count] = work.c.a[p], work.accepted.b[count] = work.c.b[p];
      work.accepted.weight[count] = static_cast<pcc_u8>(work.weight[p]);
    }
    ++count;
    __syncwarp();
  }
  sum = pcc_sum(sum);
  if (pcc_lane() == 0) work.accepted.count = count, work.accepted.agreement = 2 * sum;
  __syncwarp();
}

// pcc_pair, which minutiae into `work`.
__device__ __forceinline__ void pcc_pair_warp(const PccFingerSet& a, const PccFingerSet& b, const PccPoint* in_b,
                                              PccFingerWork& work, PccFingerResult& r) {
  const PccPose pose = work.pose;
  for (pcc_u32 i = pcc_lane(); i < a.count; i += 32) work.paired.nearest_b[i] = 0xFFFF;
  __syncwarp();
  for (pcc_u32 j = pcc_lane(); j < b.count; j += 32) {
    const PccPoint here = pcc_here(pose, b.x[j], b.y[j]);
    pcc_u32 nearest = 0xFFFF;
#pragma unroll 1
    for (pcc_u32 i = 0; i < a.count; ++i) {
      const pcc_u32 apart = static_cast<pcc_u32>(pcc_apart(in_b[i], here));
      const pcc_u8 direction = static_cast<pcc_u8>(a.direction[i] + pose.turn);
      if (apart >= static_cast<pcc_u32>(kPccPairReach)) continue;
      if (pcc_turn_between(direction, b.direction[j]) > kPccPairTurn) continue;
      atomicMin(&work.paired.nearest_b[i], apart << 7 | j);
      nearest = nearest < (apart << 7 | i) ? nearest : apart << 7 | i;
    }
    work.paired.nearest_a[j] = static_cast<pcc_u16>(nearest);
  }
  __syncwarp();
  pcc_u32 paired = 0, closeness = 0;
  for (pcc_u32 start = 0; start < a.count; start += 32) {
    const pcc_u32 i = start + pcc_lane(), nearest = i < a.count ? work.paired.nearest_b[i] : 0xFFFF;
    const bool is = nearest != 0xFFFF && (work.paired.nearest_a[nearest & 127] & 127u) == i;
    const pcc_u32 votes = pcc_votes(is);
    if (is) {
      const pcc_u32 at = paired + pcc_before(votes);
      work.paired.a[at] = static_cast<pcc_u8>(i), work.paired.b[at] = static_cast<pcc_u8>(nearest & 127);
      closeness += static_cast<pcc_u32>(kPccPairWorth) - (nearest >> 7);
    }
    paired += static_cast<pcc_u32>(__popc(votes));
  }
  r.paired = paired, r.closeness = pcc_sum(closeness);
  __syncwarp();
}

// pcc_pair_again.
__device__ __forceinline__ void pcc_pair_again_warp(const PccFingerSet& a, const PccFingerSet& b, PccFingerWork& work,
                                                    PccFingerResult& r) {
  const PccPose pose = work.pose;
  __syncwarp();  // all have left `agree`, whose place `paired` takes
  for (pcc_u32 i = pcc_lane(); i < a.count; i += 32) {
    const PccPoint there = pcc_forth(pose, a.x[i], a.y[i]);
    work.paired.in_b[i] = there;
    r.overlap_a += pcc_inside(b, there.x + pose.bx, there.y + pose.by);
  }
  for (pcc_u32 j = pcc_lane(); j < b.count; j += 32) {
    const PccPoint in_a = pcc_back(pose, b.x[j], b.y[j]);
    r.overlap_b += pcc_inside(a, in_a.x + pose.ax, in_a.y + pose.ay);
  }
  r.overlap_a = pcc_sum(r.overlap_a), r.overlap_b = pcc_sum(r.overlap_b);
  __syncwarp();
  pcc_pair_warp(a, b, work.paired.in_b, work, r);
  for (pcc_u32 i = pcc_lane(); i < a.count; i += 32) {
    const PccPoint from = work.paired.in_b[i];
    pcc_s32 sum = kPccUnbent, x = 0, y = 0;
#pragma unroll 1
    for (pcc_u32 k = 0; k < r.paired; ++k) {
      const pcc_u32 j = work.paired.b[k];
      const PccPoint there = work.paired.in_b[work.paired.a[k]], here = pcc_here(pose, b.x[j], b.y[j]);
      const pcc_s32 weight = pcc_bend_weight(there, from);
      sum += weight, x += weight * (here.x - there.x), y += weight * (here.y - there.y);
    }
    work.paired.bent[i] = pcc_point(from.x + x / sum, from.y + y / sum);
  }
  __syncwarp();
  pcc_pair_warp(a, b, work.paired.bent, work, r);
}

// The score of pcc_compare_fingers; all lanes return it.
__device__ __forceinline__ pcc_s32 pcc_compare_warp(const PccFingerSet& one, const PccFingerSet& other, pcc_u32 mode,
                                                    PccFingerWork& work) {
  const bool swapped = !pcc_comes_first(one, other);
  const PccFingerSet a = swapped ? other : one, b = swapped ? one : other;
  const pcc_u32 latent = pcc_latent(mode, swapped);
  if (a.count < kPccLeast) return 0;
  pcc_resemble(a, b, !latent, work);
  pcc_gather_warp(a, b, latent ? kPccLatentCandidates : kPccCandidates, work);
  PccFingerResult r = PccFingerResult();
  if (pcc_lane() == 0) r.resemblance = static_cast<pcc_u32>(pcc_resemblance(work.c));
  r.resemblance = __shfl_sync(kPccEveryLane, r.resemblance, 0);
  if (!(mode & kPccEarlyExit) || pcc_first_look_warp(work, mode)) {
    pcc_agree_warp(work);
    pcc_s32 raw[kPccPlaces];
    const pcc_u32 most = pcc_relax_warp(work, raw);
    pcc_accept_warp(work, raw, most);
    r.accepted = work.accepted.count, r.agreement = work.accepted.agreement;
  }
  if (r.accepted >= 2) {
    if (pcc_lane() == 0) work.pose = pcc_fit(a, b, work.accepted);
    __syncwarp();
    pcc_pair_again_warp(a, b, work, r);
  }
  return pcc_final_score(r, latent);
}

// What pcc_compare_fingers tells with kPccLikeness; all lanes return it.
__device__ __forceinline__ pcc_s32 pcc_likeness_warp(const PccFingerSet& one, const PccFingerSet& other, pcc_u32 mode,
                                                     PccFingerWork& work) {
  const bool swapped = !pcc_comes_first(one, other);
  const PccFingerSet a = swapped ? other : one, b = swapped ? one : other;
  if (a.count < kPccLeast) return 0;
  pcc_resemble(a, b, !pcc_latent(mode, swapped), work);
  const pcc_s32 likeness = pcc_lane() == 0 ? pcc_likeness(work.rows, a.count) : 0;
  __syncwarp();
  return __shfl_sync(kPccEveryLane, likeness, 0);
}

// The columns of finger_sets.h, those of the minutiae in one buffer: set k has the places start[k] ... start[k + 1]
// - 1. `sets`: the first set of each template, and the end, which are equal for one that is not wanted; `corner`: left
// and top of each set.
struct PccFingers {
  const pcc_u32 *sets, *start;
  const pcc_u8* count;
  const pcc_s16* corner;
  const pcc_u8* cell;
  const pcc_u64* order;
  const pcc_u32 *area, *words;
  const pcc_u16* inverse;
  const pcc_s16 *x, *y;
  const pcc_u8* direction;

  __device__ __forceinline__ PccFingerSet set(pcc_u32 k) const {
    const pcc_u64 at = start[k];
    PccFingerSet set;
    set.words = words + at * kPccWords, set.inverse = inverse + at;
    set.x = x + at, set.y = y + at, set.direction = direction + at;
    set.area = area + static_cast<pcc_u64>(k) * kPccCells;
    set.count = count[k], set.stride = start[k + 1] - start[k];
    set.left = corner[2 * k], set.top = corner[2 * k + 1], set.cell = cell[k];
    set.order = order[k];
    return set;
  }
};

// Grid: (any number, probes). scores[probe][reference]: the sum over all pairs of their sets.
template <pcc_s32 (*compare)(const PccFingerSet&, const PccFingerSet&, pcc_u32, PccFingerWork&)>
__device__ __forceinline__ void pcc_sum_over_sets(const PccFingers& a, const PccFingers& b, pcc_u32 references,
                                                  pcc_u32 mode, pcc_s32* scores, PccFingerWork* works) {
  const pcc_u32 warp = threadIdx.x / 32, probe = blockIdx.y;
  for (pcc_u32 r = blockIdx.x * kPccFingerWarps + warp; r < references; r += gridDim.x * kPccFingerWarps) {
    pcc_s32 sum = 0;
    for (pcc_u32 i = a.sets[2 * probe]; i < a.sets[2 * probe + 1]; ++i)
      for (pcc_u32 j = b.sets[2 * r]; j < b.sets[2 * r + 1]; ++j) sum += compare(a.set(i), b.set(j), mode, works[warp]);
    if (pcc_lane() == 0) scores[static_cast<pcc_u64>(probe) * references + r] = sum;
  }
}

// clang-format off
#define PCC_FINGERS(f) const pcc_u32 *f##_sets, const pcc_u32 *f##_start, const pcc_u8 *f##_count,                   \
    const pcc_s16 *f##_corner, const pcc_u8 *f##_cell, const pcc_u64 *f##_order, const pcc_u32 *f##_area,            \
    const pcc_u32 *f##_words, const pcc_u16 *f##_inverse, const pcc_s16 *f##_x, const pcc_s16 *f##_y,                \
    const pcc_u8 *f##_direction
#define PCC_FINGERS_OF(f) PccFingers{f##_sets, f##_start, f##_count, f##_corner, f##_cell, f##_order, f##_area,      \
    f##_words, f##_inverse, f##_x, f##_y, f##_direction}
// clang-format on
extern "C" __global__ void __launch_bounds__(kPccFingerThreads)
    finger_scores(PCC_FINGERS(a), PCC_FINGERS(b), pcc_u32 references, pcc_u32 mode, pcc_s32* scores) {
  __shared__ PccFingerWork work[kPccFingerWarps];
  pcc_sum_over_sets<pcc_compare_warp>(PCC_FINGERS_OF(a), PCC_FINGERS_OF(b), references, mode, scores, work);
}

// Likenesses have a kernel of their own, for they need far fewer registers.
extern "C" __global__ void __launch_bounds__(kPccFingerThreads)
    finger_likeness(PCC_FINGERS(a), PCC_FINGERS(b), pcc_u32 references, pcc_u32 mode, pcc_s32* scores) {
  __shared__ PccFingerWork work[kPccFingerWarps];
  pcc_sum_over_sets<pcc_likeness_warp>(PCC_FINGERS_OF(a), PCC_FINGERS_OF(b), references, mode, scores, work);
}

// ---- A search: the best subjects ----

enum : pcc_u32 {
  kPccTallyThreads = 256,
  kPccRange = 1 << 14,  // subjects of one block of finger_top
  kPccNobody = 0xFFFFFFFF,
};

// Grid: any number. best[s] becomes at least each score that a probe has with a reference of subject s; `scores` as
// finger_scores leaves them, `subject` of each reference, kPccNobody for one that was removed.
extern "C" __global__ void __launch_bounds__(kPccTallyThreads)
    finger_best(const pcc_s32* scores, pcc_u32 probes, pcc_u32 references, const pcc_u32* subject, pcc_u32* best) {
  for (pcc_u32 r = blockIdx.x * blockDim.x + threadIdx.x; r < references; r += gridDim.x * blockDim.x) {
    const pcc_u32 s = subject[r];
    if (s == kPccNobody) continue;
    pcc_s32 most = 0;
    for (pcc_u32 p = 0; p < probes; ++p) most = pcc_max(most, scores[static_cast<pcc_u64>(p) * references + r]);
    if (most) atomicMax(best + s, static_cast<pcc_u32>(most));
  }
}

// Grid: any number. After a group; before the first, with no groups so far, it clears both.
extern "C" __global__ void __launch_bounds__(kPccTallyThreads)
    finger_sum(pcc_u32 groups, pcc_u32 subjects, pcc_u32* best, pcc_u32* total) {
  for (pcc_u32 s = blockIdx.x * blockDim.x + threadIdx.x; s < subjects; s += gridDim.x * blockDim.x) {
    total[s] = groups ? total[s] + best[s] : 0;
    best[s] = 0;
  }
}

// The greatest key below `end` of a thread's subjects: keys of pcc_match/candidates.py, sum << 32 | ~subject.
__device__ __forceinline__ pcc_u64 pcc_next_key(const pcc_u32* total, pcc_u32 first, pcc_u32 count, pcc_u32 least,
                                                pcc_u64 end) {
  pcc_u64 next = 0;
  for (pcc_u32 k = threadIdx.x; k < count; k += kPccTallyThreads) {
    const pcc_u32 sum = total[first + k];
    const pcc_u64 key = static_cast<pcc_u64>(sum) << 32 | ~(first + k);
    if (sum >= least && key < end && key > next) next = key;
  }
  return next;
}

// Grid: a block for each kPccRange subjects. keys[block][most]: the greatest of sums of at least `least`, best first,
// then zeros. Only the thread whose key was taken looks for its next one.
extern "C" __global__ void __launch_bounds__(kPccTallyThreads)
    finger_top(const pcc_u32* total, pcc_u32 subjects, pcc_u32 least, pcc_u32 most, pcc_u64* keys) {
  __shared__ pcc_u64 of_warp[kPccTallyThreads / 32];
  const pcc_u32 first = blockIdx.x * kPccRange, count = subjects - first < kPccRange ? subjects - first : kPccRange;
  keys += static_cast<pcc_u64>(blockIdx.x) * most;
  pcc_u64 mine = pcc_next_key(total, first, count, least, ~pcc_u64{0});
  pcc_u32 k = 0;
  for (; k < most; ++k) {
    pcc_u64 best = mine;
    for (int lanes = 16; lanes; lanes >>= 1) {
      const pcc_u64 other = __shfl_xor_sync(kPccEveryLane, best, lanes);
      best = best > other ? best : other;
    }
    if (pcc_lane() == 0) of_warp[threadIdx.x / 32] = best;
    __syncthreads();
    for (pcc_u32 w = 0; w < kPccTallyThreads / 32; ++w) best = best > of_warp[w] ? best : of_warp[w];
    if (!best) break;
    if (best == mine) {
      keys[k] = best;
      mine = pcc_next_key(total, first, count, least, mine);
    }
    __syncthreads();  // all have read of_warp
  }
  for (k += threadIdx.x; k < most; k += kPccTallyThreads) keys[k] = 0;
}
