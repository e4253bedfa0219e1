#pragma once
// Owns the translation of the public selected-attention problem to the kernels' one.
#include "codegen/base/json.h"
#include "codegen/fields.h"
#include "fsa/selected_attention.h"

namespace fsa {

/// The public problem's fields by name, as JSON problems spell them.
const FieldTable<SelectedAttentionProblem>& selected_public_fields();

/// The problem as kernels know it (fields of SelectedProblem), or why it is none: Hq not a multiple of Hkv and the like.
Result<Json> to_problem_json(const SelectedAttentionProblem& problem);

}  // namespace fsa
