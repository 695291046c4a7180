// The only file that knows Python: converts arrays, releases the GIL, calls the rest of csrc/.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "isa.h"

namespace py = pybind11;

PYBIND11_MODULE(_cpu, m) {
  m.doc() = "CPU back end of pcc_match";
  m.def("isa", [] { return std::string(pcc::isa_name(pcc::active_isa())); }, "Instruction-set level in use.");
  m.def("set_isa", [](const std::string& name) { pcc::set_isa(name); }, py::arg("name"),
        "Use another level: 'avx512', 'avx2' or 'portable'; ValueError where this CPU lacks it.");
  m.def("available_isas", [] { return pcc::available_isas(); }, "Levels that this CPU and its OS can run, best first.");
}
