// The comparison of two sets of fingerprint minutiae: the definition that every back end equals, integer for integer.
// Its readable twin is pcc_match/finger/reference.py; tests hold the two equal.
//
// Cylinders (Minutia Cylinder-Code: Cappelli, Ferrara, Maltoni, PAMI 2010) say which minutiae resemble each other;
// a relaxation over pairs of such correspondences keeps those that agree in distance and direction; a rigid fit pairs
// the minutiae again, and what is left between the pairs says how the skin was bent, and pairs them for good; the score
// is the agreement, in proportion to what the prints have in common.
//
// All numbers are integers. Where a float occurs, its operands and the floor of its result are exact whole numbers.
// Distances are pixels at 500 ppi; angles 256 a turn, clockwise, since y points down.
#pragma once
#include "numbers.h"

enum : pcc_u32 {
  kPccMinutiae = 128,   // at most, in a set: indices have 7 bits
  kPccWords = 10,       // of 32 bits, in a cylinder: 52 cells x 6 directions
  kPccCells = 32,       // rows and columns of the bitmap of the print's area
  kPccCandidates = 48,  // correspondences kept
  kPccLatentCandidates = 64,
  kPccLook = 16,  // correspondences at the first look
  kPccAlike = 4,  // minutiae that the likeness is of
  kPccLeast = 3,  // minutiae: sets with fewer score 0
};

constexpr pcc_s32 kPccCosineMin = 64;      // of 511: a candidate's least
constexpr pcc_s32 kPccRotationMax = 53;    // a candidate's largest, but for latents
constexpr pcc_s32 kPccFar = 255;           // scaled distance from which on two minutiae say nothing of each other
constexpr pcc_s32 kPccReach = 1023;        // pixels, along x or y, that distances are cut to
constexpr pcc_s32 kPccDistanceEnd = 12;    // scaled difference of distances that has the weight 0,
constexpr pcc_s32 kPccDistanceSlope = 14;  // and the weight of each step below
constexpr pcc_s32 kPccRotationEnd = 24;    // the same for the difference of rotations
constexpr pcc_s32 kPccRotationSlope = 7;
constexpr pcc_s32 kPccDirectionEnd = 21;  // and for the direction to the other minutia
constexpr pcc_s32 kPccDirectionSlope = 8;
constexpr pcc_s32 kPccRounds = 3;       // of relaxation
constexpr pcc_s32 kPccOwn = 32;         // weight of a candidate's own similarity among the others' support
constexpr pcc_s32 kPccEligible = 51;    // a candidate is eligible above 1/51 of the best
constexpr pcc_s32 kPccSupport = 6;      // compatibility that counts as support
constexpr pcc_s32 kPccPairReach = 350;  // half a square of half pixels: paired again below 13.2 px
constexpr pcc_s32 kPccPairTurn = 20;    // and up to this difference of direction
constexpr pcc_s32 kPccPairWorth = 512;  // of a pair, less what lies between its minutiae
constexpr pcc_s32 kPccBendReach = 96;   // pixels: pairs nearer than that say how the skin is bent around a minutia,
constexpr pcc_s32 kPccBendShift = 6;    // each with the weight 96^2 less the square of its distance, shifted by this,
constexpr pcc_s32 kPccUnbent = 72;      // and so much weight has that it is not bent
constexpr pcc_s32 kPccLookLeast = 3500000;  // an early exit is taken where no support at the first look reaches it,
constexpr pcc_s32 kPccLookLeastLatent = 2250000;  // or this with a latent

// One set of minutiae, as pcc_match/finger/columns.py packs it.
struct PccFingerSet {
  const pcc_u32* words;     // [kPccWords][stride] cylinders
  const pcc_u16* inverse;   // [stride] 2^14 / sqrt(bits of the cylinder), 0: unusable cylinder
  const pcc_s16 *x, *y;     // [stride]
  const pcc_u8* direction;  // [stride]
  const pcc_u32* area;      // [kPccCells] rows of the bitmap of the hull
  pcc_u32 count, stride;    // minutiae; room for them, a multiple of 8
  pcc_s32 left, top, cell;  // origin of the bitmap; a cell has 2^cell pixels a side
  pcc_u64 order;            // digest: the set with the smaller one comes first, so that scores are symmetric
};

