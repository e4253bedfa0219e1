#include "runtime/nsa_oracle.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "templates/dimension_check.h"
#include "templates/reference/block_selection_reference.h"
#include "templates/reference/compare.h"
#include "templates/reference/compress_reference.h"
#include "templates/reference/numeric.h"
#include "templates/reference/range_reference.h"
#include "templates/reference/selected_reference.h"

namespace fsa {
namespace {

// Products of the oracle beyond which tokens are sampled: some seconds on one core.
constexpr double kMostProducts = 4e9;
constexpr double kFewestTokens = 16;
/// Kernels round compressed keys they make themselves to 16 bits, from float32 sums where the oracle has float64: one key in
/// thirty then differs by a unit in the last place of an element. Scores and LSEs can be known no better than this.
constexpr double kRoundedKeys = 2e-3;

/// Tokens whose rows are compared: all, or as many as the oracle affords, evenly spread.
std::vector<std::int64_t> compared_tokens(const NsaProblem& p) {
  const double keys = static_cast<double>(p.total_c) + std::min<double>(p.topk * p.block_size, static_cast<double>(p.total_k)) +
                      std::min<double>(p.window, static_cast<double>(p.total_k));
  const double each = static_cast<double>(p.heads_q()) * keys * (p.head_dim + p.head_dim_v);
  const auto affordable = static_cast<std::int64_t>(std::max(kFewestTokens, kMostProducts / std::max(each, 1.0)));
  const std::int64_t count = std::min(p.total_q, affordable);
  std::vector<std::int64_t> tokens;
  for (std::int64_t i = 0; i < count; ++i) tokens.push_back(count == 1 ? 0 : i * (p.total_q - 1) / (count - 1));
  return tokens;
}

HostTensor rounded(const std::vector<double>& values, DType dtype, std::vector<std::int64_t> shape) {
  HostTensor tensor(dtype, std::move(shape));
  for (std::size_t i = 0; i < values.size(); ++i)
    reference::store_element(tensor.view(), static_cast<std::int64_t>(i), static_cast<float>(values[i]));
  return tensor;
}

HostTensor ints_tensor(const std::vector<std::int32_t>& values) {
  return HostTensor::copy_of(TensorView::contiguous(values.data(), DType::kI32, {static_cast<std::int64_t>(values.size())}));
}

/// True when another block could take the place of the last one chosen within `margin`.
bool is_ambiguous(const reference::RowScores& row, const reference::SelectionRule& rule, double margin) {
  const auto chosen = reference::choose_blocks(row.blocks, rule);
  const auto own = static_cast<int>(row.blocks.size()) - 1;
  const auto forced = [&](int j) { return j < rule.init_blocks || j > own - rule.local_blocks; };
  double least = std::numeric_limits<double>::infinity(), most = -1;
  for (int j = 0; j <= own; ++j) {
    const bool taken = std::find(chosen.begin(), chosen.end(), j) != chosen.end();
    if (forced(j)) continue;
    const double score = row.blocks[static_cast<std::size_t>(j)];
    if (taken)
      least = std::min(least, score);
    else
      most = std::max(most, score);
  }
  return most >= 0 && least - most <= margin * std::max(least, reference::kLeastScore);
}

class NsaOracle final : public Oracle {
 public:
  NsaOracle(const NsaProblem& problem, std::vector<TensorSpec> specs, std::span<const TensorView> inputs)
      : p_(problem),
        specs_(std::move(specs)),
        inputs_(inputs.begin(), inputs.end()),
        rule_{.kernel_size = p_.kernel_size, .stride = p_.stride, .block_size = p_.block_size, .topk = p_.topk,
              .init_blocks = p_.init_blocks, .local_blocks = p_.local_blocks},
        tokens_(compared_tokens(p_)),
        indices_(DType::kI32, {p_.heads_kv, p_.total_q, p_.topk}) {
    for (const std::int64_t token : tokens_) {
      for (std::int64_t head = 0; head < p_.heads_q(); ++head) rows_.push_back({token, head});
      for (std::int64_t head = 0; head < p_.heads_kv; ++head) selection_rows_.push_back({token, head});
    }
  }

  /// The branches that do not depend on the selection, and the selection.
  Result<void> compute() {
    FSA_RETURN_IF_ERROR(compress());
    const TensorView q = input("q"), cu_q = input("cu_q"), cu_k = input("cu_k");
    const reference::RangeOperands compressed{.q = q, .k = ck_, .v = cv_, .cu_q = cu_q, .cu_k = cu_k, .cu_rows = cu_c_.view(), .scale = p_.scale,
                                              .visible = reference::compressed_rule(p_.kernel_size, p_.stride)};
    const reference::RangeOperands window{.q = q, .k = input("k"), .v = input("v"), .cu_q = cu_q, .cu_k = cu_k, .cu_rows = cu_k,
                                          .scale = p_.scale, .visible = reference::window_rule(p_.window)};
    FSA_ASSIGN_OR_RETURN(cmp_, reference::range_attention_rows(compressed, rows_));
    FSA_ASSIGN_OR_RETURN(win_, reference::range_attention_rows(window, rows_));
    FSA_RETURN_IF_ERROR(select());
    return attend_selected();
  }

