#include "runtime/branch_oracle.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/branch_rows.h"
#include "templates/reference/attend.h"
#include "templates/reference/compare.h"
#include "templates/reference/compress_reference.h"
#include "templates/reference/range_reference.h"

namespace fsa {
namespace {

/// The tensors of a branch by name.
class NamedTensors {
 public:
  NamedTensors(std::vector<TensorSpec> specs, std::span<const TensorView> inputs)
      : specs_(std::move(specs)), inputs_(inputs.begin(), inputs.end()) {}

  TensorView input(std::string_view name) const { return find(inputs_, name); }
  /// An empty view where the branch has no such tensor.
  TensorView find(std::span<const TensorView> tensors, std::string_view name) const {
    const auto at = static_cast<std::size_t>(std::ranges::find(specs_, name, &TensorSpec::name) - specs_.begin());
    return at < tensors.size() ? tensors[at] : TensorView{};
  }

 private:
  std::vector<TensorSpec> specs_;
  std::vector<TensorView> inputs_;
};

std::vector<std::int32_t> compressed_bounds(const BranchProblem& p, const NamedTensors& tensors) {
  return reference::compressed_cu(reference::ints(tensors.input("cu_k")), p.kernel_size, p.stride);
}

TensorView view_of(const std::vector<std::int32_t>& values) {
  return TensorView::contiguous(values.data(), DType::kI32, {std::ssize(values)});
}

/// Of compressed attention and the sliding window.
class AttentionOracle final : public Oracle {
 public:
  AttentionOracle(const Branch& branch, const BranchProblem& problem, NamedTensors tensors, double tolerance)
      : compressed_(branch.compressed()),
        p_(problem),
        tensors_(std::move(tensors)),
        tolerance_(tolerance),
        rows_(judged_attention_rows(branch, p_)) {}

  Result<void> compute() {
    const TensorView cu_k = tensors_.input("cu_k");
    const std::vector<std::int32_t> cu_c = compressed_ ? compressed_bounds(p_, tensors_) : std::vector<std::int32_t>();
    FSA_ASSIGN_OR_RETURN(
        expected_, reference::range_attention_rows(
                       {.q = tensors_.input("q"),
                        .k = tensors_.input(compressed_ ? "ck" : "k"),
                        .v = tensors_.input(compressed_ ? "cv" : "v"),
                        .cu_q = tensors_.input("cu_q"),
                        .cu_k = cu_k,
                        .cu_rows = compressed_ ? view_of(cu_c) : cu_k,
                        .scale = p_.scale,
                        .visible = compressed_ ? reference::compressed_rule(p_.kernel_size, p_.stride) : reference::window_rule(p_.window)},
                       rows_));
    return {};
  }

  Result<OracleVerdict> compare(std::span<const TensorView> tensors) override {
    const auto c = reference::compare_rows(tensors_.find(tensors, "o"), tensors_.find(tensors, "lse"), rows_, expected_);
    return OracleVerdict{.right = c.within(tolerance_),
                         .error = c.output,
                         .tolerance = tolerance_,
                         .text = c.describe(),
                         .measures = {{"output_error", c.output}, {"worst_row_error", c.worst_row}, {"lse_error", c.lse}},
                         .rows = std::ssize(rows_),
                         .all_rows = p_.total_q * p_.heads_q()};
  }

 private:
  bool compressed_;
  BranchProblem p_;
  NamedTensors tensors_;
  double tolerance_;
  std::vector<reference::Row> rows_;
  reference::SelectedOutputs expected_;
};

/// Of select_blocks: by the scores that q, ck and the given lse make, so that any lse is judged.
class SelectionOracle final : public Oracle {
 public:
  SelectionOracle(const BranchProblem& problem, NamedTensors tensors)
      : p_(problem), tensors_(std::move(tensors)), rule_(selection_rule(p_)), rows_(judged_selection_rows(p_)) {}

  Result<void> compute() {
    const std::vector<std::int32_t> cu_c = compressed_bounds(p_, tensors_);
    FSA_ASSIGN_OR_RETURN(scores_, reference::block_scores({.q = tensors_.input("q"),
                                                           .ck = tensors_.input("ck"),
                                                           .lse = tensors_.input("lse"),
                                                           .cu_q = tensors_.input("cu_q"),
                                                           .cu_k = tensors_.input("cu_k"),
                                                           .cu_c = view_of(cu_c),
                                                           .rule = rule_,
                                                           .scale = p_.scale},
                                                          rows_));
    return {};
  }

