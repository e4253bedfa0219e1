#include "templates/dimension_check.h"

#include <fmt/format.h>

#include <limits>

namespace fsa {

const std::vector<EnumName>& element_names() {
  static const std::vector<EnumName> names{{0, "bf16", "Element::kBF16"}, {1, "f16", "Element::kF16"}, {2, "f32", "Element::kF32"}};
  return names;
}

std::string_view to_string(Element element) { return element_names()[static_cast<std::size_t>(element)].json; }

DType dtype_of_element(Element element) {
  switch (element) {
    case Element::kBF16:
      return DType::kBF16;
    case Element::kF16:
      return DType::kF16;
    case Element::kF32:
      break;
  }
  return DType::kF32;
}

Error unsupported(std::string given, std::string supported, std::string remedy) {
  return make_error(ErrorKind::kUnsupported, {.given = std::move(given), .supported = std::move(supported), .remedy = std::move(remedy)});
}

Result<void> check_head_dim(std::string_view name, int dim) {
  if (dim >= 16 && dim <= 256 && dim % 8 == 0) return {};
  return unsupported(fmt::format("{} is {}", name, dim), "multiples of 8 from 16 to 256",
                     "pad the last dimension with zeros to the next multiple of 8");
}

Result<void> check_group(int group) {
  if (group >= 1) return {};
  return unsupported(fmt::format("group (query heads per kv head) is {}", group), "1 and up");
}

Result<void> check_block_size(int block_size) {
  if (block_size >= 16 && block_size <= 128 && block_size % 16 == 0) return {};
  return unsupported(fmt::format("block_size is {}", block_size), "multiples of 16 from 16 to 128");
}

Result<void> check_windows(int kernel_size, int stride) {
  if (kernel_size < 1 || kernel_size > 256) return unsupported(fmt::format("kernel_size is {}", kernel_size), "1 to 256");
  if (stride < 1 || stride > kernel_size || kernel_size % stride != 0)
    return unsupported(fmt::format("stride is {} and kernel_size is {}", stride, kernel_size), "a stride that divides kernel_size");
  return {};
}

Result<void> check_topk(int topk) {
  if (topk >= 1 && topk <= 64) return {};
  return unsupported(fmt::format("topk is {}", topk), "1 to 64");
}

Result<void> check_sizes(int heads_kv, int num_seqs, std::int64_t total_q, std::int64_t total_k) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int32_t>::max();
  if (heads_kv < 1) return unsupported(fmt::format("heads_kv is {}", heads_kv), "1 and up");
  if (num_seqs < 0) return unsupported(fmt::format("num_seqs is {}", num_seqs), "0 and up");
  const std::string totals = fmt::format("total_q is {} and total_k is {}", total_q, total_k);
  if (total_q < 0 || total_k < 0) return unsupported(totals, "0 and up");
  if (total_q > kMax || total_k > kMax) return unsupported(totals, "fewer than 2^31 in one call", "split the batch over several calls");
  return {};
}

Result<void> check_scale(float scale) {
  if (scale > 0) return {};
  return unsupported(fmt::format("scale is {}", scale), "a positive softmax scale, usually 1/sqrt(head_dim)");
}

Result<void> check_element(Element element, const Target& target) {
  if (target.backend == Backend::kCpu || element != Element::kF32) return {};
  return unsupported("element type f32 on a GPU", "bf16 and f16 (f32 on the CPU)", "convert q, k and v to bf16 or f16");
}

}  // namespace fsa
