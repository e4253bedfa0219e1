#pragma once
// Owns what the translations of public problems share: dtype spellings, head counts, the natural softmax scale.
#include <string_view>
#include <vector>

#include "codegen/fields.h"
#include "fsa/base/dtype.h"
#include "templates/selected_shape.h"

namespace fsa {

/// The spellings of DType in JSON problems.
const std::vector<EnumName>& dtype_names();

/// The kernels' element type of tensors `what`; kUnsupported where it is none.
Result<Element> element_of(DType dtype, std::string_view what);

/// kInvalidArgument unless heads_q is a positive multiple of heads_kv.
Result<void> check_heads(int heads_q, int heads_kv);

/// `scale`, or 1/sqrt(head_dim) where it is 0.
float softmax_scale(float scale, int head_dim);

}  // namespace fsa
