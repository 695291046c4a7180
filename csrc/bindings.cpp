// The only file that knows Python: converts arrays, releases the GIL, calls the rest of csrc/.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "compare_dna.h"
#include "csv_cells.h"
#include "dna_index.h"
#include "dna_matrix.h"
#include "dna_rematch.h"
#include "dna_search.h"
#include "extract.h"
#include "finger_pack.h"
#include "finger_sets.h"
#include "ids.h"
#include "isa.h"
#include "lossless_jpeg.h"
#include "marker_stream.h"
#include "minutiae_rows.h"
#include "profile_columns.h"
#include "synth_minutiae.h"
#include "wsq.h"

namespace py = pybind11;

namespace {

template <class T>
using Array = py::array_t<T, py::array::c_style>;

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

void bind_compare(py::module_& m) {
  const char* const pairwise =
      "Rows of a, uint8 (n or 1, loci, 2) codes or uint64 (n or 1, loci, 4) sets, against rows of b.\n"
      "b is uint8 (n, loci, 2). Returns uint16 (n, 5): full, wildcards, microvariants, mismatches, quality, 0 = none.";
  m.def("compare_dna", compare_dna, py::arg("a"), py::arg("b"), py::arg("rule"), pairwise);
  m.def("compare_stringency", compare_stringency, py::arg("a"), py::arg("b"), py::arg("rule"), pairwise);
  m.def("compare_mixture", compare_mixture, py::arg("a"), py::arg("b"), py::arg("rule"), pairwise);
}

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

std::optional<uint32_t> max_differing(const PackedRule& rule) {
  const uint32_t most = pcc::max_differing(dna_rule(rule));
  return most == pcc::kUnfiltered ? std::nullopt : std::optional(most);
}

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

template <typename T>
using Array = py::array_t<T, py::array::c_style>;  // noconvert: another dtype is a TypeError, never a silent copy

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

// ---- ids

pcc::IdColumn id_column(const Array<uint8_t>& heap, const Array<uint64_t>& offsets, const py::object& live) {
  const py::ssize_t count = offsets.size() - 1;
  if (heap.ndim() != 1 || offsets.ndim() != 1 || count < 0 || count >= py::ssize_t(pcc::kNoRow))
    throw std::invalid_argument("ids: heap uint8[bytes], offsets uint64[n + 1]");
  pcc::IdColumn ids{heap.data(), offsets.data(), uint32_t(count), nullptr};
  for (py::ssize_t i = 0; i < count; ++i)
    if (ids.offsets[i] > ids.offsets[i + 1]) throw std::invalid_argument("ids: offsets must ascend");
  if (ids.offsets[count] > uint64_t(heap.size())) throw std::invalid_argument("ids: offsets reach beyond the heap");
  if (!live.is_none()) {
    const auto mask = live.cast<Array<uint8_t>>();
    if (mask.ndim() != 1 || mask.size() != count) throw std::invalid_argument("ids: live must have one byte a row");
    ids.live = mask.data();
  }
  return ids;
}

void bind_ids(py::module_& m) {
  using Ids = std::tuple<Array<uint8_t>, Array<uint64_t>, py::object>;
  m.def(
      "sort_ids",
      [](const Array<uint8_t>& heap, const Array<uint64_t>& offsets) {
        const pcc::IdColumn ids = id_column(heap, offsets, py::none());
        Array<uint32_t> order(ids.count);
        Array<bool> first(ids.count);
        uint32_t* order_data = order.mutable_data();
        auto* first_data = reinterpret_cast<uint8_t*>(first.mutable_data());
        py::gil_scoped_release release;
        pcc::sort_ids(ids, order_data, first_data);
        py::gil_scoped_acquire acquire;
        return py::make_tuple(order, first);
      },
      py::arg("heap").noconvert(), py::arg("offsets").noconvert(),
      "(order uint32[n], first bool[n]): rows by id bytewise, equal ids in row order; where a new id begins.");
  m.def(
      "rank_ids",
      [](const std::vector<Ids>& columns) {
        std::vector<pcc::IdColumn> ids;
        size_t rows = 0;
        for (const auto& [heap, offsets, live] : columns) {
          ids.push_back(id_column(heap, offsets, live));
          rows += ids.back().count;
        }
        Array<uint32_t> ranks(rows);
        uint32_t* data = ranks.mutable_data();
        py::gil_scoped_release release;
        pcc::rank_ids(ids, data);
        py::gil_scoped_acquire acquire;
        return ranks;
      },
      py::arg("columns"),
      "uint32 ranks of the rows of [(heap, offsets, live or None), ...], one column after the other; each sorted by "
      "id.\n"
      "Dead rows get 2**32 - 1; equal ids of two columns stand side by side, the earlier column first.");
  py::class_<pcc::IdIndex>(m, "IdIndex", "Id -> row number; keeps the arrays that were added alive.")
      .def(py::init<>())
      .def("__len__", &pcc::IdIndex::size)
      .def(
          "add",
          [](pcc::IdIndex& self, const Array<uint8_t>& heap, const Array<uint64_t>& offsets, const py::object& live,
             uint32_t first_row) {
            const pcc::IdColumn ids = id_column(heap, offsets, live);
            py::gil_scoped_release release;
            self.add(ids, first_row);
          },
          py::arg("heap").noconvert(), py::arg("offsets").noconvert(), py::arg("live"), py::arg("first_row"),
          py::keep_alive<1, 2>(), py::keep_alive<1, 3>(), "Live ids get the rows first_row ...; one seen before moves.")
      .def(
          "find",
          [](const pcc::IdIndex& self, const Array<uint8_t>& heap, const Array<uint64_t>& offsets) {
            const pcc::IdColumn ids = id_column(heap, offsets, py::none());
            Array<uint32_t> rows(ids.count);
            uint32_t* data = rows.mutable_data();
            py::gil_scoped_release release;
            self.find(ids, data);
            py::gil_scoped_acquire acquire;
            return rows;
          },
          py::arg("heap").noconvert(), py::arg("offsets").noconvert(), "uint32 row of each id; 2**32 - 1 = not there.");
}

// ---- minutiae of ANSI/NIST-ITL records

// int32 (n, 5), or None for a field whose minutiae are not all of the usual form.
py::object minutiae_rows(const py::bytes& field, int number) {
  static const std::map<int, pcc::MinutiaeForm> forms = {
      {12, pcc::MinutiaeForm::kStandard}, {23, pcc::MinutiaeForm::kIafis}, {137, pcc::MinutiaeForm::kM1}};
  const auto form = forms.find(number);
  if (form == forms.end()) throw std::invalid_argument("minutiae stand in field 12, 23 or 137");
  const std::string_view text = field;
  const std::vector<int32_t> rows = pcc::minutiae_rows(text.data(), text.size(), form->second);
  if (rows.empty()) return py::none();
  return py::array_t<int32_t>({py::ssize_t(rows.size() / 5), py::ssize_t{5}}, rows.data());
}

void bind_minutiae(py::module_& m) {
  m.def("minutiae_rows", minutiae_rows, py::arg("field"), py::arg("number"),
        "Numbers of 9.012, 9.023 or 9.137: x, y, angle, type, quality as written, or None (see minutiae_rows.h).");
}

// ---- fingerprints ----

template <class T>
const T* column(const Array<T>& array, size_t size, const char* name) {
  if (static_cast<size_t>(array.size()) != size)
    throw std::invalid_argument(std::string("fingers: ") + name + " has the wrong length");
  return array.data();
}

// Owned by Python, which keeps the arrays alive.
pcc::FingerColumns finger_columns(const Array<uint32_t>& start, const Array<uint8_t>& count, const Array<int16_t>& left,
                                  const Array<int16_t>& top, const Array<uint8_t>& cell, const Array<uint64_t>& order,
                                  const Array<uint32_t>& area, const Array<uint32_t>& words,
                                  const Array<uint16_t>& inverse, const Array<int16_t>& x, const Array<int16_t>& y,
                                  const Array<uint8_t>& direction) {
  const auto sets = static_cast<size_t>(count.size());
  if (start.size() != count.size() + 1) throw std::invalid_argument("fingers: start has one entry more than count");
  const uint32_t* at = start.data();
  for (size_t k = 0; k < sets; ++k)
    if (at[k] % 8 || at[k] > at[k + 1] || at[k + 1] - at[k] != (count.data()[k] + 7u) / 8 * 8 ||
        count.data()[k] > kPccMinutiae || cell.data()[k] > 31)
      throw std::invalid_argument("fingers: start, count and cell do not fit");
  const size_t room = at[sets];
  return {at,
          count.data(),
          column(left, sets, "left"),
          column(top, sets, "top"),
          column(cell, sets, "cell"),
          column(order, sets, "order"),
          column(area, sets * kPccCells, "area"),
          column(words, room * kPccWords, "words"),
          column(inverse, room, "inverse"),
          column(x, room, "x"),
          column(y, room, "y"),
          column(direction, room, "direction"),
          sets};
}

// The packed columns of sets of minutiae that stand one behind the other.
py::tuple pack_fingers(const Array<int16_t>& x, const Array<int16_t>& y, const Array<uint8_t>& angle,
                       const Array<uint8_t>& quality, const Array<uint64_t>& offsets) {
  const auto sets = static_cast<size_t>(offsets.size()) - 1;
  const uint64_t* at = offsets.data();
  for (size_t k = 0; k < sets; ++k)
    if (at[k] > at[k + 1]) throw std::invalid_argument("fingers: offsets must ascend");
  const auto size = static_cast<size_t>(at[sets]);
  const pcc::RawMinutiae all = {column(x, size, "x"), column(y, size, "y"), column(angle, size, "angle"),
                                column(quality, size, "quality"), 0};
  std::vector<std::vector<uint32_t>> chosen(sets);
  Array<uint32_t> start(static_cast<py::ssize_t>(sets + 1));
  uint32_t* starts = start.mutable_data();
  const auto raw = [&](size_t k) {
    return pcc::RawMinutiae{all.x + at[k], all.y + at[k], all.angle + at[k], all.quality + at[k],
                            static_cast<uint32_t>(at[k + 1] - at[k])};
  };
  {
    py::gil_scoped_release release;
    starts[0] = 0;
    for (size_t k = 0; k < sets; ++k) {
      chosen[k] = pcc::choose_minutiae(raw(k));
      starts[k + 1] = starts[k] + static_cast<uint32_t>((chosen[k].size() + 7) / 8 * 8);
    }
  }
  const auto room = static_cast<py::ssize_t>(starts[sets]), n = static_cast<py::ssize_t>(sets);
  Array<uint8_t> count(n), cell(n), direction(room);
  Array<int16_t> left(n), top(n), packed_x(room), packed_y(room);
  Array<uint64_t> order(n);
  Array<uint32_t> area({n, py::ssize_t{kPccCells}}), words(room * py::ssize_t{kPccWords}), source(room);
  Array<uint16_t> inverse(room);
  const auto zeroed = [](auto& array) {
    std::memset(array.mutable_data(), 0, static_cast<size_t>(array.nbytes()));
    return array.mutable_data();
  };
  const pcc::FingerRoom to = {zeroed(words), zeroed(inverse), zeroed(packed_x), zeroed(packed_y), zeroed(direction),
                              zeroed(area),  zeroed(left),    zeroed(top),      zeroed(cell),     zeroed(order)};
  uint8_t* counts = zeroed(count);
  uint32_t* sources = source.mutable_data();
  std::memset(sources, 0xFF, static_cast<size_t>(source.nbytes()));
  {
    py::gil_scoped_release release;
    for (size_t k = 0; k < sets; ++k) {
      const size_t s = starts[k];
      counts[k] = static_cast<uint8_t>(chosen[k].size());
      for (size_t i = 0; i < chosen[k].size(); ++i) sources[s + i] = static_cast<uint32_t>(at[k]) + chosen[k][i];
      pcc::pack_minutiae(raw(k), chosen[k],
                         {to.words + s * kPccWords, to.inverse + s, to.x + s, to.y + s, to.direction + s,
                          to.area + k * kPccCells, to.left + k, to.top + k, to.cell + k, to.order + k});
    }
  }
  return py::make_tuple(start, count, left, top, cell, order, area, words, inverse, packed_x, packed_y, direction,
                        source);
}

py::dict finger_comparison(const pcc::FingerColumns& a, size_t i, const pcc::FingerColumns& b, size_t j,
                           uint32_t mode) {
  if (i >= a.sets || j >= b.sets) throw std::out_of_range("fingers: there is no such set");
  PccFingerResult r;
  pcc_compare_fingers(a.set(i), b.set(j), mode, r);
  const auto pairs = [&](const pcc_u8* first, const pcc_u8* second, pcc_u32 count) {
    Array<uint8_t> rows({py::ssize_t{count}, py::ssize_t{2}});
    for (pcc_u32 k = 0; k < count; ++k) {
      rows.mutable_at(k, 0) = r.swapped ? second[k] : first[k];
      rows.mutable_at(k, 1) = r.swapped ? first[k] : second[k];
    }
    return rows;
  };
  using namespace py::literals;
  const PccPose& p = r.pose;
  return py::dict(
      "score"_a = r.score, "swapped"_a = bool(r.swapped), "candidates"_a = r.candidates,
      "accepted"_a = pairs(r.accepted_a, r.accepted_b, r.accepted), "agreement"_a = r.agreement,
      "paired"_a = pairs(r.paired_a, r.paired_b, r.paired), "closeness"_a = r.closeness,
      "overlap"_a = r.swapped ? py::make_tuple(r.overlap_b, r.overlap_a) : py::make_tuple(r.overlap_a, r.overlap_b),
      "resemblance"_a = r.resemblance, "left_early"_a = bool(r.left_early),
      "pose"_a = py::make_tuple(p.ax, p.ay, p.bx, p.by, p.cosine, p.sine, p.turn));
}

void bind_fingers(py::module_& m) {
  m.def("pack_fingers", pack_fingers, py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("angle").noconvert(),
        py::arg("quality").noconvert(), py::arg("offsets").noconvert(),
        "Sets of minutiae, set k from offsets[k] on, as the columns of finger/columns.py.\n"
        "(start, count, left, top, cell, order, area, words, inverse, x, y, direction, source); source uint32: the\n"
        "minutia that stands in a place, 2**32 - 1 in the places that are free.");
  py::class_<pcc::FingerColumns>(m, "FingerSets", "Packed sets of minutiae; keeps the arrays alive.")
      .def(py::init(&finger_columns), py::arg("start").noconvert(), py::arg("count").noconvert(),
           py::arg("left").noconvert(), py::arg("top").noconvert(), py::arg("cell").noconvert(),
           py::arg("order").noconvert(), py::arg("area").noconvert(), py::arg("words").noconvert(),
           py::arg("inverse").noconvert(), py::arg("x").noconvert(), py::arg("y").noconvert(),
           py::arg("direction").noconvert(), py::keep_alive<1, 2>(), py::keep_alive<1, 3>(), py::keep_alive<1, 4>(),
           py::keep_alive<1, 5>(), py::keep_alive<1, 6>(), py::keep_alive<1, 7>(), py::keep_alive<1, 8>(),
           py::keep_alive<1, 9>(), py::keep_alive<1, 10>(), py::keep_alive<1, 11>(), py::keep_alive<1, 12>(),
           py::keep_alive<1, 13>())
      .def("__len__", [](const pcc::FingerColumns& self) { return self.sets; })
      .def("compare", finger_comparison, py::arg("set"), py::arg("other"), py::arg("other_set"), py::arg("mode"),
           "Every partial sum of the comparison of two sets, by the definition (kernels/compare_finger.h).")
      .def(
          "scores",
          [](const pcc::FingerColumns& self, const Array<uint32_t>& sets, size_t first, size_t last,
             const pcc::FingerColumns& references, const Array<uint32_t>& reference_sets, uint32_t mode,
             uint32_t stages, const std::optional<Array<bool>>& wanted) {
            const auto check = [](const Array<uint32_t>& sets, size_t end) {
              for (py::ssize_t k = 0; k < sets.size(); ++k)
                if (sets.data()[k] > end || (k && sets.data()[k - 1] > sets.data()[k]))
                  throw std::invalid_argument("fingers: sets must ascend, and end with the sets that are there");
              if (!sets.size())
                throw std::invalid_argument("fingers: sets has one entry more than there are templates");
            };
            check(sets, self.sets), check(reference_sets, references.sets);
            if (first > last || last >= static_cast<size_t>(sets.size()))
              throw std::out_of_range("fingers: there are no such probes");
            const auto columns = static_cast<size_t>(reference_sets.size()) - 1;
            if (wanted && static_cast<size_t>(wanted->size()) != columns)
              throw std::invalid_argument("fingers: wanted has one entry for each reference");
            Array<int32_t> scores({static_cast<py::ssize_t>(last - first), static_cast<py::ssize_t>(columns)});
            int32_t* out = scores.mutable_data();
            const auto* want = wanted ? reinterpret_cast<const uint8_t*>(wanted->data()) : nullptr;
            py::gil_scoped_release release;
            pcc::score_fingers(self, sets.data(), first, last, references, reference_sets.data(), columns, want, mode,
                               static_cast<pcc::FingerStage>(std::min<uint32_t>(stages, pcc::kScore)), out);
            py::gil_scoped_acquire acquire;
            return scores;
          },
          py::arg("sets").noconvert(), py::arg("first"), py::arg("last"), py::arg("references"),
          py::arg("reference_sets").noconvert(), py::arg("mode"), py::arg("stages") = pcc::kScore + 0u,
          py::arg("wanted") = py::none(),
          "int32 (last - first, references): scores of templates first ... last, whose sets begin at sets[k]; 0 with\n"
          "references that are not wanted.\n"
          "Not scores but zeros after fewer than all stages (csrc/finger_kernels.h), for benchmarks; the portable\n"
          "level always takes all.");
}

// ---- delimiter-separated files

// The vector's memory becomes the array's: nothing is copied.
template <class T>
py::array_t<T> as_array(std::vector<T>&& values) {
  auto* owned = new std::vector<T>(std::move(values));
  py::capsule owner(owned, [](void* p) { delete static_cast<std::vector<T>*>(p); });
  return py::array_t<T>(owned->size(), owned->data(), owner);
}

std::string_view bytes_of(const py::buffer_info& text) {
  return {static_cast<const char*>(text.ptr), static_cast<size_t>(text.size * text.itemsize)};
}

// The first record's cells, the bytes and line ends up to the next record; None where there is no whole record.
py::object csv_record(const py::buffer& data, char delimiter, bool last) {
  const py::buffer_info info = data.request();
  pcc::CsvSplitter splitter(bytes_of(info), delimiter, last);
  if (splitter.next() != pcc::CsvSplitter::Found::record) return py::none();
  py::list cells;
  for (std::string_view cell : splitter.cells()) cells.append(py::bytes(cell.data(), cell.size()));
  return py::make_tuple(cells, splitter.consumed(), splitter.consumed_lines());
}

py::tuple csv_rows(const py::buffer& data, char delimiter, bool last,
                   const std::vector<std::pair<int32_t, uint32_t>>& columns, const std::vector<uint32_t>& widths,
                   size_t max_rows) {
  const py::buffer_info info = data.request();
  std::vector<pcc::CsvColumn> places;
  for (const auto& [table, position] : columns) places.push_back({table, position});
  pcc::CsvRows rows;
  {
    py::gil_scoped_release unlocked;
    rows = pcc::read_csv_rows(bytes_of(info), delimiter, last, places, widths, max_rows);
  }
  const size_t count = rows.cells.size();
  py::list tables;
  for (pcc::CsvTable& table : rows.tables)
    tables.append(py::make_tuple(py::bytes(table.texts.heap), as_array(std::move(table.texts.offsets)),
                                 as_array(std::move(table.numbers)).reshape({count, size_t{table.width}})));
  return py::make_tuple(tables, as_array(std::move(rows.begin)), as_array(std::move(rows.end)),
                        as_array(std::move(rows.line)), as_array(std::move(rows.cells)), rows.consumed, rows.lines,
                        rows.too_long);
}

Array<bool> used_texts(const Array<uint16_t>& numbers, size_t texts) {
  if (numbers.ndim() != 3) throw std::invalid_argument("expected numbers (n, loci, slots)");
  Array<bool> used({numbers.shape(1), static_cast<py::ssize_t>(texts)});
  static_assert(sizeof(bool) == 1);
  uint8_t* out = reinterpret_cast<uint8_t*>(used.mutable_data());
  const auto size = [&](int axis) { return static_cast<size_t>(numbers.shape(axis)); };
  py::gil_scoped_release unlocked;
  pcc::mark_used(numbers.data(), size(0), size(1), size(2), texts, out);
  return used;
}

void bind_csv(py::module_& m) {
  m.def("used_texts", used_texts, py::arg("numbers"), py::arg("texts"),
        "Which of the numbers 0 .. texts - 1 each locus of numbers uint16[n, loci, slots] has: bool[loci, texts].");
  m.def("csv_record", csv_record, py::arg("data"), py::arg("delimiter"), py::arg("last"),
        "(cells, size, lines) of the first record, with its line end; None where `data` has no whole record.");
  m.def("csv_rows", csv_rows, py::arg("data"), py::arg("delimiter"), py::arg("last"), py::arg("columns"),
        py::arg("widths"), py::arg("max_rows"),
        "Rows of `data`, their cells numbered, as csrc/csv_cells.h describes; a column is (table, position).\n"
        "Returns tables [(heap, offsets, numbers uint16[rows, width]), ...], and begin, end, line, cells of each row;\n"
        "consumed, lines, too_long.");
}

// ---- images: streams in, arrays out; a damaged stream is ValueError(message, offset) ----

// The array takes over memory that new[] made.
Array<uint8_t> image_array(std::unique_ptr<uint8_t[]> samples, std::vector<py::ssize_t> shape) {
  uint8_t* memory = samples.release();
  const py::capsule owner(memory, [](void* p) { delete[] static_cast<uint8_t*>(p); });
  return Array<uint8_t>(std::move(shape), memory, owner);
}

template <class Decode>
auto decode_unlocked(const Array<uint8_t>& data, size_t pixel_limit, Decode decode) {
  const uint8_t* bytes = data.data();
  const auto size = static_cast<size_t>(data.size());
  py::gil_scoped_release release;
  return decode(bytes, size, pixel_limit);
}

void bind_images(py::module_& m) {
  py::register_local_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const pcc::StreamError& e) {
      PyErr_SetObject(PyExc_ValueError, py::make_tuple(e.what(), e.offset).ptr());
    }
  });
  m.def(
      "wsq_header",
      [](const Array<uint8_t>& data) {
        const pcc::wsq::Header header = pcc::wsq::read_header(data.data(), static_cast<size_t>(data.size()));
        py::list comments;
        for (const std::string& comment : header.comments) comments.append(py::bytes(comment));
        return py::make_tuple(header.width, header.height, comments);
      },
      py::arg("data").noconvert(), "(width, height, comment segments).");
  m.def(
      "wsq_decode",
      [](const Array<uint8_t>& data, size_t pixel_limit) {
        pcc::wsq::Image image = decode_unlocked(data, pixel_limit, pcc::wsq::decode);
        return image_array(std::move(image.pixels), {image.height, image.width});
      },
      py::arg("data").noconvert(), py::arg("pixel_limit"), "uint8 (height, width).");
  m.def(
      "wsq_encode",
      [](const Array<uint8_t>& pixels, int ppi, double ratio) {
        const uint8_t* grey = pixels.data();
        const auto height = static_cast<int>(pixels.shape(0)), width = static_cast<int>(pixels.shape(1));
        std::vector<uint8_t> stream;
        {
          py::gil_scoped_release release;
          stream = pcc::wsq::encode(grey, width, height, ppi, ratio);
        }
        return py::bytes(reinterpret_cast<const char*>(stream.data()), stream.size());
      },
      py::arg("pixels").noconvert(), py::arg("ppi"), py::arg("ratio"), "The stream of uint8 (height, width).");
  m.def(
      "lossless_jpeg_decode",
      [](const Array<uint8_t>& data, size_t pixel_limit) {
        pcc::lossless_jpeg::Image image = decode_unlocked(data, pixel_limit, pcc::lossless_jpeg::decode);
        return image_array(std::move(image.samples), {image.height, image.width, image.components});
      },
      py::arg("data").noconvert(), py::arg("pixel_limit"), "uint8 (height, width, components).");
  m.attr("WSQ_SIDES") = py::make_tuple(pcc::wsq::kMinSide, pcc::wsq::kMaxSide);
}