// How to compare: which set is a latent, and whether to end where a first look shows no agreement; or whether not to
// compare but to tell the likeness. Both are optional, for they lose some mates.
enum : pcc_u32 { kPccNoLatent = 0, kPccFirstLatent = 1, kPccSecondLatent = 2, kPccEarlyExit = 4, kPccLikeness = 8 };

struct PccPose {           // of the first set on the second
  pcc_s32 ax, ay, bx, by;  // the centroids that fall together, in quarter pixels
  pcc_s32 cosine, sine;    // of 4096
  pcc_u8 turn;
};

// Every partial sum of a comparison.
struct PccFingerResult {
  pcc_s32 score;
  pcc_u32 swapped;               // 1: the second set came first, and `a` below is its side
  pcc_u32 candidates;            // correspondences by resemblance
  pcc_u32 accepted;              // of them, those that agree
  pcc_u32 agreement;             // sum of the compatibilities of accepted ones
  pcc_u32 paired;                // minutiae paired after the fit, bent
  pcc_u32 closeness;             // sum over them: 512 less half the square of their distance in half pixels
  pcc_u32 overlap_a, overlap_b;  // minutiae of each set in the other's area
  pcc_u32 resemblance;           // what the score is made of where none is accepted
  pcc_u32 left_early;            // 1: after the first look
  PccPose pose;
  pcc_u8 accepted_a[kPccLatentCandidates], accepted_b[kPccLatentCandidates];
  pcc_u8 paired_a[kPccMinutiae], paired_b[kPccMinutiae];
};

// ---- Arithmetic ----

PCC_HD pcc_s32 pcc_abs(pcc_s32 v) { return v < 0 ? -v : v; }
PCC_HD pcc_s32 pcc_min(pcc_s32 a, pcc_s32 b) { return a < b ? a : b; }
PCC_HD pcc_s32 pcc_max(pcc_s32 a, pcc_s32 b) { return a > b ? a : b; }
PCC_HD pcc_s32 pcc_clamp(pcc_s32 v, pcc_s32 low, pcc_s32 high) { return pcc_min(pcc_max(v, low), high); }
PCC_HD pcc_s32 pcc_turn_between(pcc_u8 a, pcc_u8 b) { return pcc_abs(static_cast<pcc_s8>(a - b)); }

PCC_HD float pcc_sqrtf(float v) {
#if defined(__CUDA_ARCH__)
  return __fsqrt_rn(v);
#else
  return __builtin_sqrtf(v);
#endif
}

// Floor of the square root.
PCC_HD pcc_u32 pcc_root(pcc_u32 v) {
  pcc_u32 r = static_cast<pcc_u32>(pcc_sqrtf(static_cast<float>(v)));
  while (static_cast<pcc_u64>(r) * r > v) --r;
  while (static_cast<pcc_u64>(r + 1) * (r + 1) <= v) ++r;
  return r;
}

// Direction of (x, y), 256 a turn clockwise; 0 for (0, 0). Within 0.3 of the truth, before rounding.
PCC_HD pcc_u8 pcc_direction(pcc_s32 x, pcc_s32 y) {
  const pcc_s32 ax = pcc_abs(x), ay = pcc_abs(y), high = pcc_max(ax, ay), low = pcc_min(ax, ay);
  const pcc_s32 t = high ? 255 * low / high : 0;              // tangent, of 255
  pcc_s32 turn = (t * (2760 - (t * 712 >> 8)) + 8192) >> 14;  // 128 / pi * atan(t / 255): at most 32
  if (ay > ax) turn = 64 - turn;
  if (x < 0) turn = 128 - turn;
  return static_cast<pcc_u8>(y < 0 ? -turn : turn);
}

// ---- Resemblance of two minutiae ----

PCC_HD pcc_u32 pcc_bits(pcc_u32 v) {
#if defined(__CUDA_ARCH__)
  return __popc(v);
#else  // as no machine is assumed to have an instruction for it
  v -= v >> 1 & 0x55555555;
  v = (v & 0x33333333) + (v >> 2 & 0x33333333);
  return ((v + (v >> 4)) & 0x0F0F0F0F) * 0x01010101 >> 24;
#endif
}

