// Records and files: ids, minutiae of ANSI/NIST-ITL, delimiter-separated values, images.
#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "bindings.h"
#include "csv_cells.h"
#include "ids.h"
#include "lossless_jpeg.h"
#include "marker_stream.h"
#include "minutiae_rows.h"
#include "profile_columns.h"
#include "wsq.h"

namespace {

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

}  // namespace

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

namespace {

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

}  // namespace

void bind_minutiae(py::module_& m) {
  m.def("minutiae_rows", minutiae_rows, py::arg("field"), py::arg("number"),
        "Numbers of 9.012, 9.023 or 9.137: x, y, angle, type, quality as written, or None (see minutiae_rows.h).");
}

namespace {

// ---- delimiter-separated files

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

}  // namespace

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

namespace {

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

}  // namespace

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