// ---- synthetic fingers

// A struct of int32 from as many numbers.
template <class Struct>
Struct numbers_as(const int32_t* numbers, py::ssize_t count) {
  Struct made;
  if (count * py::ssize_t{sizeof(int32_t)} != py::ssize_t{sizeof made})
    throw std::invalid_argument("expected " + std::to_string(sizeof made / sizeof(int32_t)) + " numbers");
  std::memcpy(&made, numbers, sizeof made);
  return made;
}

pcc::FingerTables finger_tables(uint64_t master_key, uint64_t impression_key, const std::vector<int32_t>& model,
                                const Array<int32_t>& patterns, const Array<int32_t>& captures,
                                std::vector<int16_t> sine, std::vector<uint16_t> arctangent) {
  if (patterns.ndim() != 2 || patterns.shape(0) != pcc::kPatterns || captures.ndim() != 2 || captures.shape(0) < 1)
    throw std::invalid_argument("expected patterns (5, numbers) and captures (n, numbers)");
  if (sine.size() != 1024 || arctangent.size() != 257)
    throw std::invalid_argument("expected 1024 sines and 257 arc tangents");
  pcc::FingerTables tables;
  tables.model = numbers_as<pcc::FingerModel>(model.data(), py::ssize_t(model.size()));
  for (py::ssize_t i = 0; i < pcc::kPatterns; ++i)
    tables.patterns[size_t(i)] = numbers_as<pcc::Pattern>(patterns.data(i, 0), patterns.shape(1));
  for (py::ssize_t i = 0; i < captures.shape(0); ++i)
    tables.captures.push_back(numbers_as<pcc::Capture>(captures.data(i, 0), captures.shape(1)));
  tables.sine = std::move(sine);
  tables.arctangent = std::move(arctangent);
  tables.master_key = master_key;
  tables.impression_key = impression_key;
  if (tables.model.steepness < 256) throw std::invalid_argument("steepness is 256 or more");
  pcc::complete(tables);
  return tables;
}