// Cosine of the angle between two cylinders with `common` bits in common, 0 to 511.
PCC_HD pcc_u32 pcc_cosine(pcc_u32 common, pcc_u16 inverse_a, pcc_u16 inverse_b) {
  const pcc_u32 c = (static_cast<pcc_u32>(inverse_a) * inverse_b >> 8) * common >> 11;
  return c < 511 ? c : 511;
}

// 1 less the sine of half that angle, 0 to 255.
PCC_HD pcc_u32 pcc_similarity(pcc_u32 cosine) { return 255 - pcc_root((511 - cosine) * 65025 / 1022); }

// ---- Compatibility of two correspondences ----

// Distance on a scale on which its tolerance is constant: slope 1, then 1/2 from 40 pixels, 1/4 from 120 pixels.
PCC_HD pcc_s32 pcc_scaled_distance(pcc_s32 dx, pcc_s32 dy) {
  dx = pcc_clamp(dx, -kPccReach, kPccReach), dy = pcc_clamp(dy, -kPccReach, kPccReach);
  const pcc_s32 d = static_cast<pcc_s32>(pcc_sqrtf(static_cast<float>(16 * (dx * dx + dy * dy))));  // quarter pixels
  return pcc_min(pcc_min((d + 2) >> 2, ((d + 4) >> 3) + 20), pcc_min(((d + 8) >> 4) + 50, kPccFar));
}

PCC_HD pcc_s32 pcc_ramp(pcc_s32 difference, pcc_s32 end, pcc_s32 slope) {
  return pcc_clamp((end - difference) * slope, 0, 127);
}

// The step from one minutia to another of its set.
struct PccStep {
  pcc_s32 distance;
  pcc_u8 direction;
};
PCC_HD PccStep pcc_step(pcc_s32 dx, pcc_s32 dy) {
  dx = pcc_clamp(dx, -kPccReach, kPccReach), dy = pcc_clamp(dy, -kPccReach, kPccReach);
  return {pcc_scaled_distance(dx, dy), pcc_direction(dx, dy)};
}

// 0 to 127: how well two correspondences agree that turn the first set by `turn` and `other_turn`, and between whose
// minutiae lie the steps `a` in the first set and `b` in the second. The same for the steps back, as no step has the
// length 0.
PCC_HD pcc_u8 pcc_compatibility(PccStep a, PccStep b, pcc_u8 turn, pcc_u8 other_turn) {
  if (!a.distance || !b.distance || a.distance >= kPccFar || b.distance >= kPccFar) return 0;
  const pcc_u8 seen = static_cast<pcc_u8>(b.direction - a.direction);
  const pcc_s32 w1 = pcc_ramp(pcc_abs(a.distance - b.distance), kPccDistanceEnd, kPccDistanceSlope);
  const pcc_s32 w2 = pcc_ramp(pcc_turn_between(turn, other_turn), kPccRotationEnd, kPccRotationSlope);
  const pcc_s32 w3 = pcc_ramp(pcc_max(pcc_turn_between(seen, turn), pcc_turn_between(seen, other_turn)),
                              kPccDirectionEnd, kPccDirectionSlope);
  return static_cast<pcc_u8>((w1 * w2 >> 7) * w3 >> 7);
}

// ---- The stages of a comparison; `a` is the set that comes first ----

PCC_HD bool pcc_comes_first(const PccFingerSet& a, const PccFingerSet& b) {
  return a.count != b.count ? a.count < b.count : a.order <= b.order;
}

// Which of `a` and `b` is a latent.
PCC_HD pcc_u32 pcc_latent(pcc_u32 mode, bool swapped) {
  const pcc_u32 latent = mode & (kPccFirstLatent | kPccSecondLatent);
  return swapped && latent ? kPccFirstLatent + kPccSecondLatent - latent : latent;
}

// The two best of a row or column, as cosine << 7 | index; ties go to the greater index.
struct PccBest {
  pcc_u16 first, second;
};
PCC_HD void pcc_offer(PccBest& best, pcc_u16 key) {
  if (key > best.first)
    best.second = best.first, best.first = key;
  else if (key > best.second)
    best.second = key;
}

