#include "templates/problem_check.h"

#include <fmt/format.h>

namespace fsa {

const std::vector<EnumName>& element_names() {
  static const std::vector<EnumName> names{{0, "bf16", "Element::kBF16"}, {1, "f16", "Element::kF16"}, {2, "f32", "Element::kF32"}};
  return names;
}

DType dtype_of_element(Element element) {
  return element == Element::kBF16 ? DType::kBF16 : element == Element::kF16 ? DType::kF16 : DType::kF32;
}

Error unsupported(std::string given, std::string supported, std::string remedy) {
  return make_error(ErrorKind::kUnsupported, {.given = std::move(given), .supported = std::move(supported), .remedy = std::move(remedy)});
}

Result<void> check_head_dim(std::string_view name, int dim) {
  if (dim >= 16 && dim <= 256 && dim % 8 == 0) return {};
  return unsupported(fmt::format("{} is {}", name, dim), "multiples of 8 from 16 to 256",
                     "pad the last dimension with zeros to the next multiple of 8");
}

Result<void> check_windows(int kernel_size, int stride) {
  if (kernel_size < 1 || kernel_size > 256) return unsupported(fmt::format("kernel_size is {}", kernel_size), "1 to 256");
  if (stride < 1 || stride > kernel_size || kernel_size % stride != 0)
    return unsupported(fmt::format("stride is {} and kernel_size is {}", stride, kernel_size), "a stride that divides kernel_size");
  return {};
}

}  // namespace fsa
