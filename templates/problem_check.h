#pragma once
// Owns what the problems of several families share: the names of element types and the checks of common dimensions.
#include <string>
#include <string_view>
#include <vector>

#include "codegen/fields.h"
#include "fsa/base/dtype.h"
#include "fsa/base/result.h"
#include "templates/selected_shape.h"

namespace fsa {

/// How field tables spell Element.
const std::vector<EnumName>& element_names();
DType dtype_of_element(Element element);
inline int bytes_of_element(Element element) { return element == Element::kF32 ? 4 : 2; }

/// A kUnsupported error.
Error unsupported(std::string given, std::string supported, std::string remedy = {});

/// 16 to 256 in steps of 8.
Result<void> check_head_dim(std::string_view name, int dim);
/// Compression: kernel_size 1 to 256, a multiple of the stride.
Result<void> check_windows(int kernel_size, int stride);

}  // namespace fsa
