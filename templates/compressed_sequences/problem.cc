#include "templates/compressed_sequences/problem.h"

#include <fmt/format.h>

#include "templates/dimension_check.h"

namespace fsa::compressed_sequences {

const FieldTable<Problem>& problem_fields() {
  static const FieldTable<Problem> fields{
      {"kernel_size", &Problem::kernel_size}, {"stride", &Problem::stride}, {"num_seqs", &Problem::num_seqs}};
  return fields;
}

const FieldTable<Shape>& shape_fields() {
  static const FieldTable<Shape> fields{{"kernel_size", &Shape::kernel_size}, {"stride", &Shape::stride}};
  return fields;
}

Result<void> check(const Problem& p) {
  constexpr int kMostSequences = 1 << 30;
  FSA_RETURN_IF_ERROR(check_windows(p.kernel_size, p.stride));
  if (p.num_seqs < 0 || p.num_seqs > kMostSequences)
    return unsupported(fmt::format("num_seqs is {}", p.num_seqs), fmt::format("0 to {}", kMostSequences));
  return {};
}

std::vector<TensorSpec> tensors(const Problem& p) {
  const std::int64_t entries = std::int64_t{p.num_seqs} + 1;
  return {{"cu_k", Access::kRead, DType::kI32, {entries}}, {"cu_c", Access::kWrite, DType::kI32, {entries}}};
}

Params pack(const Problem& p, std::span<const TensorView> t) {
  return {.cu_k = static_cast<const int*>(t[0].data), .cu_c = static_cast<int*>(t[1].data), .num_seqs = p.num_seqs};
}

}  // namespace fsa::compressed_sequences
