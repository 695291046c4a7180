// Fingerprints: packing and comparison, synthetic fingers, minutiae of images.
#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "bindings.h"
#include "extract.h"
#include "finger_pack.h"
#include "finger_sets.h"
#include "synth_minutiae.h"

namespace {

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

}  // namespace

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

namespace {

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

}  // namespace

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

namespace {

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

}  // namespace

void bind_extract(py::module_& m) {
  m.def("resample", resample, py::arg("image").noconvert(), py::arg("height"), py::arg("width"),
        "uint8 (height, width) from uint8 of any other size.");
  m.def("extract_print", extract_print, py::arg("image").noconvert(), py::arg("set"),
        "Minutiae int16 (n, 5): x, y, angle, type, quality, best first; and the maps of csrc/extract.h.");
  m.attr("EXTRACT_CELL") = pcc::extract::kCell;
}
