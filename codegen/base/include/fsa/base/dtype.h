#pragma once
// Owns the element types that tensors may have.
#include <cstddef>
#include <string_view>

#include "fsa/base/export.h"
#include "fsa/base/result.h"

namespace fsa {

enum class DType { kBF16, kF16, kF32, kI32 };

/// Bytes of one element.
constexpr std::size_t size_of(DType dtype) { return dtype == DType::kBF16 || dtype == DType::kF16 ? 2 : 4; }

/// "bf16", "f16", "f32" or "i32".
FSA_API std::string_view to_string(DType dtype);

/// The inverse of to_string; also takes the safetensors spellings "BF16", "F16", "F32", "I32".
FSA_API Result<DType> parse_dtype(std::string_view text);

}  // namespace fsa
