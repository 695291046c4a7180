// DNA: comparison, index, search, rematch, matrix.
#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

#include "bindings.h"
#include "compare_dna.h"
#include "dna_index.h"
#include "dna_matrix.h"
#include "dna_rematch.h"
#include "dna_search.h"
#include "profile_columns.h"

namespace {

// ---- compare_dna.h itself, pair by pair: for re-scoring candidates and for the tests that hold rule.py to it ----

// Rows of `left` (loci x width) against rows of `right` (loci x 2); one row of `left` stands for as many as there are.
// Returns uint16 (rows, 5): full, wildcards, microvariants, mismatches, quality.
template <class Left, class Compare>
py::array_t<pcc_u16> compare_rows(const Array<Left>& left, py::ssize_t width, const Array<pcc_u8>& right,
                                  Compare compare) {
  const bool shaped = left.ndim() == 3 && right.ndim() == 3 && left.shape(1) == right.shape(1) &&
                      left.shape(2) == width && right.shape(2) == 2;
  if (!shaped || (left.shape(0) != right.shape(0) && left.shape(0) != 1))
    throw std::invalid_argument("expected arrays (n or 1, loci, " + std::to_string(width) + ") and (n, loci, 2)");
  const py::ssize_t rows = right.shape(0), loci = right.shape(1), step = left.shape(0) == 1 ? 0 : loci * width;
  py::array_t<pcc_u16> result({rows, py::ssize_t{5}});
  const Left* a = left.data();
  const pcc_u8* b = right.data();
  pcc_u16* out = result.mutable_data();
  py::gil_scoped_release unlocked;
  for (py::ssize_t row = 0; row < rows; ++row, a += step, b += loci * 2, out += 5) {
    const auto [tally, quality] = compare(a, b, static_cast<pcc_u32>(loci));
    out[0] = tally.full, out[1] = tally.wildcards, out[2] = tally.microvariants, out[3] = tally.mismatches;
    out[4] = static_cast<pcc_u16>(quality);
  }
  return result;
}

using Judged = std::pair<PccTally, pcc_u32>;

py::array_t<pcc_u16> compare_dna(const Array<pcc_u8>& a, const Array<pcc_u8>& b, const std::array<pcc_u16, 7>& rule) {
  const PccTreatyRule r = {rule[0], rule[1], rule[2], rule[3], rule[4], rule[5], rule[6]};
  return compare_rows(a, 2, b, [r](const pcc_u8* x, const pcc_u8* y, pcc_u32 loci) {
    const PccTally tally = pcc_compare(x, y, loci, r.count_wildcards);
    return Judged{tally, pcc_quality(tally, r)};
  });
}

py::array_t<pcc_u16> compare_stringency(const Array<pcc_u8>& a, const Array<pcc_u8>& b,
                                        const std::array<pcc_u16, 3>& rule) {
  const PccStringencyRule r = {rule[0], rule[1], rule[2]};
  return compare_rows(a, 2, b, [r](const pcc_u8* x, const pcc_u8* y, pcc_u32 loci) {
    const PccTally tally = pcc_stringency(x, y, loci, r.level);
    return Judged{tally, pcc_stringency_quality(tally, r)};
  });
}

py::array_t<pcc_u16> compare_mixture(const Array<pcc_u64>& mixtures, const Array<pcc_u8>& references,
                                     const std::array<pcc_u16, 2>& rule) {
  const PccMixtureRule r = {rule[0], rule[1]};
  return compare_rows(mixtures, 4, references, [r](const pcc_u64* x, const pcc_u8* y, pcc_u32 loci) {
    const PccTally tally = pcc_mixture(x, y, loci);
    return Judged{tally, pcc_mixture_quality(tally, r)};
  });
}

}  // namespace

