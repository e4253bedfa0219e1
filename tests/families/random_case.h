#pragma once
// Owns random problems: any shape that kernels support, any lengths, selections of many patterns.
#include <cstdint>

#include "codegen/target.h"
#include "tests/families/nsa_case.h"
#include "tests/families/selected_case.h"

namespace fsa::test {

/// Problem `draw` of shape `shape`. Kernels are compiled for a shape; lengths, selections and values are drawn anew each time.
SelectedCase random_selected_case(std::uint64_t shape, std::uint64_t draw, Backend backend);
NsaCase random_nsa_case(std::uint64_t shape, std::uint64_t draw, Backend backend);

}  // namespace fsa::test