  Result<OracleVerdict> compare(std::span<const TensorView> tensors) override {
    OracleVerdict verdict{.right = true, .tolerance = tolerance(), .rows = std::ssize(rows_), .all_rows = p_.total_q * p_.heads_q()};
    if (p_.branch_outputs) {
      FSA_RETURN_IF_ERROR(adopt_selection(tensor(tensors, "block_indices"), verdict));
      compare_branch("cmp", cmp_, tensors, p_.compression == Compression::kNone ? reference::kLseTolerance : kRoundedKeys, verdict);
      compare_branch("sel", sel_, tensors, reference::kLseTolerance, verdict);
      compare_branch("win", win_, tensors, reference::kLseTolerance, verdict);
    }
    compare_out(tensor(tensors, "out"), verdict);
    return verdict;
  }

 private:
  TensorView input(std::string_view name) const { return tensor(inputs_, name); }
  TensorView tensor(std::span<const TensorView> tensors, std::string_view name) const {
    for (std::size_t i = 0; i < specs_.size(); ++i)
      if (specs_[i].name == name) return tensors[i];
    return {};
  }
  double tolerance() const { return p_.element == Element::kF32 ? 1e-5 : reference::kOutputTolerance; }

  Result<void> compress() {
    const TensorView cu_k = input("cu_k");
    const std::span cu(static_cast<const std::int32_t*>(cu_k.data), static_cast<std::size_t>(cu_k.shape[0]));
    cu_c_ = ints_tensor(reference::compressed_cu(cu, p_.kernel_size, p_.stride));
    if (p_.compression == Compression::kNone) {
      ck_ = input("ck");
      cv_ = input("cv");
      return {};
    }
    const std::int64_t rows = static_cast<const std::int32_t*>(cu_c_.data())[cu.size() - 1];
    const auto compressed = [&](const char* x, const char* w, bool positional, int dim) -> Result<HostTensor> {
      FSA_ASSIGN_OR_RETURN(const auto values, reference::compress({.x = input(x), .w = input(w), .pe = positional ? input("pe") : TensorView{},
                                                                   .cu_k = cu_k, .kernel_size = p_.kernel_size, .stride = p_.stride}));
      return rounded(values, dtype_of_element(p_.element), {rows, p_.heads_kv, dim});
    };
    FSA_ASSIGN_OR_RETURN(own_ck_, compressed("k", "w_k", p_.positional != 0, p_.head_dim));
    FSA_ASSIGN_OR_RETURN(own_cv_, compressed("v", "w_v", false, p_.head_dim_v));
    ck_ = own_ck_.view();
    cv_ = own_cv_.view();
    return {};
  }

  std::span<std::int32_t> blocks_of(const reference::SelectionRow& row) const {
    const std::int64_t first = (row.kv_head * p_.total_q + row.token) * p_.topk;
    return {static_cast<std::int32_t*>(indices_.data()) + first, static_cast<std::size_t>(p_.topk)};
  }

  Result<void> select() {
    const HostTensor lse(DType::kF32, {p_.heads_q(), p_.total_q});
    for (std::size_t i = 0; i < rows_.size(); ++i)
      static_cast<float*>(lse.data())[rows_[i].head * p_.total_q + rows_[i].token] = static_cast<float>(cmp_.lse[i]);
    FSA_ASSIGN_OR_RETURN(scores_, reference::block_scores({.q = input("q"), .ck = ck_, .lse = lse.view(), .cu_q = input("cu_q"),
                                                           .cu_k = input("cu_k"), .cu_c = cu_c_.view(), .rule = rule_, .scale = p_.scale},
                                                          selection_rows_));
    std::fill_n(static_cast<std::int32_t*>(indices_.data()), indices_.view().num_elements(), -1);
    for (std::size_t i = 0; i < selection_rows_.size(); ++i) std::ranges::copy(reference::choose_blocks(scores_[i].blocks, rule_), blocks_of(selection_rows_[i]).begin());
    return {};
  }

  Result<void> attend_selected() {
    FSA_ASSIGN_OR_RETURN(sel_, reference::selected_attention_rows({.q = input("q"), .k = input("k"), .v = input("v"), .block_indices = indices_.view(),
                                                                   .cu_q = input("cu_q"), .cu_k = input("cu_k"), .block_size = p_.block_size,
                                                                   .scale = p_.scale},
                                                                  rows_));
    return {};
  }

  /// How far apart scores may be whose blocks changed places.
  double near_tie(std::size_t selection_row) const {
    const double logits = reference::kLogitError * scores_[selection_row].largest_logit;
    return std::max(p_.compression == Compression::kNone || p_.element == Element::kF32 ? reference::kNearTie : kRoundedKeys, logits);
  }