// Likeness of two sets by their most alike minutiae alone: the sum of the greatest cosines of the rows, at most
// kPccAlike x 511. A prefilter orders references by it.
PCC_HD pcc_s32 pcc_likeness(const PccBest* rows, pcc_u32 count) {
  pcc_u32 best[kPccAlike] = {0}, sum = 0;
  for (pcc_u32 i = 0; i < count; ++i) {
    pcc_u32 cosine = rows[i].first >> 7;
    for (pcc_u32 k = 0; k < kPccAlike; ++k) {
      const pcc_u32 less = best[k] < cosine ? best[k] : cosine;
      best[k] = best[k] + cosine - less, cosine = less;
    }
  }
  for (pcc_u32 k = 0; k < kPccAlike; ++k) sum += best[k];
  return static_cast<pcc_s32>(sum);
}

struct PccCandidates {
  pcc_u32 count;
  pcc_u8 a[kPccLatentCandidates], b[kPccLatentCandidates];
  pcc_u8 turn[kPccLatentCandidates];  // from a's direction to b's
  pcc_u8 own[kPccLatentCandidates];   // similarity
  pcc_u16 cosine[kPccLatentCandidates];
};

// The greatest cosines: those above `least`, and the first `room` of those that equal it.
struct PccCut {
  pcc_u32 least, room;
};
PCC_HD PccCut pcc_cut(const pcc_u16* cosine, pcc_u32 count, pcc_u32 most) {
  if (count <= most) return {0, count};
  pcc_u32 histogram[512] = {0}, above = 0, least = 511;
  for (pcc_u32 k = 0; k < count; ++k) ++histogram[cosine[k]];
  for (; above + histogram[least] <= most; --least) above += histogram[least];
  return {least, most - above};
}
PCC_HD bool pcc_take(PccCut& cut, pcc_u32 cosine) {
  if (cosine != cut.least) return cosine > cut.least;
  if (!cut.room) return false;
  --cut.room;
  return true;
}

// Each row's best, then second best, then each column's that are not among them. Of more than `most`, those of the
// greatest cosine, ties in this order.
PCC_HD void pcc_gather(const PccFingerSet& a, const PccFingerSet& b, const PccBest* rows, const PccBest* columns,
                       pcc_u32 most, PccCandidates& c) {
  pcc_u16 cosine[4 * kPccMinutiae];
  pcc_u8 i[4 * kPccMinutiae], j[4 * kPccMinutiae];
  pcc_u32 found = 0;
  for (pcc_u32 step = 0; step < 4; ++step)
    for (pcc_u32 k = 0, end = step < 2 ? a.count : b.count; k < end; ++k) {
      const PccBest best = step < 2 ? rows[k] : columns[k];
      const pcc_u16 key = step & 1 ? best.second : best.first;
      const pcc_u32 row = step < 2 ? k : key & 127, column = step < 2 ? key & 127 : k;
      if (key >> 7 < kPccCosineMin) continue;
      if (step >= 2 && ((rows[row].first & 127) == column || (rows[row].second & 127) == column)) continue;
      cosine[found] = key >> 7, i[found] = static_cast<pcc_u8>(row), j[found++] = static_cast<pcc_u8>(column);
    }
  PccCut cut = pcc_cut(cosine, found, most);
  c.count = 0;
  for (pcc_u32 k = 0; k < found; ++k) {
    if (!pcc_take(cut, cosine[k])) continue;
    c.a[c.count] = i[k], c.b[c.count] = j[k], c.cosine[c.count] = cosine[k];
    c.turn[c.count] = static_cast<pcc_u8>(b.direction[j[k]] - a.direction[i[k]]);
    c.own[c.count++] = static_cast<pcc_u8>(pcc_similarity(cosine[k]));
  }
}

// Compatibility of candidates p and q, 0 where they share a minutia.
PCC_HD pcc_u8 pcc_agreement(const PccFingerSet& a, const PccFingerSet& b, const PccCandidates& c, pcc_u32 p,
                            pcc_u32 q) {
  if (c.a[p] == c.a[q] || c.b[p] == c.b[q]) return 0;
  const PccStep in_a = pcc_step(a.x[c.a[q]] - a.x[c.a[p]], a.y[c.a[q]] - a.y[c.a[p]]);
  const PccStep in_b = pcc_step(b.x[c.b[q]] - b.x[c.b[p]], b.y[c.b[q]] - b.y[c.b[p]]);
  return pcc_compatibility(in_a, in_b, c.turn[p], c.turn[q]);
}

