// The extension module.
#include "bindings.h"

#include <string>

#include "isa.h"

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