  /// Checks the kernel's selection and computes the selected branch for it.
  Result<void> adopt_selection(const TensorView& block_indices, OracleVerdict& verdict) {
    std::int64_t exchanged = 0, wrong = 0;
    for (std::size_t i = 0; i < selection_rows_.size(); ++i) {
      const auto blocks = blocks_of(selection_rows_[i]);
      const std::int64_t first = (selection_rows_[i].kv_head * p_.total_q + selection_rows_[i].token) * p_.topk;
      std::copy_n(static_cast<const std::int32_t*>(block_indices.data) + first, p_.topk, blocks.begin());
      const auto expected = reference::choose_blocks(scores_[i].blocks, rule_);
      if (std::equal(blocks.begin(), blocks.end(), expected.begin(), expected.end())) continue;
      ++(reference::selection_difference(blocks, scores_[i].blocks, rule_) <= near_tie(i) ? exchanged : wrong);
    }
    verdict.right = verdict.right && wrong == 0;
    verdict.text += fmt::format("selection: {} rows, {} near ties, {} wrong; ", selection_rows_.size(), exchanged, wrong);
    verdict.measures["selection_wrong"] = wrong;
    verdict.measures["selection_near_ties"] = exchanged;
    return wrong == 0 ? attend_selected() : Result<void>();
  }

  void compare_branch(const std::string& name, const reference::SelectedOutputs& expected, std::span<const TensorView> tensors, double lse_tolerance,
                      OracleVerdict& verdict) const {
    const auto c = reference::compare_rows(tensor(tensors, "o_" + name), tensor(tensors, "lse_" + name), rows_, expected);
    verdict.right = verdict.right && c.within(tolerance(), lse_tolerance);
    verdict.text += fmt::format("{}: {}; ", name, c.describe());
    verdict.measures["o_" + name + "_error"] = c.output;
    verdict.measures["lse_" + name + "_error"] = c.lse;
  }

  /// The gated sum of the branches, row by row. Rows whose selection the oracle cannot know are left out where the kernel's
  /// own was not given.
  void compare_out(const TensorView& out, OracleVerdict& verdict) const {
    std::vector<reference::Row> rows;
    reference::SelectedOutputs expected;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const std::size_t selection_row = i / static_cast<std::size_t>(p_.group);
      if (!p_.branch_outputs && is_ambiguous(scores_[selection_row], rule_, near_tie(selection_row))) continue;
      rows.push_back(rows_[i]);
      append_gated(i, expected.o);
      expected.lse.push_back(0);
    }
    const HostTensor no_lse(DType::kF32, {p_.heads_q(), p_.total_q});
    const auto c = reference::compare_rows(out, no_lse.view(), rows, expected);
    verdict.right = verdict.right && c.within(tolerance());
    verdict.error = c.output;
    verdict.rows = std::ssize(rows);
    verdict.text += fmt::format("output {:.2e}, worst row {:.2e}", c.output, c.worst_row);
    verdict.measures["output_error"] = c.output;
    verdict.measures["worst_row_error"] = c.worst_row;
  }

  void append_gated(std::size_t row, std::vector<double>& out) const {
    const TensorView gates = input("gates");
    const std::int64_t at = rows_[row].token * gates.stride[0] + rows_[row].head * gates.stride[1];
    const double g[3] = {reference::load_element(gates, at), reference::load_element(gates, at + gates.stride[2]),
                         reference::load_element(gates, at + 2 * gates.stride[2])};
    for (std::size_t i = row * static_cast<std::size_t>(p_.head_dim_v); i < (row + 1) * static_cast<std::size_t>(p_.head_dim_v); ++i)
      out.push_back(g[0] * cmp_.o[i] + g[1] * sel_.o[i] + g[2] * win_.o[i]);
  }

  NsaProblem p_;
  std::vector<TensorSpec> specs_;
  std::vector<TensorView> inputs_;
  reference::SelectionRule rule_;
  std::vector<std::int64_t> tokens_;
  std::vector<reference::Row> rows_;                    // every head of each token
  std::vector<reference::SelectionRow> selection_rows_;  // every kv head of each token
  HostTensor cu_c_, own_ck_, own_cv_, indices_;
  TensorView ck_, cv_;
  std::vector<reference::RowScores> scores_;
  reference::SelectedOutputs cmp_, win_, sel_;
};

}  // namespace

Result<std::unique_ptr<Oracle>> make_nsa_oracle(const NsaProblem& problem, std::vector<TensorSpec> specs, std::span<const TensorView> inputs) {
  auto oracle = std::make_unique<NsaOracle>(problem, std::move(specs), inputs);
  FSA_RETURN_IF_ERROR(oracle->compute());
  return std::unique_ptr<Oracle>(std::move(oracle));
}

}  // namespace fsa
