#include "runtime/public_problem.h"

#include <fmt/format.h>

#include <cmath>

namespace fsa {

const std::vector<EnumName>& dtype_names() {
  static const std::vector<EnumName> names{{static_cast<int>(DType::kBF16), "bf16", ""},
                                           {static_cast<int>(DType::kF16), "f16", ""},
                                           {static_cast<int>(DType::kF32), "f32", ""},
                                           {static_cast<int>(DType::kI32), "i32", ""}};
  return names;
}

Result<Element> element_of(DType dtype, std::string_view what) {
  if (dtype == DType::kBF16) return Element::kBF16;
  if (dtype == DType::kF16) return Element::kF16;
  if (dtype == DType::kF32) return Element::kF32;
  return make_error(ErrorKind::kUnsupported, {.given = fmt::format("dtype {} for {}", to_string(dtype), what), .supported = "bf16, f16; f32 on the CPU"});
}

Result<void> check_heads(int heads_q, int heads_kv) {
  if (heads_kv >= 1 && heads_q >= 1 && heads_q % heads_kv == 0) return {};
  return make_error(ErrorKind::kInvalidArgument, {.given = fmt::format("heads_q is {} and heads_kv is {}", heads_q, heads_kv),
                                                  .supported = "heads_q a positive multiple of heads_kv",
                                                  .remedy = "pass q as [Tq, Hq, D] and k as [Tk, Hkv, D] of one grouped-query model"});
}

float softmax_scale(float scale, int head_dim) { return scale == 0 && head_dim > 0 ? 1.0f / std::sqrt(static_cast<float>(head_dim)) : scale; }

}  // namespace fsa
