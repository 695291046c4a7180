#include "dna_join.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace pcc {
namespace {

constexpr uint32_t kBucketRows = 256;  // on average: a bucket's hash table stays in L1
constexpr uint32_t kHeads = 1024;      // of that table
constexpr uint32_t kBatch = 256;       // candidates whose codes are fetched before they are looked at

std::vector<uint32_t> positions_of(const DnaIndex& index) {
  std::vector<uint32_t> position(index.loci, kNoPosition);
  for (uint32_t p = 0; p < index.positions; ++p) position[index.order[p]] = p;
  return position;
}

// A multilinear hash: one odd random factor a locus; the upper 32 bits of the sum are universal.
uint64_t factor(uint32_t locus) {
  uint64_t z = (locus + uint64_t{1}) * 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return (z ^ z >> 31) | 1;
}

uint32_t genotype(const uint8_t* codes, uint32_t position) {
  return static_cast<uint32_t>(codes[2 * position] << 8 | codes[2 * position + 1]);
}

// The rows of one side with keys in the slice, key << 32 | slot, bucket by bucket.
struct Buckets {
  std::vector<uint64_t> rows;
  std::vector<uint32_t> start;
};

Buckets hash_rows(const JoinSide& side, const std::vector<uint32_t>& loci, uint32_t slice, uint32_t slices,
                  uint32_t buckets) {
  const DnaIndex& index = *side.index;
  const std::vector<uint32_t> position = positions_of(index);
  std::vector<std::pair<uint32_t, uint64_t>> terms;
  for (uint32_t locus : loci) terms.emplace_back(position[locus], factor(locus));
  const auto bucket_of = [&](uint64_t key) {
    return (key * (uint64_t{slices} * buckets) >> 32) - uint64_t{slice} * buckets;  // others: beyond the last
  };

  std::vector<uint64_t> found;
  const uint32_t first = side.group->first_block * kBlock, last = first + side.group->blocks * kBlock;
  found.reserve((last - first) / slices + (last - first) / 16);
  Buckets result;
  result.start.assign(buckets + 1, 0);
  for (uint32_t slot = first; slot < last && index.row_of_slot[slot] != kEmptySlot; ++slot) {
    const uint8_t* codes = &index.codes[size_t{slot} * index.stride];
    uint64_t sum = 0;
    for (const auto& [p, f] : terms) sum += genotype(codes, p) * f;
    const uint64_t bucket = bucket_of(sum >> 32);
    if (bucket >= buckets) continue;
    found.push_back((sum & ~uint64_t{0xFFFFFFFF}) | slot);
    ++result.start[bucket + 1];
  }
  for (uint32_t i = 0; i < buckets; ++i) result.start[i + 1] += result.start[i];
  std::vector<uint32_t> next(result.start.begin(), result.start.end() - 1);
  result.rows.resize(found.size());
  for (uint64_t row : found) result.rows[next[bucket_of(row >> 32)]++] = row;
  return result;
}

// Candidates on their way to the verifier.
class Candidates {
 public:
  Candidates(const JoinSide& a, const JoinSide& b, const JoinParts& parts, uint32_t part, const uint8_t* marked_a,
             const uint8_t* marked_b, DnaSearcher& searcher)
      : a_(*a.index), b_(*b.index), marked_a_(marked_a), marked_b_(marked_b), searcher_(searcher) {
    const std::vector<uint32_t> in_a = positions_of(a_), in_b = positions_of(b_);
    for (uint32_t j = 0; j <= part; ++j) {
      loci_.emplace_back();
      for (uint32_t locus : parts.parts[j]) loci_.back().emplace_back(in_a[locus], in_b[locus]);
    }
    for (uint32_t p = 0; p < a_.positions; ++p)
      if (in_b[a_.order[p]] != kNoPosition) shared_.emplace_back(p, in_b[a_.order[p]]);
    probes_.count = kBatch;
    probes_.codes = Column<uint8_t>(kBatch * b_.stride);
    names_.resize(kBatch);
    searcher_.set_probes(probes_, names_.data(), nullptr);
  }

  void add(uint64_t row_a, uint64_t row_b) {
    const uint32_t x = static_cast<uint32_t>(row_a), y = static_cast<uint32_t>(row_b);
    __builtin_prefetch(&a_.codes[size_t{x} * a_.stride]);
    __builtin_prefetch(&b_.codes[size_t{y} * b_.stride]);
    pairs_[count_++] = {x, y};
    if (count_ == kBatch) flush();
  }

  void flush() {
    uint32_t probes[kBatch], slots[kBatch], n = 0;
    for (uint32_t i = 0; i < count_; ++i) {
      const auto [x, y] = pairs_[i];
      const uint8_t *codes_a = &a_.codes[size_t{x} * a_.stride], *codes_b = &b_.codes[size_t{y} * b_.stride];
      if (!found_here(codes_a, codes_b)) continue;
      if (marked_a_ && !marked_a_[x] && !(marked_b_ && marked_b_[y])) continue;
      uint8_t* codes = &probes_.codes[n * b_.stride];
      for (const auto& [from, to] : shared_) std::memcpy(codes + 2 * to, codes_a + 2 * from, 2);
      names_[n] = a_.row_of_slot[x];
      probes[n] = n;
      slots[n++] = y;
    }
    searcher_.verify(probes, slots, n);
    count_ = 0;
  }

