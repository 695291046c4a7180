// Part of the extension module pcc_match._cpu: the files csrc/bindings* are the only ones that know Python. They
// convert arrays, release the GIL and call the rest of csrc/.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <utility>
#include <vector>

namespace py = pybind11;

template <class T>
using Array = py::array_t<T, py::array::c_style>;  // noconvert: another dtype is a TypeError, never a silent copy

// The vector's memory becomes the array's: nothing is copied.
template <class T>
py::array_t<T> as_array(std::vector<T>&& values) {
  auto* owned = new std::vector<T>(std::move(values));
  py::capsule owner(owned, [](void* p) { delete static_cast<std::vector<T>*>(p); });
  return py::array_t<T>(owned->size(), owned->data(), owner);
}

void bind_compare(py::module_& m);
void bind_dna_rematch(py::module_& m);
void bind_dna_index(py::module_& m);
void bind_dna_matrix(py::module_& m);
void bind_fingers(py::module_& m);
void bind_synthesis(py::module_& m);
void bind_extract(py::module_& m);
void bind_ids(py::module_& m);
void bind_minutiae(py::module_& m);
void bind_csv(py::module_& m);
void bind_images(py::module_& m);