template <class Make>
py::tuple prints_made(Make make) {
  pcc::Prints p;
  {
    py::gil_scoped_release unlocked;
    p = make();
  }
  return py::make_tuple(as_array(std::move(p.offsets)), as_array(std::move(p.x)), as_array(std::move(p.y)),
                        as_array(std::move(p.angle)), as_array(std::move(p.type)), as_array(std::move(p.quality)),
                        as_array(std::move(p.origin)), as_array(std::move(p.pattern)), as_array(std::move(p.capture)),
                        as_array(std::move(p.print_quality)), as_array(std::move(p.rotation)),
                        as_array(std::move(p.origin_x)), as_array(std::move(p.origin_y)));
}

void bind_synthesis(py::module_& m) {
  using F = pcc::FingerTables;
  py::class_<F>(m, "SynthFingers", "The model of datasets/minutiae.py with a seed; columns as in synth_minutiae.h.")
      .def(py::init(&finger_tables), py::arg("master_key"), py::arg("impression_key"), py::arg("model"),
           py::arg("patterns"), py::arg("captures"), py::arg("sine"), py::arg("arctangent"))
      .def(
          "flow",
          [](const F& t, uint32_t finger, int step, int rows, int columns) {
            if (step < 1 || rows < 1 || columns < 1 || rows > 4096 || columns > 4096)
              throw std::invalid_argument("step, rows and columns are at least 1, rows and columns at most 4096");
            pcc::FlowMap f = pcc::make_flow_map(t, finger, step, rows, columns);
            return py::make_tuple(f.pattern, f.pad_width, f.pad_height, as_array(std::move(f.points)),
                                  as_array(std::move(f.directions)).reshape({rows, columns}));
          },
          py::arg("finger"), py::arg("step"), py::arg("rows"), py::arg("columns"))
      .def(
          "masters",
          [](const F& t, uint32_t first, uint32_t count) {
            return prints_made([&] { return pcc::make_masters(t, first, count); });
          },
          py::arg("first"), py::arg("count"))
      .def(
          "impressions",
          [](const F& t, uint32_t first, uint32_t count, uint32_t first_impression, uint32_t impressions) {
            return prints_made([&] { return pcc::make_impressions(t, first, count, first_impression, impressions); });
          },
          py::arg("first"), py::arg("count"), py::arg("first_impression"), py::arg("impressions"));
}

