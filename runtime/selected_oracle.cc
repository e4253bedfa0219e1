#include "runtime/selected_oracle.h"

#include <algorithm>
#include <vector>

#include "templates/reference/compare.h"
#include "templates/selected_family.h"

namespace fsa {
namespace {

// Products of the oracle beyond which a sample of the rows is compared: some seconds on one core.
constexpr double kMostProducts = 4e9;
constexpr std::int64_t kSampledRows = 4096;

double products(const SelectedProblem& p) {
  const double keys = std::min<double>(static_cast<double>(p.topk) * p.block_size, static_cast<double>(p.total_k));
  return static_cast<double>(p.total_q) * p.heads_kv * p.group * keys * (p.head_dim + p.head_dim_v);
}

class SelectedOracle final : public Oracle {
 public:
  SelectedOracle(const SelectedProblem& problem, std::span<const TensorView> inputs)
      : operands_{.q = inputs[0], .k = inputs[1], .v = inputs[2], .block_indices = inputs[3], .cu_q = inputs[4], .cu_k = inputs[5],
                  .block_size = problem.block_size, .scale = problem.scale},
        all_rows_(problem.total_q * problem.heads_kv * problem.group),
        tolerance_(SelectedFamily::tolerance(problem)) {
    if (products(problem) > kMostProducts)
      rows_ = reference::sample_rows(problem.total_q, static_cast<std::int64_t>(problem.heads_kv) * problem.group, kSampledRows);
  }

  Result<void> compute() {
    FSA_ASSIGN_OR_RETURN(expected_, rows_.empty() ? reference::selected_attention(operands_)
                                                  : reference::selected_attention_rows(operands_, rows_));
    return {};
  }

  Result<OracleVerdict> compare(std::span<const TensorView> tensors) override {
    const TensorView &o = tensors[6], &lse = tensors[7];
    const reference::Comparison c =
        rows_.empty() ? reference::compare(o, lse, expected_) : reference::compare_rows(o, lse, rows_, expected_);
    return OracleVerdict{.right = c.within(tolerance_),
                         .error = c.output,
                         .tolerance = tolerance_,
                         .text = c.describe(),
                         .measures = {{"output_error", c.output}, {"worst_row_error", c.worst_row}, {"lse_error", c.lse}},
                         .rows = rows_.empty() ? all_rows_ : static_cast<std::int64_t>(rows_.size()),
                         .all_rows = all_rows_};
  }

 private:
  reference::SelectedOperands operands_;
  std::int64_t all_rows_;
  double tolerance_;
  std::vector<reference::Row> rows_;  // empty: all
  reference::SelectedOutputs expected_;
};

}  // namespace

Result<std::unique_ptr<Oracle>> make_selected_oracle(const SelectedProblem& problem, std::span<const TensorView> inputs) {
  auto oracle = std::make_unique<SelectedOracle>(problem, inputs);
  FSA_RETURN_IF_ERROR(oracle->compute());
  return std::unique_ptr<Oracle>(std::move(oracle));
}

}  // namespace fsa