// The first look: whether one of the few candidates of the greatest cosines, ties in their order, has enough support of
// the others, as after one round of relaxation among them.
PCC_HD bool pcc_first_look(const PccFingerSet& a, const PccFingerSet& b, const PccCandidates& c, pcc_u32 latent) {
  PccCut cut = pcc_cut(c.cosine, c.count, kPccLook);
  pcc_u32 best[kPccLook], count = 0;
  for (pcc_u32 k = 0; k < c.count; ++k)
    if (pcc_take(cut, c.cosine[k])) best[count++] = k;
  pcc_s32 most = 0;
  for (pcc_u32 p = 0; p < count; ++p) {
    pcc_s32 support = kPccOwn * c.own[best[p]];
    for (pcc_u32 q = 0; q < count; ++q) support += pcc_agreement(a, b, c, best[p], best[q]) * (c.own[best[q]] >> 1);
    most = pcc_max(most, support * c.own[best[p]]);
  }
  return most >= (latent ? kPccLookLeastLatent : kPccLookLeast);
}

// How far to shift a number down so that it has no more bits.
PCC_HD pcc_u32 pcc_shift_to(pcc_u64 v, pcc_u32 bits) {
  if (!(v >> bits)) return 0;
#if defined(__CUDA_ARCH__)
  return 64 - bits - static_cast<pcc_u32>(__clzll(static_cast<pcc_s64>(v)));
#else
  return 64 - bits - static_cast<pcc_u32>(__builtin_clzll(v));
#endif
}

// One round: raw[k] is the support of candidate k times its own similarity. Makes weights of 0 to 127 of it and brings
// raw to 15 bits; returns the greatest raw, 0 where all are.
PCC_HD pcc_s32 pcc_rescale(pcc_s32* raw, pcc_s32* weight, pcc_u32 count) {
  pcc_s32 most = 0;
  for (pcc_u32 k = 0; k < count; ++k) most = pcc_max(most, raw[k]);
  const pcc_u32 shift = pcc_shift_to(static_cast<pcc_u64>(most), 15);
  most >>= shift;
  if (!most) return 0;
  const pcc_s32 factor = (127 << 16) / most;
  for (pcc_u32 k = 0; k < count; ++k) raw[k] >>= shift, weight[k] = raw[k] * factor >> 16;
  return most;
}

struct PccAccepted {
  pcc_u32 count, agreement;
  pcc_u8 a[kPccLatentCandidates], b[kPccLatentCandidates], weight[kPccLatentCandidates];
};

// Rotation and centroids that bring accepted correspondences together best, in the sense of least squares.
PCC_HD PccPose pcc_fit(const PccFingerSet& a, const PccFingerSet& b, const PccAccepted& accepted) {
  pcc_s32 sum = 0, ax = 0, ay = 0, bx = 0, by = 0;
  for (pcc_u32 k = 0; k < accepted.count; ++k) {
    const pcc_s32 w = accepted.weight[k], i = accepted.a[k], j = accepted.b[k];
    sum += w, ax += w * a.x[i], ay += w * a.y[i], bx += w * b.x[j], by += w * b.y[j];
  }
  PccPose pose;
  sum = sum ? sum : 1;
  pose.ax = 4 * ax / sum, pose.ay = 4 * ay / sum, pose.bx = 4 * bx / sum, pose.by = 4 * by / sum;
  pcc_s64 along = 0, across = 0;
  for (pcc_u32 k = 0; k < accepted.count; ++k) {
    const pcc_s32 i = accepted.a[k], j = accepted.b[k];
    const pcc_s64 w = accepted.weight[k];
    const pcc_s32 px = 4 * a.x[i] - pose.ax, py = 4 * a.y[i] - pose.ay;
    const pcc_s32 qx = 4 * b.x[j] - pose.bx, qy = 4 * b.y[j] - pose.by;
    along += w * (static_cast<pcc_s64>(px) * qx + static_cast<pcc_s64>(py) * qy);
    across += w * (static_cast<pcc_s64>(px) * qy - static_cast<pcc_s64>(py) * qx);
  }
  const pcc_s64 larger = (along < 0 ? -along : along) | (across < 0 ? -across : across);
  const pcc_u32 shift = pcc_shift_to(static_cast<pcc_u64>(larger), 14);
  const pcc_s32 c = static_cast<pcc_s32>(along >> shift), s = static_cast<pcc_s32>(across >> shift);
  const pcc_s32 length = static_cast<pcc_s32>(pcc_root(static_cast<pcc_u32>(c * c + s * s)));
  pose.cosine = length ? 4096 * c / length : 4096;
  pose.sine = length ? 4096 * s / length : 0;
  pose.turn = pcc_direction(c, s);
  return pose;
}

