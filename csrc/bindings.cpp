// The only file that knows Python: converts arrays, releases the GIL, calls the rest of csrc/.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <stdexcept>
#include <string>
#include <utility>

#include "compare_dna.h"
#include "csv_cells.h"
#include "dna_index.h"
#include "ids.h"
#include "isa.h"
#include "lossless_jpeg.h"
#include "marker_stream.h"
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

py::array group_table(const pcc::DnaIndex& index, const py::object& owner) {
  using G = pcc::DnaGroup;
  py::list names, formats, offsets;
  const auto field = [&](const char* name, const char* format, size_t offset) {
    names.append(name);
    formats.append(format);
    offsets.append(offset);
  };
  field("first_line", "<u8", offsetof(G, first_line));
  field("first_block", "<u4", offsetof(G, first_block));
  field("blocks", "<u4", offsetof(G, blocks));
  field("lines", "<u4", offsetof(G, lines));
  field("key_position", "<u4", offsetof(G, key_position));
  field("all", "(4,)<u8", offsetof(G, all));
  field("any", "(4,)<u8", offsetof(G, any));
  return py::array(py::dtype(names, formats, offsets, sizeof(G)), {index.groups.size()}, {sizeof(G)},
                   index.groups.data(), owner);
}

py::dict dna_probes(const pcc::DnaIndex& index, const Codes& codes) {
  if (codes.ndim() != 3 || codes.shape(1) != index.loci || codes.shape(2) != 2)
    throw std::invalid_argument("probes must be uint8[m, " + std::to_string(index.loci) + ", 2]");
  const pcc::DnaProbes probes = pcc::encode_probes(index, codes.data(), size_t(codes.shape(0)));
  const py::ssize_t m = codes.shape(0), positions = index.positions;
  const auto copy = [](auto* data, std::vector<py::ssize_t> shape) {
    return py::array_t<std::decay_t<decltype(*data)>>(std::move(shape), data);
  };
  py::dict d;
  d["designated"] = copy(reinterpret_cast<const uint64_t*>(probes.designated.data()), {m, 4});
  d["possible"] = copy(reinterpret_cast<const uint64_t*>(probes.possible.data()), {m, 4});
  d["first"] = copy(probes.first.data(), {m, positions});
  d["second"] = copy(probes.second.data(), {m, positions});
  d["codes"] = copy(probes.codes.data(), {m, py::ssize_t(index.stride)});
  return d;
}

void bind_dna_index(py::module_& m) {
  using I = pcc::DnaIndex;
  const auto size = [](size_t n) { return static_cast<py::ssize_t>(n); };
  py::class_<I>(m, "DnaIndex", "Search index of DNA profiles; csrc/dna_index.h describes it and every array here.")
      .def(py::init(&dna_index), py::arg("parts"), py::arg("loci"), py::kw_only(), py::arg("threads") = 1,
           py::arg("rare_per_million") = 500,
           "parts: [(codes uint8[n, columns, 2], columns int32[columns], live uint8[n] or None), ...]; columns give "
           "the\n"
           "locus 0..loci-1 of each column, -1 = not compared. Rows are numbered over the parts in order. The parts "
           "are\n"
           "read during the call only. ValueError names part, row and locus of codes that are no sorted pair.")
      .def_readonly("loci", &I::loci)
      .def_readonly("rows", &I::rows, "All rows, removed ones included.")
      .def("__len__", [](const I& i) { return i.live; })
      .def_property_readonly("blocks", &I::blocks)
      .def_property_readonly("bytes", &I::bytes, "Memory of everything a search reads.")
      .def_property_readonly("order",
                             [=](py::object o) {
                               auto& i = o.cast<const I&>();
                               return view(i.order.data(), {size(i.order.size())}, o);
                             })
      .def_property_readonly("allele_line",
                             [=](py::object o) {
                               auto& i = o.cast<const I&>();
                               return view(i.allele_line.data(), {size(i.positions), 256}, o);
                             })
      .def_property_readonly("groups", [](py::object o) { return group_table(o.cast<const I&>(), o); })
      .def_property_readonly("base",
                             [=](py::object o) {
                               auto& i = o.cast<const I&>();
                               return view(i.base.data(), {size(i.groups.size()), size(i.positions)}, o);
                             })
      .def_property_readonly("first_key",
                             [=](py::object o) {
                               auto& i = o.cast<const I&>();
                               return view(i.first_key.data(), {size(i.first_key.size())}, o);
                             })
      .def_property_readonly("lines",
                             [=](py::object o) {
                               auto& i = o.cast<const I&>();
                               return view(i.lines.data(), {size(i.lines.size() / pcc::kLineWords), pcc::kLineWords},
                                           o);
                             })
      .def_property_readonly("codes",
                             [=](py::object o) {
                               auto& i = o.cast<const I&>();
                               return view(i.codes.data(), {size(i.slots()), size(i.stride)}, o);
                             })
      .def_property_readonly("row_of_slot",
                             [=](py::object o) {
                               auto& i = o.cast<const I&>();
                               return view(i.row_of_slot.data(), {size(i.slots())}, o);
                             })
      .def("encode", &dna_probes, py::arg("probes"), "DnaProbes of uint8[m, loci, 2] as a dict of arrays.");
}

template <typename T>
using Array = py::array_t<T, py::array::c_style>;  // noconvert: another dtype is a TypeError, never a silent copy

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

void bind_csv(py::module_& m) {
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
  bind_ids(m);
  bind_csv(m);
  bind_images(m);
}
