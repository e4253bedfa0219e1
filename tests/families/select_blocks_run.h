#pragma once
// Owns the check of select_blocks with one config on one problem against the float64 oracle.
#include "tests/families/select_blocks_case.h"
#include "tests/support/lab.h"

namespace fsa::test {

/// Selects twice, over memory poisoned differently, and checks the rows that are compared, and that both runs are equal
/// bit by bit. `config` may leave members to their defaults. Skips where the element type has no kernel.
void expect_selected(Lab& lab, const SelectBlocksCase& description, const Json& config = Json::object());

/// The same on given inputs.
void expect_selected(Lab& lab, const SelectBlocksInputs& inputs, const Json& config = Json::object(), Layout layout = Layout::kPacked);

}  // namespace fsa::test