// Points in quarter pixels from the centroids, cut to 16 bits: where a minutia of the second set is, where one of the
// first falls on the second, and where one of the second falls on the first.
struct PccPoint {
  pcc_s32 x, y;
};
PCC_HD PccPoint pcc_point(pcc_s32 x, pcc_s32 y) { return {pcc_clamp(x, -32768, 32767), pcc_clamp(y, -32768, 32767)}; }
PCC_HD PccPoint pcc_here(const PccPose& p, pcc_s32 x, pcc_s32 y) { return pcc_point(4 * x - p.bx, 4 * y - p.by); }
PCC_HD PccPoint pcc_forth(const PccPose& p, pcc_s32 x, pcc_s32 y) {
  x = 4 * x - p.ax, y = 4 * y - p.ay;
  return pcc_point((p.cosine * x - p.sine * y + 2048) >> 12, (p.sine * x + p.cosine * y + 2048) >> 12);
}
PCC_HD PccPoint pcc_back(const PccPose& p, pcc_s32 x, pcc_s32 y) {
  x = 4 * x - p.bx, y = 4 * y - p.by;
  return pcc_point((p.cosine * x + p.sine * y + 2048) >> 12, (p.cosine * y - p.sine * x + 2048) >> 12);
}

// Whether a point, in quarter pixels, lies in the area of a set.
PCC_HD bool pcc_inside(const PccFingerSet& set, pcc_s32 x, pcc_s32 y) {
  const pcc_s32 column = ((x >> 2) - set.left) >> set.cell, row = ((y >> 2) - set.top) >> set.cell;
  return column >= 0 && row >= 0 && column < static_cast<pcc_s32>(kPccCells) && row < static_cast<pcc_s32>(kPccCells) &&
         (set.area[row] >> column & 1);
}

// Half the square of the distance of two points (quarter pixels) in half pixels, or a number that is too large.
PCC_HD pcc_s32 pcc_apart(PccPoint p, PccPoint q) {
  const pcc_s32 dx = pcc_min(pcc_abs(p.x - q.x) >> 1, 127), dy = pcc_min(pcc_abs(p.y - q.y) >> 1, 127);
  return (dx * dx + dy * dy) >> 1;
}

// Pairs minutiae that are each other's nearest, ties by index: `in_b` are the points of the first set.
PCC_HD void pcc_pair(const PccFingerSet& a, const PccFingerSet& b, const PccPoint* in_b, PccFingerResult& r) {
  pcc_u16 nearest_a[kPccMinutiae], nearest_b[kPccMinutiae];  // distance << 7 | index
  for (pcc_u32 i = 0; i < a.count; ++i) nearest_b[i] = 0xFFFF;
  for (pcc_u32 j = 0; j < b.count; ++j) {
    nearest_a[j] = 0xFFFF;
    const PccPoint here = pcc_here(r.pose, b.x[j], b.y[j]);
    for (pcc_u32 i = 0; i < a.count; ++i) {
      const pcc_s32 apart = pcc_apart(in_b[i], here);
      const pcc_u8 direction = static_cast<pcc_u8>(a.direction[i] + r.pose.turn);
      if (apart >= kPccPairReach || pcc_turn_between(direction, b.direction[j]) > kPccPairTurn) continue;
      nearest_b[i] = static_cast<pcc_u16>(pcc_min(nearest_b[i], apart << 7 | static_cast<pcc_s32>(j)));
      nearest_a[j] = static_cast<pcc_u16>(pcc_min(nearest_a[j], apart << 7 | static_cast<pcc_s32>(i)));
    }
  }
  r.paired = r.closeness = 0;
  for (pcc_u32 i = 0; i < a.count; ++i)
    if (nearest_b[i] != 0xFFFF && (nearest_a[nearest_b[i] & 127] & 127) == i) {
      r.closeness += static_cast<pcc_u32>(kPccPairWorth - (nearest_b[i] >> 7));
      r.paired_a[r.paired] = static_cast<pcc_u8>(i), r.paired_b[r.paired++] = nearest_b[i] & 127;
    }
}