  /// The error is the share of rows that no near tie excuses, of which none is accepted.
  Result<OracleVerdict> compare(std::span<const TensorView> tensors) override {
    const auto c = reference::compare_selection(tensors_.find(tensors, "block_indices"), rows_, scores_, rule_);
    return OracleVerdict{.right = c.right(),
                         .error = static_cast<double>(c.wrong) / static_cast<double>(std::max<std::int64_t>(c.rows, 1)),
                         .tolerance = 0,
                         .text = "selection: " + c.describe(),
                         .measures = {{"selection_wrong", c.wrong}, {"selection_near_ties", c.exchanged}},
                         .rows = c.rows,
                         .all_rows = p_.total_q * p_.heads_kv};
  }

 private:
  BranchProblem p_;
  NamedTensors tensors_;
  reference::SelectionRule rule_;
  std::vector<reference::SelectionRow> rows_;
  std::vector<reference::RowScores> scores_;
};

/// Of compress_kv: the rows of y that the sequences fill.
class CompressionOracle final : public Oracle {
 public:
  CompressionOracle(const BranchProblem& problem, NamedTensors tensors, double tolerance)
      : p_(problem), tensors_(std::move(tensors)), tolerance_(tolerance), no_lse_(DType::kF32, {p_.heads_kv, p_.total_c}) {}

  Result<void> compute() {
    filled_ = compressed_bounds(p_, tensors_).back();
    if (filled_ > p_.total_c)
      return reference::invalid(fmt::format("total_c is {}", p_.total_c), fmt::format("{} and up for the sequences of cu_k", filled_));
    rows_ = judged_compressed_rows(p_, filled_);
    FSA_ASSIGN_OR_RETURN(expected_.o, reference::compress_rows({.x = tensors_.input("x"),
                                                                .w = tensors_.input("w"),
                                                                .pe = tensors_.input("pe"),
                                                                .cu_k = tensors_.input("cu_k"),
                                                                .kernel_size = p_.kernel_size,
                                                                .stride = p_.stride},
                                                               rows_));
    expected_.lse.assign(rows_.size(), 0);
    return {};
  }

  Result<OracleVerdict> compare(std::span<const TensorView> tensors) override {
    const auto c = reference::compare_rows(tensors_.find(tensors, "y"), no_lse_.view(), rows_, expected_);
    return OracleVerdict{.right = c.within(tolerance_),
                         .error = c.output,
                         .tolerance = tolerance_,
                         .text = fmt::format("output {:.2e}, worst row {:.2e}", c.output, c.worst_row),
                         .measures = {{"output_error", c.output}, {"worst_row_error", c.worst_row}},
                         .rows = std::ssize(rows_),
                         .all_rows = filled_ * p_.heads_kv};
  }

 private:
  BranchProblem p_;
  NamedTensors tensors_;
  double tolerance_;
  HostTensor no_lse_;  // equal to its reference: compress_kv has none
  std::int64_t filled_ = 0;
  std::vector<reference::Row> rows_;
  reference::SelectedOutputs expected_;
};

template <class BranchOracle>
Result<std::unique_ptr<Oracle>> computed(std::unique_ptr<BranchOracle> oracle) {
  FSA_RETURN_IF_ERROR(oracle->compute());
  return std::unique_ptr<Oracle>(std::move(oracle));
}

}  // namespace

Result<std::unique_ptr<Oracle>> make_branch_oracle(const Branch& branch, const BranchProblem& problem, std::vector<TensorSpec> specs,
                                                   std::span<const TensorView> inputs, double tolerance) {
  NamedTensors tensors(std::move(specs), inputs);
  if (branch.kind == BranchKind::kSelectBlocks) return computed(std::make_unique<SelectionOracle>(problem, std::move(tensors)));
  if (branch.kind == BranchKind::kCompressKv) return computed(std::make_unique<CompressionOracle>(problem, std::move(tensors), tolerance));
  return computed(std::make_unique<AttentionOracle>(branch, problem, std::move(tensors), tolerance));
}

}  // namespace fsa
