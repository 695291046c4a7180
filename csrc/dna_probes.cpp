#include "dna_probes.h"

#include <algorithm>
#include <cstring>

namespace pcc {
namespace {

// "Identical": a treaty's filter.
void encode_identity(const DnaIndex& index, DnaProbes& probes) {
  probes.designated.resize(probes.count);
  probes.possible.resize(probes.count);
  probes.first.resize(probes.count * index.positions);
  probes.second.resize(probes.count * index.positions);
  for (size_t i = 0; i < probes.count; ++i)
    for (uint32_t p = 0; p < index.positions; ++p) {
      const uint8_t* code = &probes.codes[i * index.stride + 2 * p];
      if (code[0] <= kPccWildcard) continue;
      const uint8_t* line = &index.allele_line[p * 256];
      const uint8_t first = line[code[0]], second = line[code[1]];
      probes.designated[i].add(p);
      if (first && second) probes.possible[i].add(p);
      probes.first[i * index.positions + p] = first;
      probes.second[i * index.positions + p] = first == second ? 0 : second;
    }
}

void start_shows(const DnaIndex& index, DnaProbes& probes) {
  probes.asked.resize(probes.count);
  probes.shows.resize(probes.count * index.positions);
  probes.start.reserve(probes.count * index.positions + 1);
  probes.start.push_back(0);
}

// The lines of some alleles at the next locus; equal lines and alleles that no profile has are left out.
void add_lines(const uint8_t* allele_line, const uint8_t* codes, size_t count, DnaProbes& probes) {
  const size_t first = probes.line.size();
  for (size_t i = 0; i < count; ++i)
    if (allele_line[codes[i]]) probes.line.push_back(allele_line[codes[i]]);
  std::sort(probes.line.begin() + static_cast<ptrdiff_t>(first), probes.line.end());
  probes.line.erase(std::unique(probes.line.begin() + static_cast<ptrdiff_t>(first), probes.line.end()),
                    probes.line.end());
}

// What a profile must show to reach a level of stringency against (low, high); pcc_stringency_level says when it does.
// Loci with a wildcard on the profile's side are not in the lines and pass.
void encode_stringency(const DnaIndex& index, uint32_t level, DnaProbes& probes) {
  start_shows(index, probes);
  for (size_t i = 0; i < probes.count; ++i)
    for (uint32_t p = 0; p < index.positions; ++p) {
      const uint8_t* code = &probes.codes[i * index.stride + 2 * p];
      const uint8_t* line = &index.allele_line[p * 256];
      const bool whole = code[0] > kPccWildcard, one_value = !whole || code[0] == code[1];
      const bool asked = code[1] > kPccWildcard && (whole || level != kPccHigh);
      if (asked) {
        probes.asked[i].add(p);
        add_lines(line, one_value ? code + 1 : code, one_value ? 1 : 2, probes);
      }
      const bool one_line = line[code[0]] == line[code[1]];
      probes.shows[i * index.positions + p] = level == kPccHigh ? one_line ? Shows::kOnlyOne : Shows::kTwo
                                              : level == kPccModerate && !one_value ? Shows::kAll
                                                                                    : Shows::kAny;
      probes.start.push_back(static_cast<uint32_t>(probes.line.size()));
    }
}

}  // namespace

DnaProbes encode_profiles(const DnaIndex& index, const DnaRule& rule, const uint8_t* codes, size_t count) {
  DnaProbes probes;
  probes.count = count;
  probes.codes = Column<uint8_t>(count * index.stride);
  for (size_t i = 0; i < count; ++i)
    for (uint32_t p = 0; p < index.positions; ++p)
      std::memcpy(&probes.codes[i * index.stride + 2 * p], codes + (i * index.loci + index.order[p]) * 2, 2);
  if (rule.kind == DnaRule::kTreaty)
    encode_identity(index, probes);
  else
    encode_stringency(index, rule.stringency.level, probes);
  return probes;
}

DnaProbes encode_mixtures(const DnaIndex& index, const uint64_t* sets, size_t count) {
  DnaProbes probes;
  probes.count = count;
  probes.sets = Column<uint64_t>(count * index.positions * 4);
  start_shows(index, probes);
  for (size_t i = 0; i < count; ++i)
    for (uint32_t p = 0; p < index.positions; ++p) {
      const uint64_t* set = sets + (i * index.loci + index.order[p]) * 4;
      std::memcpy(&probes.sets[(i * index.positions + p) * 4], set, 32);
      uint8_t codes[256];
      size_t n = 0;
      for (uint32_t code = kPccWildcard + 1u; code < 256; ++code)
        if (set[code >> 6] >> (code & 63) & 1) codes[n++] = static_cast<uint8_t>(code);
      if (n && !(set[0] >> kPccWildcard & 1)) {
        probes.asked[i].add(p);
        add_lines(&index.allele_line[p * 256], codes, n, probes);
      }
      probes.shows[i * index.positions + p] = Shows::kAll;
      probes.start.push_back(static_cast<uint32_t>(probes.line.size()));
    }
  return probes;
}

DnaProbes encode_slots(const DnaIndex& from, const std::vector<uint32_t>& slots, const DnaIndex& index,
                       const DnaRule& rule) {
  std::vector<uint8_t> codes(slots.size() * index.loci * 2, 0);
  for (size_t i = 0; i < slots.size(); ++i)
    for (uint32_t p = 0; p < from.positions; ++p)
      std::memcpy(&codes[(i * index.loci + from.order[p]) * 2], &from.codes[size_t{slots[i]} * from.stride + 2 * p], 2);
  return encode_profiles(index, rule, codes.data(), slots.size());
}

}  // namespace pcc
