#include "templates/select_blocks/family.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "templates/cuda/host_kernel.h"
#include "templates/select_blocks/tensors.h"

namespace fsa::select_blocks {
namespace {

constexpr int kMostForced = 1 << 20;

const std::vector<EnumName>& element_names() {
  static const std::vector<EnumName> names{{0, "bf16", "Element::kBF16"}, {1, "f16", "Element::kF16"}, {2, "f32", "Element::kF32"}};
  return names;
}

Result<void> unsupported(std::string given, std::string supported, std::string remedy = {}) {
  return make_error(ErrorKind::kUnsupported, {.given = std::move(given), .supported = std::move(supported), .remedy = std::move(remedy)});
}

Result<void> check_dims(const Problem& p) {
  if (p.head_dim < 16 || p.head_dim > 256 || p.head_dim % 8)
    return unsupported(fmt::format("head_dim is {}", p.head_dim), "multiples of 8 from 16 to 256",
                       "pad the last dimension with zeros to the next multiple of 8");
  if (p.group < 1) return unsupported(fmt::format("group (query heads per kv head) is {}", p.group), "1 and up");
  if (p.block_size < 16 || p.block_size > 128 || p.block_size % 16)
    return unsupported(fmt::format("block_size is {}", p.block_size), "multiples of 16 from 16 to 128");
  return {};
}

Result<void> check_compression(const Problem& p) {
  if (p.kernel_size < 1 || p.kernel_size > 256) return unsupported(fmt::format("kernel_size is {}", p.kernel_size), "1 to 256");
  if (p.stride < 1 || p.kernel_size % p.stride)
    return unsupported(fmt::format("stride is {}", p.stride), fmt::format("divisors of the kernel size {}", p.kernel_size));
  if (p.block_size % p.stride)
    return unsupported(fmt::format("block_size is {}", p.block_size), fmt::format("multiples of the stride {}", p.stride),
                       "choose a stride that divides the block size: a compressed key is then counted in whole blocks");
  return {};
}

Result<void> check_rule(const Problem& p) {
  if (p.topk < 1 || p.topk > 64) return unsupported(fmt::format("topk is {}", p.topk), "1 to 64");
  for (const auto& [name, blocks] : {std::pair{"init_blocks", p.init_blocks}, {"local_blocks", p.local_blocks}})
    if (blocks < 0 || blocks > kMostForced) return unsupported(fmt::format("{} is {}", name, blocks), fmt::format("0 to {}", kMostForced));
  return {};
}

Result<void> check_sizes(const Problem& p) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int32_t>::max() - 4096;
  if (p.heads_kv < 1) return unsupported(fmt::format("heads_kv is {}", p.heads_kv), "1 and up");
  if (p.num_seqs < 0) return unsupported(fmt::format("num_seqs is {}", p.num_seqs), "0 and up");
  if (p.total_q < 0 || p.total_k < 0 || p.total_c < 0)
    return unsupported(fmt::format("total_q is {}, total_k is {} and total_c is {}", p.total_q, p.total_k, p.total_c), "0 and up");
  if (p.total_k > kMax || p.total_c > kMax || p.total_q > kMax || p.total_q * p.heads_kv > kMax / p.topk ||
      p.num_seqs > kMax / 16 / p.heads_kv)
    return unsupported(fmt::format("total_q {} x heads_kv {} x topk {} selected blocks, total_k {}, total_c {}, num_seqs {}", p.total_q,
                                   p.heads_kv, p.topk, p.total_k, p.total_c, p.num_seqs),
                       "fewer than 2^31 of each in one call", "split the batch or the kv heads over several calls");
  if (!(p.scale > 0)) return unsupported(fmt::format("scale is {}", p.scale), "a positive softmax scale, usually 1/sqrt(head_dim)");
  return {};
}

}  // namespace

