#include "tests/families/input_changes.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "templates/reference/numeric.h"
#include "templates/reference/random_numbers.h"

namespace fsa::test {
namespace {

using reference::SelectedInputs;

/// [Hkv * Tk], whether any row sees the key.
std::vector<bool> seen_keys(const SelectedInputs& in) {
  const SelectedProblem& p = in.problem;
  std::vector<bool> seen(static_cast<std::size_t>(p.heads_kv * p.total_k), false);
  for (std::int64_t head = 0; head < p.heads_kv; ++head)
    for (int b = 0; b < p.num_seqs; ++b) {
      const std::int64_t len_k = in.cu_k[b + 1] - in.cu_k[b];
      for (std::int64_t token = in.cu_q[b]; token < in.cu_q[b + 1]; ++token) {
        const std::span blocks(in.block_indices.data() + (head * p.total_q + token) * p.topk, static_cast<std::size_t>(p.topk));
        for (std::int64_t key : reference::visible_keys(blocks, len_k - (in.cu_q[b + 1] - token), p.block_size, len_k))
          seen[head * p.total_k + in.cu_k[b] + key] = true;
      }
    }
  return seen;
}

void fill_row(const TensorView& t, std::int64_t token, std::int64_t head, float value) {
  for (std::int64_t d = 0; d < t.shape[2]; ++d) reference::store_element(t, token * t.stride[0] + head * t.stride[1] + d, value);
}

void fill_all(const TensorView& t, float value) {
  for (std::int64_t i = 0; i < t.num_elements(); ++i) reference::store_element(t, i, value);
}

}  // namespace

void add_illegal_blocks(SelectedInputs& inputs) {
  constexpr int kMax = std::numeric_limits<int>::max(), kMin = std::numeric_limits<int>::min();
  const SelectedProblem& p = inputs.problem;
  reference::Random random(7, 7);
  for (std::int64_t row = 0; row < p.heads_kv * p.total_q; ++row) {
    // Distinct within a row: each is used once, and none is a legal number of any sequence here.
    std::vector<int> illegal{-2, kMin, kMax, kMax / p.block_size, 1 << 30, 1000 + static_cast<int>(row % 50), -7777};
    for (int slot = 0; slot < p.topk && !illegal.empty(); ++slot) {
      if (!random.chance(0.4)) continue;
      std::swap(illegal[random.below(static_cast<std::uint32_t>(illegal.size()))], illegal.back());
      inputs.block_indices[row * p.topk + slot] = illegal.back();
      illegal.pop_back();
    }
  }
  // Future numbers: the last block of the longest sequence, written in the first slot of early rows that lack it.
  for (std::int64_t row = 0; row < p.heads_kv * p.total_q; row += 3) {
    auto* slots = inputs.block_indices.data() + row * p.topk;
    const int future = inputs.cu_k[1] / p.block_size;
    if (std::find(slots, slots + p.topk, future) == slots + p.topk) slots[0] = future;
  }
}

void set_all_logits(SelectedInputs& inputs, double logit) {
  const double each = std::sqrt(std::fabs(logit) / (inputs.problem.head_dim * static_cast<double>(inputs.problem.scale)));
  const auto x = inputs.operands();
  fill_all(x.q, static_cast<float>(each));
  fill_all(x.k, static_cast<float>(std::copysign(each, logit)));
}

void scale_values(SelectedInputs& inputs, double deviation) { reference::fill_normal(inputs.operands().v, 99, deviation); }

void hide_newest_keys(SelectedInputs& inputs, int count) {
  const SelectedProblem& p = inputs.problem;
  for (std::int64_t head = 0; head < p.heads_kv; ++head)
    for (int b = 0; b < p.num_seqs; ++b)
      for (std::int64_t token = std::max(inputs.cu_q[b], inputs.cu_q[b + 1] - count); token < inputs.cu_q[b + 1]; ++token) {
        auto* slots = inputs.block_indices.data() + (head * p.total_q + token) * p.topk;
        std::fill_n(slots, p.topk, -1);
        slots[0] = 0;
      }
}

void spoil_unseen_keys(SelectedInputs& inputs, float value) {
  const SelectedProblem& p = inputs.problem;
  const auto x = inputs.operands();
  const auto seen = seen_keys(inputs);
  for (std::int64_t head = 0; head < p.heads_kv; ++head)
    for (std::int64_t key = 0; key < p.total_k; ++key)
      if (!seen[head * p.total_k + key]) {
        fill_row(x.k, key, head, value);
        fill_row(x.v, key, head, value);
      }
}

}  // namespace fsa::test