// How much a pair at `p` says of the bending at `q`.
PCC_HD pcc_s32 pcc_bend_weight(PccPoint p, PccPoint q) {
  const pcc_s32 dx = pcc_min(pcc_abs(p.x - q.x) >> 2, 127), dy = pcc_min(pcc_abs(p.y - q.y) >> 2, 127);
  return pcc_max(kPccBendReach * kPccBendReach - dx * dx - dy * dy, 0) >> kPccBendShift;
}

// Counts the minutiae in the common area, pairs minutiae after the fit, and once more with the first set's points moved
// as the pairs around them are apart.
PCC_HD void pcc_pair_again(const PccFingerSet& a, const PccFingerSet& b, PccFingerResult& r) {
  PccPoint in_b[kPccMinutiae], bent[kPccMinutiae];
  for (pcc_u32 i = 0; i < a.count; ++i) {
    in_b[i] = pcc_forth(r.pose, a.x[i], a.y[i]);
    r.overlap_a += pcc_inside(b, in_b[i].x + r.pose.bx, in_b[i].y + r.pose.by);
  }
  for (pcc_u32 j = 0; j < b.count; ++j) {
    const PccPoint in_a = pcc_back(r.pose, b.x[j], b.y[j]);
    r.overlap_b += pcc_inside(a, in_a.x + r.pose.ax, in_a.y + r.pose.ay);
  }
  pcc_pair(a, b, in_b, r);
  for (pcc_u32 i = 0; i < a.count; ++i) {
    pcc_s32 sum = kPccUnbent, x = 0, y = 0;
    for (pcc_u32 k = 0; k < r.paired; ++k) {
      const pcc_u32 j = r.paired_b[k];
      const PccPoint there = in_b[r.paired_a[k]], here = pcc_here(r.pose, b.x[j], b.y[j]);
      const pcc_s32 weight = pcc_bend_weight(there, in_b[i]);
      sum += weight, x += weight * (here.x - there.x), y += weight * (here.y - there.y);
    }
    bent[i] = pcc_point(in_b[i].x + x / sum, in_b[i].y + y / sum);
  }
  pcc_pair(a, b, bent, r);
}

// What is left of the likeness where no correspondences agree: the best cosines of all, at most 31.
PCC_HD pcc_s32 pcc_resemblance(const PccCandidates& c) {
  pcc_s32 sum = 0;
  for (pcc_u32 k = 0; k < c.count; ++k) sum += c.cosine[k];
  return sum / (static_cast<pcc_s32>(kPccCandidates) * 512 / 32);
}

PCC_HD pcc_s32 pcc_final_score(const PccFingerResult& r, pcc_u32 latent) {
  if (r.accepted < 2) return static_cast<pcc_s32>(r.resemblance);
  // What is paired, of the geometric mean of the overlaps; of a latent, which shows little and lacks some of that, the
  // own overlap counts three times as much as the other. No overlap is smaller than what is paired.
  const pcc_u32 overlap_a = r.overlap_a > r.paired ? r.overlap_a : r.paired;
  const pcc_u32 overlap_b = r.overlap_b > r.paired ? r.overlap_b : r.paired;
  pcc_u32 both = pcc_root((overlap_a * overlap_b + !r.paired) << 16);
  if (latent) both = pcc_root(((latent == kPccFirstLatent ? overlap_a : overlap_b) + !r.paired) * both << 8);
  const pcc_u32 share = (r.closeness << 11) / both;             // of 4096, and no more
  const pcc_u32 power = (share * pcc_root(share << 12)) >> 12;  // to the power 1.5
  const pcc_u64 mean = static_cast<pcc_u64>(16000) * r.agreement / (127 * r.accepted);
  return 32 + static_cast<pcc_s32>(mean * power >> 16);
}

// ---- The comparison ----

