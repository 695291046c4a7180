#include "isa.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

namespace pcc {
namespace {

// GCC's and clang's __builtin_cpu_supports also ask the OS (XGETBV) whether it saves the wide registers.
bool supported(Isa level) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  switch (level) {
    case Isa::avx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni") &&
             __builtin_cpu_supports("avx512bitalg") && __builtin_cpu_supports("avx512vpopcntdq") &&
             __builtin_cpu_supports("bmi2");
    case Isa::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
             __builtin_cpu_supports("popcnt");
    case Isa::portable:
      return true;
  }
  return false;
#else
  return level == Isa::portable;
#endif
}

constexpr Isa kBestFirst[] = {Isa::avx512, Isa::avx2, Isa::portable};

Isa find(const std::string& name) {
  std::string have;
  for (Isa level : kBestFirst) {
    if (!supported(level)) continue;
    if (name == isa_name(level)) return level;
    have += have.empty() ? isa_name(level) : std::string(", ") + isa_name(level);
  }
  throw std::invalid_argument("instruction set '" + name + "' is not available here; this machine has: " + have);
}

Isa initial() {
  if (const char* forced = std::getenv("PCC_MATCH_ISA")) return find(forced);
  for (Isa level : kBestFirst)
    if (supported(level)) return level;
  return Isa::portable;
}

std::atomic<Isa>& active() {
  static std::atomic<Isa> level{initial()};
  return level;
}

}  // namespace

const char* isa_name(Isa level) {
  switch (level) {
    case Isa::avx512:
      return "avx512";
    case Isa::avx2:
      return "avx2";
    case Isa::portable:
      break;
  }
  return "portable";
}

Isa active_isa() { return active().load(std::memory_order_relaxed); }
void set_isa(const std::string& name) { active().store(find(name), std::memory_order_relaxed); }

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (Isa level : kBestFirst)
    if (supported(level)) names.emplace_back(isa_name(level));
  return names;
}

}  // namespace pcc
