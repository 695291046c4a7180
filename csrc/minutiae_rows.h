// Fields of minutiae of ANSI/NIST-ITL Type-9 records to numbers, where all minutiae of the field have the usual form.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace pcc {

// 9.012, 9.023 (FBI IAFIS), 9.137 (INCITS M1).
enum class MinutiaeForm { kStandard, kIafis, kM1 };

// Five numbers a minutia: x, y, angle, type, quality, as written; a letter counts from A. Empty for a field with a
// minutia of any other form, be it a rare one or a wrong one: the caller then looks at it item by item.
std::vector<std::int32_t> minutiae_rows(const char* text, std::size_t size, MinutiaeForm form);

}  // namespace pcc
