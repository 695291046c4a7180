// Instruction-set levels: found once, overridable by PCC_MATCH_ISA or set_isa(), the same results on each.
#pragma once
#include <string>
#include <vector>

namespace pcc {

enum class Isa { portable = 0, avx2 = 1, avx512 = 2 };

const char* isa_name(Isa level);
Isa active_isa();
void set_isa(const std::string& name);  // std::invalid_argument where the CPU lacks it
std::vector<std::string> available_isas();

}  // namespace pcc
