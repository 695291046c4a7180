// The rules that decide whether two DNA profiles match: the only compiled copy, shared by the CPU and CUDA back ends.
// Its readable twin is pcc_match/dna/rule.py; tests hold the two equal.
//
// A profile is L loci x 2 allele codes, low code first. 0 = locus absent (then both are 0), 1 = wildcard '*', else the
// allele's length in bases (period * repeats + remainder). Amelogenin is never among the L loci. The locus's period is
// not needed here: two lengths one base apart cannot both be whole numbers of repeats, so one of them has a remainder.
#pragma once
#include "numbers.h"

enum : pcc_u8 { kPccAbsent = 0, kPccWildcard = 1 };
enum : pcc_u16 { kPccUnlimited = 0xFFFF };

// What a comparison counted. One meaning per kind of rule:
//                  treaty                          stringency                          mixture
//   full           loci designated and identical   loci that reach the level           loci whose alleles all show
//   wildcards      allele pairs with '*'           compared loci that hold a '*'       values explained by '*' alone
//   microvariants  allele pairs one base apart     loci one step below the level       0
//   mismatches     other allele pairs              loci further below                  values that do not show
struct PccTally {
  pcc_u16 full, wildcards, microvariants, mismatches;
};

// One match as the engines return it: probe = position in the batch, row = position in the gallery, then its tally.
// quality: 1 all equal, 2 with wildcards, 3 with micro-variants (a locus one step lower), 4 with mismatches.
struct PccHit {
  pcc_u32 probe, row;
  pcc_u16 full, wildcards, microvariants, mismatches, quality, spare;  // spare is 0
};

PCC_HD pcc_u32 pcc_grade(PccTally t) { return t.mismatches ? 4 : t.microvariants ? 3 : t.wildcards ? 2 : 1; }

// ---- Treaty rule: Decision 2008/616/JHA, annex chapter 1, 1.2 ----

struct PccTreatyRule {
  pcc_u16 min_full_loci, max_differences, max_wildcards, max_microvariants, max_mismatches;  // kPccUnlimited: no limit
  pcc_u16 count_wildcards;  // 1: a wildcard counts as a difference
  pcc_u16 qualities;        // bit q set: quality q is admitted
};

// One pair of alleles as differences << 12 | mismatches << 8 | micro-variants << 4 | wildcards. Pairs add up, and of
// two sums the smaller is the better: fewer differences, then fewer mismatches, micro-variants, wildcards.
PCC_HD pcc_u32 pcc_pair(pcc_u8 a, pcc_u8 b, pcc_u32 count_wildcards) {
  if (a == kPccWildcard || b == kPccWildcard) return count_wildcards << 12 | 0x001;
  if (a == b) return 0;
  return a + 1 == b || b + 1 == a ? 0x1010 : 0x1100;
}

PCC_HD pcc_u32 pcc_locus(const pcc_u8* a, const pcc_u8* b, pcc_u32 count_wildcards) {
  const pcc_u32 straight = pcc_pair(a[0], b[0], count_wildcards) + pcc_pair(a[1], b[1], count_wildcards);
  const pcc_u32 crossed = pcc_pair(a[0], b[1], count_wildcards) + pcc_pair(a[1], b[0], count_wildcards);
  return straight < crossed ? straight : crossed;
}

// Low code first, so a designated low code means a designated locus, and identical loci are identical in place.
PCC_HD PccTally pcc_compare(const pcc_u8* a, const pcc_u8* b, pcc_u32 loci, pcc_u32 count_wildcards) {
  PccTally t = {0, 0, 0, 0};
  for (pcc_u32 l = 0; l < loci; ++l, a += 2, b += 2) {
    if (a[0] == kPccAbsent || b[0] == kPccAbsent) continue;
    if (a[0] == b[0] && a[1] == b[1] && a[0] > kPccWildcard) {
      ++t.full;
      continue;
    }
    const pcc_u32 cost = pcc_locus(a, b, count_wildcards);
    t.mismatches += cost >> 8 & 0xF;
    t.microvariants += cost >> 4 & 0xF;
    t.wildcards += cost & 0xF;
  }
  return t;
}

// 1-4, or 0 where the profiles do not match. So do the two functions of the same kind below.
PCC_HD pcc_u32 pcc_quality(PccTally t, PccTreatyRule r) {
  const pcc_u32 differences = t.microvariants + t.mismatches + (r.count_wildcards ? t.wildcards : 0u);
  if (t.full < r.min_full_loci || differences > r.max_differences || t.wildcards > r.max_wildcards ||
      t.microvariants > r.max_microvariants || t.mismatches > r.max_mismatches)
    return 0;
  const pcc_u32 quality = pcc_grade(t);
  return r.qualities >> quality & 1 ? quality : 0;
}