const FieldTable<Problem>& problem_fields() {
  static const FieldTable<Problem> fields{{"element", &Problem::element, element_names()},
                                          {"head_dim", &Problem::head_dim},
                                          {"group", &Problem::group},
                                          {"kernel_size", &Problem::kernel_size},
                                          {"stride", &Problem::stride},
                                          {"block_size", &Problem::block_size},
                                          {"topk", &Problem::topk},
                                          {"init_blocks", &Problem::init_blocks},
                                          {"local_blocks", &Problem::local_blocks},
                                          {"heads_kv", &Problem::heads_kv},
                                          {"num_seqs", &Problem::num_seqs},
                                          {"total_q", &Problem::total_q},
                                          {"total_k", &Problem::total_k},
                                          {"total_c", &Problem::total_c},
                                          {"scale", &Problem::scale}};
  return fields;
}

const FieldTable<Shape>& shape_fields() {
  static const FieldTable<Shape> fields{{"element", &Shape::element, element_names()},
                                        {"head_dim", &Shape::head_dim},
                                        {"group", &Shape::group},
                                        {"kernel_size", &Shape::kernel_size},
                                        {"stride", &Shape::stride},
                                        {"block_size", &Shape::block_size},
                                        {"topk", &Shape::topk},
                                        {"init_blocks", &Shape::init_blocks},
                                        {"local_blocks", &Shape::local_blocks}};
  return fields;
}

Result<void> check_problem(const Problem& p, const Target& target) {
  FSA_RETURN_IF_ERROR(check_dims(p));
  FSA_RETURN_IF_ERROR(check_compression(p));
  FSA_RETURN_IF_ERROR(check_rule(p));
  FSA_RETURN_IF_ERROR(check_sizes(p));
  if (target.backend == Backend::kCuda && p.element == Element::kF32)
    return unsupported("element type f32 on a GPU", "bf16 and f16 (f32 on the CPU)", "convert q and ck to bf16 or f16");
  return {};
}

Work work_of(const Problem& p) {
  const double rows = static_cast<double>(p.total_q) * p.heads_kv * p.group;
  // Visible keys per row: the queries are the last of a sequence of mean length.
  const double mean_c = p.num_seqs > 0 ? static_cast<double>(p.total_c) / p.num_seqs : 0;
  const double share = p.total_k > 0 ? std::min(1.0, static_cast<double>(p.total_q) / static_cast<double>(p.total_k)) : 0;
  const double element_bytes = p.element == Element::kF32 ? 4 : 2;
  return {.flops = 2 * rows * p.head_dim * mean_c * (1 - share / 2),
          .bytes = element_bytes * p.head_dim * (rows + static_cast<double>(p.total_c) * p.heads_kv) + 4 * rows +
                   4.0 * static_cast<double>(p.total_q) * p.heads_kv * p.topk};
}

std::vector<TensorSpec> tensor_specs(const Problem& p) {
  const DType element = cuda::element_dtype(p.element);
  const std::int64_t heads_q = std::int64_t{p.heads_kv} * p.group, bounds = std::int64_t{p.num_seqs} + 1;
  return {{"q", Access::kRead, element, {p.total_q, heads_q, p.head_dim}},
          {"ck", Access::kRead, element, {p.total_c, p.heads_kv, p.head_dim}},
          {"lse", Access::kRead, DType::kF32, {heads_q, p.total_q}},
          {"cu_q", Access::kRead, DType::kI32, {bounds}},
          {"cu_k", Access::kRead, DType::kI32, {bounds}},
          {"cu_c", Access::kRead, DType::kI32, {bounds}},
          {"block_indices", Access::kWrite, DType::kI32, {p.heads_kv, p.total_q, p.topk}}};
}

Params pack_params(const Problem& p, std::span<const TensorView> t) {
  return {.q = t[0].data,
          .ck = t[1].data,
          .lse = cuda::pointer<const float>(t[2]),
          .cu_q = cuda::pointer<const int>(t[3]),
          .cu_k = cuda::pointer<const int>(t[4]),
          .cu_c = cuda::pointer<const int>(t[5]),
          .block_indices = cuda::pointer<int>(t[6]),
          .q_stride = cuda::row_strides(t[0]),
          .ck_stride = cuda::row_strides(t[1]),
          .total_q = static_cast<int>(p.total_q),
          .total_k = static_cast<int>(p.total_k),
          .total_c = static_cast<int>(p.total_c),
          .num_seqs = p.num_seqs,
          .heads_kv = p.heads_kv,
          .scale = p.scale};
}

}  // namespace fsa::select_blocks
