// The rules that decide whether two DNA profiles match: the only compiled copy, shared by the CPU and CUDA back ends.
// Its readable twin is pcc_match/dna/rule.py; tests hold the two equal.
//
// A profile is L loci x 2 allele codes, low code first. 0 = locus absent, 1 = wildcard '*', else the allele's length
// in bases (period * repeats + remainder). Amelogenin is never among the L loci.
#pragma once
#include "numbers.h"

enum : pcc_u8 { kPccAbsent = 0, kPccWildcard = 1 };
enum : pcc_u16 { kPccUnlimited = 0xFFFF };

// Limits of Decision 2008/616/JHA, annex chapter 1, 1.2, or of a treaty set that changes them.
struct PccTreatyRule {
  pcc_u16 min_full_loci, max_differences, max_wildcards, max_microvariants, max_mismatches;
  pcc_u16 count_wildcards;  // 1: a wildcard counts as a difference
  pcc_u16 qualities;        // bit q set: quality q is admitted
};

struct PccTally {
  pcc_u16 full, wildcards, microvariants, mismatches;
};

PCC_HD bool pcc_designated(pcc_u8 low, pcc_u8) { return low > kPccWildcard; }

// One pairing of alleles as differences << 12 | mismatches << 8 | microvariants << 4 | wildcards: the smaller is the better.
PCC_HD pcc_u32 pcc_pair(pcc_u8 a, pcc_u8 b, pcc_u8 period, pcc_u32 count_wildcards) {
  if (a == kPccWildcard || b == kPccWildcard) return count_wildcards << 12 | 0x001;
  if (a == b) return 0;
  const bool one_base = a + 1 == b || b + 1 == a;
  return one_base && (a % period || b % period) ? 0x1010 : 0x1100;
}

PCC_HD pcc_u32 pcc_locus(const pcc_u8* a, const pcc_u8* b, pcc_u8 period, pcc_u32 count_wildcards) {
  const pcc_u32 straight = pcc_pair(a[0], b[0], period, count_wildcards) + pcc_pair(a[1], b[1], period, count_wildcards);
  const pcc_u32 crossed = pcc_pair(a[0], b[1], period, count_wildcards) + pcc_pair(a[1], b[0], period, count_wildcards);
  return straight < crossed ? straight : crossed;
}

PCC_HD PccTally pcc_compare(const pcc_u8* a, const pcc_u8* b, const pcc_u8* periods, pcc_u32 loci, pcc_u32 count_wildcards) {
  PccTally t = {0, 0, 0, 0};
  for (pcc_u32 l = 0; l < loci; ++l, a += 2, b += 2) {
    if (!a[0] || !b[0]) continue;
    if (a[0] == b[0] && a[1] == b[1] && pcc_designated(a[0], a[1])) {
      ++t.full;
      continue;
    }
    const pcc_u32 cost = pcc_locus(a, b, periods[l], count_wildcards);
    t.mismatches += cost >> 8 & 0xF;
    t.microvariants += cost >> 4 & 0xF;
    t.wildcards += cost & 0xF;
  }
  return t;
}

// 1-4, or 0 where the profiles do not match.
PCC_HD pcc_u32 pcc_quality(PccTally t, PccTreatyRule r) {
  const pcc_u32 differences = t.microvariants + t.mismatches + (r.count_wildcards ? t.wildcards : 0u);
  if (t.full < r.min_full_loci || differences > r.max_differences || t.wildcards > r.max_wildcards ||
      t.microvariants > r.max_microvariants || t.mismatches > r.max_mismatches)
    return 0;
  const pcc_u32 quality = t.mismatches ? 4 : t.microvariants ? 3 : t.wildcards ? 2 : 1;
  return r.qualities >> quality & 1 ? quality : 0;
}