// ---- minutiae extraction

template <class T>
py::array_t<T> copied(const std::vector<T>& values, py::ssize_t rows, py::ssize_t columns) {
  py::array_t<T> out({rows, columns});
  std::copy(values.begin(), values.end(), out.mutable_data());
  return out;
}

void require_grey(const Array<uint8_t>& image) {
  if (image.ndim() != 2 || image.size() == 0) throw std::invalid_argument("expected uint8 (height, width)");
}

py::array_t<uint8_t> resample(const Array<uint8_t>& image, int height, int width) {
  require_grey(image);
  if (height < 1 || width < 1) throw std::invalid_argument("an image has a height and a width");
  std::vector<uint8_t> out;
  {
    py::gil_scoped_release release;
    out = pcc::extract::resample(image.data(), int(image.shape(1)), int(image.shape(0)), width, height);
  }
  return copied(out, height, width);
}

py::array_t<int16_t> minutiae_array(const std::vector<pcc::extract::Minutia>& minutiae) {
  py::array_t<int16_t> rows({py::ssize_t(minutiae.size()), py::ssize_t{5}});
  int16_t* to = rows.mutable_data();
  for (const pcc::extract::Minutia& m : minutiae)
    for (const int value : {int(m.x), int(m.y), int(m.angle), int(m.type), int(m.quality)}) *to++ = int16_t(value);
  return rows;
}