 private:
  // Identical in the last part and in none before: no other part reports the pair.
  bool found_here(const uint8_t* a, const uint8_t* b) const {
    for (size_t j = 0; j < loci_.size(); ++j) {
      const bool identical = std::all_of(loci_[j].begin(), loci_[j].end(), [&](const auto& locus) {
        return genotype(a, locus.first) == genotype(b, locus.second);
      });
      if (identical != (j + 1 == loci_.size())) return false;
    }
    return true;
  }

  const DnaIndex &a_, &b_;
  const uint8_t *marked_a_, *marked_b_;
  DnaSearcher& searcher_;
  std::vector<std::vector<std::pair<uint32_t, uint32_t>>> loci_;  // of each part up to this, as positions in a and b
  std::vector<std::pair<uint32_t, uint32_t>> shared_;             // positions in a and b
  DnaProbes probes_;
  std::vector<uint32_t> names_;
  std::pair<uint32_t, uint32_t> pairs_[kBatch];
  uint32_t count_ = 0;
};

// Equal keys of one bucket: a small chained hash table of the rows of a; with `self`, of the rows before.
void match_bucket(const uint64_t* a, uint32_t count_a, const uint64_t* b, uint32_t count_b, bool self,
                  std::vector<uint32_t>& next, Candidates& candidates) {
  uint32_t heads[kHeads] = {};
  if (next.size() <= count_a) next.resize(count_a + 1);
  const auto head = [&](uint64_t row) -> uint32_t& { return heads[(row >> 32) % kHeads]; };
  const auto insert = [&](uint32_t i) {
    next[i + 1] = head(a[i]);
    head(a[i]) = i + 1;
  };
  const auto match = [&](uint64_t row) {
    for (uint32_t i = head(row); i; i = next[i])
      if (a[i - 1] >> 32 == row >> 32) candidates.add(a[i - 1], row);
  };
  if (self) {
    for (uint32_t i = 0; i < count_a; ++i) match(a[i]), insert(i);
  } else {
    for (uint32_t i = 0; i < count_a; ++i) insert(i);
    for (uint32_t i = 0; i < count_b; ++i) match(b[i]);
  }
}

}  // namespace

JoinParts join_parts(const DnaIndex& a, const DnaGroup& group_a, const DnaIndex& b, const DnaGroup& group_b, uint32_t k,
                     uint32_t min_full) {
  const std::vector<uint32_t> in_b = positions_of(b);
  std::vector<uint32_t> common;  // positions in a: best first
  for (uint32_t p = 0; p < a.positions; ++p) {
    const uint32_t q = in_b[a.order[p]];
    if (group_a.all.has(p) && q != kNoPosition && group_b.all.has(q)) common.push_back(p);
  }
  JoinParts result{{}, 0};
  if (common.empty() || common.size() < min_full) return result;
  result.parts.resize(std::min<size_t>(k, common.size() - min_full) + 1);
  std::vector<double> chance(result.parts.size(), 1.0);
  for (uint32_t p : common) {  // each locus to the part that is least selective so far
    const size_t weakest = static_cast<size_t>(std::max_element(chance.begin(), chance.end()) - chance.begin());
    result.parts[weakest].push_back(a.order[p]);
    chance[weakest] *= a.match[p];
  }
  for (double c : chance) result.candidates += c;
  return result;
}

void join(const JoinSide& a, const JoinSide& b, bool self, const JoinParts& parts, uint32_t part, uint32_t slice,
          uint32_t slices, const uint8_t* marked_a, const uint8_t* marked_b, DnaSearcher& searcher) {
  const uint64_t rows = (a.group->blocks + (self ? 0 : b.group->blocks)) * uint64_t{kBlock} / slices;
  const uint32_t buckets = static_cast<uint32_t>(rows / kBucketRows + 1);
  const Buckets in_a = hash_rows(a, parts.parts[part], slice, slices, buckets);
  const Buckets in_b = self ? Buckets{{}, std::vector<uint32_t>(buckets + 1, 0)}
                            : hash_rows(b, parts.parts[part], slice, slices, buckets);
  Candidates candidates(a, b, parts, part, marked_a, marked_b, searcher);
  std::vector<uint32_t> next;
  for (uint32_t i = 0; i < buckets; ++i)
    match_bucket(in_a.rows.data() + in_a.start[i], in_a.start[i + 1] - in_a.start[i], in_b.rows.data() + in_b.start[i],
                 in_b.start[i + 1] - in_b.start[i], self, next, candidates);
  candidates.flush();
}

}  // namespace pcc
