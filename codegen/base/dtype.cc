#include "fsa/base/dtype.h"

#include <algorithm>
#include <cctype>
#include <string>

namespace fsa {

std::string_view to_string(DType dtype) {
  switch (dtype) {
    case DType::kBF16: return "bf16";
    case DType::kF16: return "f16";
    case DType::kF32: return "f32";
    case DType::kI32: return "i32";
  }
  return "?";
}

Result<DType> parse_dtype(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (DType d : {DType::kBF16, DType::kF16, DType::kF32, DType::kI32})
    if (lower == to_string(d)) return d;
  return make_error(ErrorKind::kInvalidArgument, {.given = "dtype is '" + std::string(text) + "'", .supported = "bf16, f16, f32, i32"});
}

}  // namespace fsa