// ---- Stringency: national rules that compare the sets of alleles, locus by locus ----

enum : pcc_u16 { kPccNothingShared = 0, kPccLow = 1, kPccModerate = 2, kPccHigh = 3 };

struct PccStringencyRule {
  pcc_u16 level;       // kPccLow ... kPccHigh, asked of every compared locus
  pcc_u16 min_loci;    // loci that must reach it
  pcc_u16 lower_loci;  // loci that may stay one step below it
};

PCC_HD bool pcc_shows(const pcc_u8* locus, pcc_u8 code) { return locus[0] == code || locus[1] == code; }

// High: the same alleles, none unknown. Moderate: one side's known alleles all show on the other. Low: one shows.
// Both loci must have a known allele; the high code is one.
PCC_HD pcc_u32 pcc_stringency_level(const pcc_u8* a, const pcc_u8* b) {
  const bool a_whole = a[0] > kPccWildcard, b_whole = b[0] > kPccWildcard;
  if (a_whole && a[0] == b[0] && a[1] == b[1]) return kPccHigh;
  const bool a_low_shows = a_whole && pcc_shows(b, a[0]), a_high_shows = pcc_shows(b, a[1]);
  const bool b_low_shows = b_whole && pcc_shows(a, b[0]), b_high_shows = pcc_shows(a, b[1]);
  if ((a_high_shows && (a_low_shows || !a_whole)) || (b_high_shows && (b_low_shows || !b_whole))) return kPccModerate;
  return a_low_shows || a_high_shows ? kPccLow : kPccNothingShared;
}

PCC_HD PccTally pcc_stringency(const pcc_u8* a, const pcc_u8* b, pcc_u32 loci, pcc_u32 level) {
  PccTally t = {0, 0, 0, 0};
  for (pcc_u32 l = 0; l < loci; ++l, a += 2, b += 2) {
    if (a[1] <= kPccWildcard || b[1] <= kPccWildcard) continue;  // nothing known on one side
    const pcc_u32 reached = pcc_stringency_level(a, b);
    if (reached >= level)
      ++t.full;
    else if (reached + 1 == level)
      ++t.microvariants;
    else
      ++t.mismatches;
    t.wildcards += a[0] == kPccWildcard || b[0] == kPccWildcard;
  }
  return t;
}

PCC_HD pcc_u32 pcc_stringency_quality(PccTally t, PccStringencyRule r) {
  return t.full >= r.min_loci && t.microvariants <= r.lower_loci && !t.mismatches ? pcc_grade(t) : 0;
}

// ---- Mixture: could the reference be one of its contributors? ----

struct PccMixtureRule {
  pcc_u16 min_loci;     // loci whose alleles must all show
  pcc_u16 max_missing;  // allele values of the reference that may fail to show
};

// mixture: L sets of 256 bits (4 words), bit c = the allele with code c shows; bit 1 = '*' shows, which explains any
// allele; no bit = locus absent. A homozygous reference asks for its one value once.
PCC_HD PccTally pcc_mixture(const pcc_u64* mixture, const pcc_u8* reference, pcc_u32 loci) {
  PccTally t = {0, 0, 0, 0};
  for (pcc_u32 l = 0; l < loci; ++l, mixture += 4, reference += 2) {
    if (reference[0] == kPccAbsent || !(mixture[0] | mixture[1] | mixture[2] | mixture[3])) continue;
    const bool any = mixture[0] >> kPccWildcard & 1;
    const pcc_u32 values = reference[0] == reference[1] ? 1 : 2;
    pcc_u32 shown = 0;
    for (pcc_u32 v = 0; v < values; ++v) {
      const pcc_u8 code = reference[v];
      if (code != kPccWildcard && mixture[code >> 6] >> (code & 63) & 1)
        ++shown;
      else if (code == kPccWildcard || any)
        ++t.wildcards;
      else
        ++t.mismatches;
    }
    if (shown == values) ++t.full;
  }
  return t;
}

PCC_HD pcc_u32 pcc_mixture_quality(PccTally t, PccMixtureRule r) {
  return t.full >= r.min_loci && t.mismatches <= r.max_missing ? pcc_grade(t) : 0;
}