PCC_HD void pcc_compare_fingers(const PccFingerSet& one, const PccFingerSet& other, pcc_u32 mode, PccFingerResult& r) {
  r = PccFingerResult();
  r.swapped = !pcc_comes_first(one, other);
  const PccFingerSet &a = r.swapped ? other : one, &b = r.swapped ? one : other;
  const pcc_u32 latent = pcc_latent(mode, r.swapped);
  if (a.count < kPccLeast) return;

  PccBest rows[kPccMinutiae] = {}, columns[kPccMinutiae] = {};
  for (pcc_u32 i = 0; i < a.count; ++i)
    for (pcc_u32 j = 0; j < b.count; ++j) {
      const bool limited = !latent && pcc_turn_between(a.direction[i], b.direction[j]) > kPccRotationMax;
      pcc_u32 common = 0;
      for (pcc_u32 w = 0; w < kPccWords && !limited; ++w)
        common += pcc_bits(a.words[w * a.stride + i] & b.words[w * b.stride + j]);
      const pcc_u32 cosine = pcc_cosine(common, a.inverse[i], b.inverse[j]);
      pcc_offer(rows[i], static_cast<pcc_u16>(cosine << 7 | j));
      pcc_offer(columns[j], static_cast<pcc_u16>(cosine << 7 | i));
    }
  if (mode & kPccLikeness) {
    r.score = pcc_likeness(rows, a.count);
    return;
  }
  PccCandidates c;
  pcc_gather(a, b, rows, columns, latent ? kPccLatentCandidates : kPccCandidates, c);
  r.candidates = c.count;
  r.resemblance = static_cast<pcc_u32>(pcc_resemblance(c));
  if (mode & kPccEarlyExit && !pcc_first_look(a, b, c, latent)) {
    r.left_early = 1;
    r.score = pcc_final_score(r, latent);
    return;
  }

  pcc_u8 agree[kPccLatentCandidates][kPccLatentCandidates];
  for (pcc_u32 p = 0; p < c.count; ++p)
    for (pcc_u32 q = 0; q <= p; ++q) agree[p][q] = agree[q][p] = pcc_agreement(a, b, c, p, q);

  pcc_s32 raw[kPccLatentCandidates], weight[kPccLatentCandidates], most = 0;
  for (pcc_u32 p = 0; p < c.count; ++p) weight[p] = c.own[p] >> 1;
  for (pcc_s32 round = 0; round < kPccRounds; ++round) {
    for (pcc_u32 p = 0; p < c.count; ++p) {
      pcc_s32 support = kPccOwn * c.own[p];
      for (pcc_u32 q = 0; q < c.count; ++q) support += agree[p][q] * weight[q];
      raw[p] = support * c.own[p];
    }
    most = pcc_rescale(raw, weight, c.count);
  }

  PccAccepted accepted;
  accepted.count = accepted.agreement = 0;
  pcc_u8 chosen[kPccLatentCandidates];
  bool done[kPccLatentCandidates] = {false};
  for (;;) {
    pcc_u32 best = c.count;
    for (pcc_u32 p = 0; p < c.count; ++p)
      if (!done[p] && raw[p] * kPccEligible > most && (best == c.count || raw[p] > raw[best])) best = p;
    if (best == c.count) break;
    done[best] = true;
    pcc_u32 support = 0, sum = 0;
    bool free = true;
    for (pcc_u32 k = 0; k < accepted.count; ++k) {
      free = free && accepted.a[k] != c.a[best] && accepted.b[k] != c.b[best];
      support += agree[best][chosen[k]] > kPccSupport;
      sum += agree[best][chosen[k]];
    }
    if (!free || 2 * support < accepted.count) continue;
    const pcc_u32 k = accepted.count++;
    chosen[k] = static_cast<pcc_u8>(best);
    accepted.a[k] = c.a[best], accepted.b[k] = c.b[best], accepted.weight[k] = static_cast<pcc_u8>(weight[best]);
    accepted.agreement += 2 * sum;
  }
  r.accepted = accepted.count, r.agreement = accepted.agreement;
  for (pcc_u32 k = 0; k < accepted.count; ++k) r.accepted_a[k] = accepted.a[k], r.accepted_b[k] = accepted.b[k];

  if (accepted.count >= 2) {
    r.pose = pcc_fit(a, b, accepted);
    pcc_pair_again(a, b, r);
  }
  r.score = pcc_final_score(r, latent);
}