void bind_compare(py::module_& m) {
  const char* const pairwise =
      "Rows of a, uint8 (n or 1, loci, 2) codes or uint64 (n or 1, loci, 4) sets, against rows of b.\n"
      "b is uint8 (n, loci, 2). Returns uint16 (n, 5): full, wildcards, microvariants, mismatches, quality, 0 = none.";
  m.def("compare_dna", compare_dna, py::arg("a"), py::arg("b"), py::arg("rule"), pairwise);
  m.def("compare_stringency", compare_stringency, py::arg("a"), py::arg("b"), py::arg("rule"), pairwise);
  m.def("compare_mixture", compare_mixture, py::arg("a"), py::arg("b"), py::arg("rule"), pairwise);
}

namespace {

// ---- DNA index

using Codes = py::array_t<uint8_t, py::array::c_style>;

// A view of memory that `owner` keeps alive; read-only.
template <typename T>
py::array view(const T* data, std::vector<py::ssize_t> shape, const py::object& owner) {
  py::array_t<T> array(std::move(shape), data, owner);
  py::detail::array_proxy(array.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
  return std::move(array);
}

pcc::DnaPart dna_part(const py::tuple& part) {
  const auto codes = part[0].cast<Codes>();
  const auto columns = part[1].cast<py::array_t<int32_t, py::array::c_style>>();
  if (codes.ndim() != 3 || codes.shape(2) != 2 || columns.ndim() != 1 || columns.size() != codes.shape(1))
    throw std::invalid_argument("a part is (codes uint8[n, loci, 2], columns int32[loci], live uint8[n] or None)");
  pcc::DnaPart p{codes.data(), size_t(codes.shape(0)), columns.data(), size_t(columns.size()), nullptr};
  if (part[2].is_none()) return p;
  const auto live = part[2].cast<Codes>();
  if (live.ndim() != 1 || live.size() != codes.shape(0)) throw std::invalid_argument("live must be uint8, one a row");
  p.live = live.data();
  return p;
}

// The parts' arrays must outlive the call; a temporary made by a conversion would not.
bool is_exact(const py::tuple& part) {
  return part.size() == 3 && Codes::check_(part[0]) && py::array_t<int32_t, py::array::c_style>::check_(part[1]) &&
         (part[2].is_none() || Codes::check_(part[2]));
}

std::unique_ptr<pcc::DnaIndex> dna_index(const std::vector<py::tuple>& parts, uint32_t loci, unsigned threads,
                                         uint32_t rare_per_million) {
  std::vector<pcc::DnaPart> raw;
  for (const py::tuple& part : parts) {
    if (!is_exact(part))
      throw py::type_error("a part is (codes uint8[n, loci, 2], columns int32[loci], live uint8[n] or None), C order");
    raw.push_back(dna_part(part));
  }
  py::gil_scoped_release release;
  return std::make_unique<pcc::DnaIndex>(pcc::build_dna_index(raw, loci, rare_per_million, threads));
}

// DnaRule, StringencyRule or MixtureRule of pcc_match/dna/rule.py, packed.
using PackedRule = std::variant<std::array<pcc_u16, 7>, std::array<pcc_u16, 3>, std::array<pcc_u16, 2>>;

pcc::DnaRule dna_rule(const PackedRule& packed) {
  pcc::DnaRule rule{};
  if (const auto* r = std::get_if<0>(&packed)) {
    rule.kind = pcc::DnaRule::kTreaty;
    rule.treaty = {(*r)[0], (*r)[1], (*r)[2], (*r)[3], (*r)[4], (*r)[5], (*r)[6]};
  } else if (const auto* r = std::get_if<1>(&packed)) {
    rule.kind = pcc::DnaRule::kStringency;
    rule.stringency = {(*r)[0], (*r)[1], (*r)[2]};
  } else {
    const auto& m = std::get<2>(packed);
    rule.kind = pcc::DnaRule::kMixture;
    rule.mixture = {m[0], m[1]};
  }
  return rule;
}

// A structured dtype: the fields of T that Python is to see.
struct Field {
  const char* name;
  const char* format;
  size_t offset;
};

py::dtype structure(std::initializer_list<Field> fields, size_t size) {
  py::list names, formats, offsets;
  for (const Field& field : fields) {
    names.append(field.name);
    formats.append(field.format);
    offsets.append(field.offset);
  }
  return py::dtype(names, formats, offsets, static_cast<py::ssize_t>(size));
}

py::array group_table(const pcc::DnaIndex& index, const py::object& owner) {
  using G = pcc::DnaGroup;
  const py::dtype type = structure({{"first_line", "<u8", offsetof(G, first_line)},
                                    {"first_block", "<u4", offsetof(G, first_block)},
                                    {"blocks", "<u4", offsetof(G, blocks)},
                                    {"lines", "<u4", offsetof(G, lines)},
                                    {"key_position", "<u4", offsetof(G, key_position)},
                                    {"all", "(4,)<u8", offsetof(G, all)},
                                    {"any", "(4,)<u8", offsetof(G, any)}},
                                   sizeof(G));
  return py::array(type, {index.groups.size()}, {sizeof(G)}, index.groups.data(), owner);
}

// candidates.HIT. The list's memory becomes the array's.
py::array hit_array(pcc::HitList&& list) {
  using H = PccHit;
  const py::dtype type = structure({{"probe", "<u4", offsetof(H, probe)},
                                    {"row", "<u4", offsetof(H, row)},
                                    {"full", "<u2", offsetof(H, full)},
                                    {"wildcards", "<u2", offsetof(H, wildcards)},
                                    {"microvariants", "<u2", offsetof(H, microvariants)},
                                    {"mismatches", "<u2", offsetof(H, mismatches)},
                                    {"quality", "<u2", offsetof(H, quality)}},
                                   sizeof(H));
  auto* owned = new pcc::HitList(std::move(list));
  py::capsule owner(owned, [](void* p) { delete static_cast<pcc::HitList*>(p); });
  return py::array(type, {owned->size}, {sizeof(H)}, owned->data, owner);
}

// Probes as the rule wants them: (m, loci, width) of T, C order.
template <class T>
const T* probe_data(const pcc::DnaIndex& index, const py::array& probes, py::ssize_t width) {
  if (!Array<T>::check_(probes) || probes.ndim() != 3 || probes.shape(1) != index.loci || probes.shape(2) != width)
    throw py::type_error("probes are uint8[m, " + std::to_string(index.loci) +
                         ", 2], those of a mixture rule uint64[m, " + std::to_string(index.loci) + ", 4], C order");
  return static_cast<const T*>(probes.data());
}

py::array search_dna(const pcc::DnaIndex& index, const py::array& probes, const PackedRule& packed,
                     uint32_t first_block, uint32_t last_block) {
  const pcc::DnaRule rule = dna_rule(packed);
  const bool mixtures = rule.kind == pcc::DnaRule::kMixture;
  const uint8_t* codes = mixtures ? nullptr : probe_data<uint8_t>(index, probes, 2);
  const uint64_t* sets = mixtures ? probe_data<uint64_t>(index, probes, 4) : nullptr;
  const auto search = [&] {
    py::gil_scoped_release release;
    return pcc::search_dna(index, rule, codes, sets, size_t(probes.shape(0)), first_block, last_block);
  };
  return hit_array(search());
}

std::unique_ptr<pcc::DnaRematch> dna_rematch(const pcc::DnaIndex& here, const pcc::DnaIndex* against,
                                             const PackedRule& rule, const std::optional<Codes>& new_rows,
                                             const std::string& ways) {
  using Ways = pcc::DnaRematch::Ways;
  const std::map<std::string, Ways> names = {
      {"cheapest", Ways::kCheapest}, {"joins", Ways::kJoins}, {"bitmaps", Ways::kBitmaps}};
  const auto way = names.find(ways);
  if (way == names.end()) throw std::invalid_argument("ways is cheapest, joins or bitmaps");
  if (new_rows && (new_rows->ndim() != 1 || size_t(new_rows->size()) != here.rows))
    throw std::invalid_argument("new_rows must be uint8, one a row");
  const uint8_t* marks = new_rows ? new_rows->data() : nullptr;
  py::gil_scoped_release release;
  return std::make_unique<pcc::DnaRematch>(here, against, dna_rule(rule), marks, way->second);
}

py::array run_rematch(const pcc::DnaRematch& rematch, size_t task) {
  if (task >= rematch.costs().size()) throw py::index_error("there is no such task");
  const auto run = [&] {
    py::gil_scoped_release release;
    return rematch.run(task);
  };
  return hit_array(run());
}

}  // namespace

void bind_dna_rematch(py::module_& m) {
  py::class_<pcc::DnaRematch>(
      m, "DnaRematch",
      "All pairs within `here`, or of `here` and `against`, as independent tasks. new_rows: uint8, one a\n"
      "row of `here`, only pairs with a marked row. ways: how uniform groups meet, cheapest, joins\n"
      "where possible, or bitmaps only. See csrc/dna_rematch.h.")
      .def(py::init(&dna_rematch), py::arg("here"), py::arg("against"), py::arg("rule"),
           py::arg("new_rows") = py::none(), py::arg("ways") = "cheapest", py::keep_alive<1, 2>(),
           py::keep_alive<1, 3>())
      .def_property_readonly(
          "costs",
          [](const py::object& owner) {
            const std::vector<double>& costs = owner.cast<const pcc::DnaRematch&>().costs();
            return view(costs.data(), {static_cast<py::ssize_t>(costs.size())}, owner);
          },
          "float64, of each task: more or less nanoseconds.")
      .def("run", &run_rematch, py::arg("task"), "The hits of a task; any thread, any order, each once.");
}

namespace {

std::optional<uint32_t> max_differing(const PackedRule& rule) {
  const uint32_t most = pcc::max_differing(dna_rule(rule));
  return most == pcc::kUnfiltered ? std::nullopt : std::optional(most);
}

}  // namespace

void bind_dna_index(py::module_& m) {
  m.def("max_differing", &max_differing, py::arg("rule"),
        "Loci designated on both sides that may differ, or fail, in a pair that the packed rule accepts.\n"
        "None: more than 3, which no filter counts.");
  using I = pcc::DnaIndex;
  py::class_<I> index(m, "DnaIndex", "Search index of DNA profiles; csrc/dna_index.h describes it and each array.");
  index.def(
      py::init(&dna_index), py::arg("parts"), py::arg("loci"), py::kw_only(), py::arg("threads") = 1,
      py::arg("rare_per_million") = 500,
      "parts: [(codes uint8[n, columns, 2], columns int32[columns], live uint8[n] or None), ...]. columns: the\n"
      "locus, 0 .. loci-1, of each column, or -1: not compared. Rows are numbered over the parts in order. The\n"
      "parts are read during the call only. ValueError names part, row and locus of codes that are no sorted pair.");
  index.def_readonly("loci", &I::loci);
  index.def_readonly("rows", &I::rows, "All rows, removed ones included.");
  index.def("__len__", [](const I& i) { return i.live; });
  index.def_property_readonly("blocks", &I::blocks);
  index.def_property_readonly("bytes", &I::bytes, "Memory of everything a search reads.");
  index.def(
      "search", &search_dna, py::arg("probes"), py::arg("rule"), py::arg("first_block") = 0,
      py::arg("last_block") = ~0u,
      "The accepted pairs of probes and profiles in these blocks, candidates.HIT in any order; probe = number of the\n"
      "probe. rule: a packed DnaRule or StringencyRule, probes uint8[m, loci, 2]; or a packed MixtureRule, probes\n"
      "uint64[m, loci, 4]. Any number of threads may search one index.");

  const auto array = [&](const char* name, auto get) {
    index.def_property_readonly(name, [get](const py::object& owner) { return get(owner.cast<const I&>(), owner); });
  };
  using O = const py::object&;
  const auto n = [](size_t size) { return static_cast<py::ssize_t>(size); };
  array("order", [n](const I& i, O o) { return view(i.order.data(), {n(i.positions)}, o); });
  array("allele_line", [n](const I& i, O o) { return view(i.allele_line.data(), {n(i.positions), 256}, o); });
  array("groups", [](const I& i, O o) { return group_table(i, o); });
  array("base", [n](const I& i, O o) { return view(i.base.data(), {n(i.groups.size()), n(i.positions)}, o); });
  array("first_key", [n](const I& i, O o) { return view(i.first_key.data(), {n(i.blocks())}, o); });
  array("lines", [n](const I& i, O o) {
    return view(i.lines.data(), {n(i.lines.size() / pcc::kLineWords), pcc::kLineWords}, o);
  });
  array("codes", [n](const I& i, O o) { return view(i.codes.data(), {n(i.slots()), n(i.stride)}, o); });
  array("row_of_slot", [n](const I& i, O o) { return view(i.row_of_slot.data(), {n(i.slots())}, o); });
}

namespace {

// ---- (match, partial) matrix

std::unique_ptr<pcc::DnaMatrix> dna_matrix(const Array<uint8_t>& codes, const std::optional<Array<uint8_t>>& against) {
  const auto shaped = [&](const Array<uint8_t>& a) {
    return a.ndim() == 3 && a.shape(1) == codes.shape(1) && a.shape(2) == 2 && a.shape(0) < py::ssize_t{1} << 32;
  };
  if (!shaped(codes) || (against && !shaped(*against)))
    throw std::invalid_argument("allele codes must be uint8 (n, loci, 2), of equally many loci in both arrays");
  const uint8_t* other = against ? against->data() : nullptr;
  const size_t others = against ? size_t(against->shape(0)) : 0;
  py::gil_scoped_release release;
  return std::make_unique<pcc::DnaMatrix>(codes.data(), size_t(codes.shape(0)), other, others,
                                          uint32_t(codes.shape(1)));
}

py::tuple matrix_of_block(const pcc::DnaMatrix& matrix, size_t block, uint32_t at_least) {
  if (block >= matrix.blocks()) throw py::index_error("block");
  const py::ssize_t values = py::ssize_t{matrix.loci()} + 1;
  py::array_t<int64_t> counts({values, values});
  auto* cells = reinterpret_cast<uint64_t*>(counts.mutable_data());
  std::vector<pcc::MatchedPair> pairs;
  {
    py::gil_scoped_release release;
    std::fill_n(cells, values * values, 0);
    matrix.count(block, cells, at_least, pairs);
  }
  py::array_t<uint32_t> table({py::ssize_t(pairs.size()), py::ssize_t{4}});
  static_assert(sizeof(pcc::MatchedPair) == 4 * sizeof(uint32_t));
  if (!pairs.empty()) std::memcpy(table.mutable_data(), pairs.data(), pairs.size() * sizeof(pcc::MatchedPair));
  return py::make_tuple(counts, table);
}

}  // namespace

void bind_dna_matrix(py::module_& m) {
  py::class_<pcc::DnaMatrix>(m, "DnaMatrix",
                             "Counter of pairs by matching and partially matching loci; keeps `codes` alive.")
      .def(py::init(&dna_matrix), py::arg("codes").noconvert(), py::arg("against").noconvert().none(true),
           py::keep_alive<1, 2>(), "uint8 (n, loci, 2) in C order each; against None: the pairs of `codes`.")
      .def_property_readonly("blocks", &pcc::DnaMatrix::blocks, "Parts of the work.")
      .def(
          "count", &matrix_of_block, py::arg("block"), py::arg("at_least"),
          "(int64 (loci + 1, loci + 1) counts, uint32 (k, 4) pairs with at least so many matching loci, in any order:\n"
          "row, other row, matching loci, partially matching loci) of one block; from several threads at once, too.");
}