py::dict extract_print(const Array<uint8_t>& image, int set) {
  require_grey(image);
  if (set < 0 || set >= int(std::size(pcc::extract::kFilters))) throw std::invalid_argument("no such set");
  const auto height = py::ssize_t(image.shape(0)), width = py::ssize_t(image.shape(1));
  pcc::extract::Print print;
  {
    py::gil_scoped_release release;
    print = pcc::extract::extract(image.data(), int(width), int(height), pcc::extract::kFilters[set]);
  }
  const pcc::extract::Maps& maps = print.maps;
  py::dict result;
  result["minutiae"] = minutiae_array(print.minutiae);
  result["cos2"] = copied(maps.cos2, maps.rows, maps.columns);
  result["sin2"] = copied(maps.sin2, maps.rows, maps.columns);
  result["wavelength"] = copied(maps.wavelength, maps.rows, maps.columns);
  result["quality"] = copied(maps.quality, maps.rows, maps.columns);
  result["mask"] = copied(maps.mask, maps.rows, maps.columns);
  result["enhanced"] = copied(print.enhanced, height, width);
  result["skeleton"] = copied(print.skeleton, height, width);
  return result;
}

void bind_extract(py::module_& m) {
  m.def("resample", resample, py::arg("image").noconvert(), py::arg("height"), py::arg("width"),
        "uint8 (height, width) from uint8 of any other size.");
  m.def("extract_print", extract_print, py::arg("image").noconvert(), py::arg("set"),
        "Minutiae int16 (n, 5): x, y, angle, type, quality, best first; and the maps of csrc/extract.h.");
  m.attr("EXTRACT_CELL") = pcc::extract::kCell;
}

}  // namespace

PYBIND11_MODULE(_cpu, m) {
  m.doc() = "CPU back end of pcc_match";
  m.def("isa", [] { return std::string(pcc::isa_name(pcc::active_isa())); }, "Instruction-set level in use.");
  m.def(
      "set_isa", [](const std::string& name) { pcc::set_isa(name); }, py::arg("name"),
      "Use another level: 'avx512', 'avx2' or 'portable'; ValueError where this CPU lacks it.");
  m.def("available_isas", [] { return pcc::available_isas(); }, "Levels that this CPU and its OS can run, best first.");
  bind_compare(m);
  bind_dna_index(m);
  bind_dna_matrix(m);
  bind_dna_rematch(m);
  bind_ids(m);
  bind_minutiae(m);
  bind_fingers(m);
  bind_csv(m);
  bind_images(m);
  bind_synthesis(m);
  bind_extract(m);
}
