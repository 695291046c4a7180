// Passes over the text numbers of profile columns (pcc_match/dna/columns.py), where numpy would need one a locus.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

namespace pcc {

// Which texts each locus uses: numbers [rows][loci][slots], each below `texts`; used [loci][texts] is set to 0 or 1.
// std::out_of_range where a number is not below `texts`. Bound by one read of the numbers.
inline void mark_used(const uint16_t* numbers, size_t rows, size_t loci, size_t slots, size_t texts, uint8_t* used) {
  const size_t count = rows * loci * slots;
  if (count && *std::max_element(numbers, numbers + count) >= texts)
    throw std::out_of_range("a text number is beyond the texts");
  std::fill(used, used + loci * texts, uint8_t{0});
  for (size_t row = 0; row < rows; ++row)
    for (size_t locus = 0; locus < loci; ++locus)
      for (size_t slot = 0; slot < slots; ++slot) used[locus * texts + *numbers++] = 1;
}

}  // namespace pcc
