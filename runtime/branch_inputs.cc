#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/branch_oracle.h"
#include "runtime/branch_rows.h"
#include "runtime/random_tensors.h"
#include "templates/compressed_length.h"
#include "templates/reference/attend.h"
#include "templates/reference/compress_reference.h"
#include "templates/reference/numeric.h"
#include "templates/reference/parallel.h"
#include "templates/reference/range_reference.h"

namespace fsa {
namespace {

/// Standard deviation of an input by its name: products of the compressing map keep that of x.
double deviation(const BranchProblem& p, const std::string& name) {
  if (name == "pe") return 0.1;
  if (name != "w") return 1;
  return 1 / std::sqrt(static_cast<double>(p.kernel_size) * (p.mode == compress_kv::Mode::kLinear ? p.head_dim : 1));
}

/// The inputs of a selection, by name.
struct SelectionInputs {
  TensorView q, ck, lse, cu_q, cu_k;
};

SelectionInputs selection_inputs(std::span<const TensorSpec> specs, std::span<const HostTensor> tensors) {
  const auto view = [&](std::string_view name) {
    return tensors[static_cast<std::size_t>(std::ranges::find(specs, name, &TensorSpec::name) - specs.begin())].view();
  };
  return {.q = view("q"), .ck = view("ck"), .lse = view("lse"), .cu_q = view("cu_q"), .cu_k = view("cu_k")};
}

/// A row's LSE as it is on average over keys of independent standard normal elements: the exponential of a logit of
/// variance v has the mean exp(v / 2).
float expected_lse(const BranchProblem& p, const SelectionInputs& in, reference::Row row, std::vector<float>& q) {
  const std::int64_t position = reference::place_query(in.cu_q, in.cu_k, row.token).position;
  const auto visible = compressed_length(position + 1, p.kernel_size, p.stride);
  if (visible == 0) return -std::numeric_limits<float>::infinity();
  reference::load_elements(in.q, row.token * in.q.stride[0] + row.head * in.q.stride[1], q);
  double square = 0;
  for (const float x : q) square += static_cast<double>(x) * x;
  return static_cast<float>(std::log(static_cast<double>(visible)) + square * p.scale * p.scale / 2);
}

void fill_expected_lse(const BranchProblem& p, const SelectionInputs& in) {
  reference::parallel_for(p.total_q * p.heads_q(), 1 << 12, [&](std::int64_t first, std::int64_t last) {
    std::vector<float> q(static_cast<std::size_t>(p.head_dim));
    for (std::int64_t i = first; i < last; ++i)
      static_cast<float*>(in.lse.data)[i] = expected_lse(p, in, {.token = i % p.total_q, .head = i / p.total_q}, q);
  });
}

Result<void> fill_exact_lse(const BranchProblem& p, const SelectionInputs& in) {
  std::vector<reference::Row> rows;
  for (const reference::SelectionRow& row : judged_selection_rows(p))
    for (int head = 0; head < p.group; ++head) rows.push_back({.token = row.token, .head = row.kv_head * p.group + head});
  const auto cu_c = reference::compressed_cu(reference::ints(in.cu_k), p.kernel_size, p.stride);
  // The LSE alone is wanted: values of no columns.
  const TensorView no_values = TensorView::contiguous(in.ck.data, in.ck.dtype, {in.ck.shape[0], in.ck.shape[1], 0});
  const reference::RangeOperands operands{.q = in.q,
                                          .k = in.ck,
                                          .v = no_values,
                                          .cu_q = in.cu_q,
                                          .cu_k = in.cu_k,
                                          .cu_rows = TensorView::contiguous(cu_c.data(), DType::kI32, {std::ssize(cu_c)}),
                                          .scale = p.scale,
                                          .visible = reference::compressed_rule(p.kernel_size, p.stride)};
  FSA_ASSIGN_OR_RETURN(const reference::SelectedOutputs exact, reference::range_attention_rows(operands, rows));
  for (std::size_t i = 0; i < rows.size(); ++i)
    static_cast<float*>(in.lse.data)[rows[i].head * p.total_q + rows[i].token] = static_cast<float>(exact.lse[i]);
  return {};
}

}  // namespace

Result<std::vector<HostTensor>> random_branch_inputs(const Branch& branch, const BranchProblem& p, std::span<const TensorSpec> specs,
                                                     const reference::InputPattern& pattern) {
  const PackedSequences sequences{.num_seqs = p.num_seqs, .total_q = p.total_q, .total_k = p.total_k};
  auto tensors = random_tensors(specs, sequences, pattern, [&](const std::string& name) { return deviation(p, name); });
  if (branch.kind != BranchKind::kSelectBlocks) return tensors;
  const SelectionInputs in = selection_inputs(specs, tensors);
  fill_expected_lse(p, in);
  FSA_RETURN_IF_ERROR(fill_exact_lse(p, in));
  return tensors;
}

}  // namespace fsa
