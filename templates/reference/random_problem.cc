#include "templates/reference/random_problem.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "templates/reference/parallel.h"
#include "templates/reference/random_numbers.h"
#include "templates/reference/random_parts.h"

namespace fsa::reference {
namespace {

constexpr std::int64_t kRunTokens = 256;  // tokens that follow one another in overlap; part of what a seed means

enum Stream : std::uint64_t { kQueries, kKeys, kValues, kSelection };

/// The selection of one row as it grows: distinct block numbers, at most `topk`.
class Choice {
 public:
  explicit Choice(int topk) : topk_(topk) {}
  int room() const { return topk_ - static_cast<int>(blocks_.size()); }
  bool has(int block) const { return std::find(blocks_.begin(), blocks_.end(), block) != blocks_.end(); }
  void add(int block) {
    if (room() > 0 && !has(block)) blocks_.push_back(block);
  }
  /// Fills up with uniform draws from [first, last) that are not there yet.
  void draw(int first, int last, Random& random) {
    const int taken = static_cast<int>(std::count_if(blocks_.begin(), blocks_.end(), [&](int b) { return b >= first && b < last; }));
    if (last - first < 4 * (taken + room())) return draw_dense(first, last, random);
    while (room() > 0) add(first + static_cast<int>(random.below(static_cast<std::uint32_t>(last - first))));
  }
  std::vector<int>& blocks() { return blocks_; }

 private:
  /// Few candidates: rejection would spin, so list what is left and take a random part of it.
  void draw_dense(int first, int last, Random& random) {
    std::vector<int> left;
    for (int b = first; b < last; ++b)
      if (!has(b)) left.push_back(b);
    for (; room() > 0 && !left.empty(); left.pop_back()) {
      std::swap(left[random.below(static_cast<std::uint32_t>(left.size()))], left.back());
      blocks_.push_back(left.back());
    }
  }

  int topk_;
  std::vector<int> blocks_;
};

Choice choose_blocks(int topk, int own, const InputOptions& o, std::span<const int> previous, Random& random) {
  Choice choice(topk);
  for (int b = 0; b < std::min(o.init_blocks, own + 1); ++b) choice.add(b);
  for (int b = own; b > std::max(-1, own - o.local_blocks); --b) choice.add(b);
  const int first = std::min(o.init_blocks, own + 1), last = std::max(first, own - o.local_blocks + 1);
  for (int b : previous)
    if (b >= first && b < last && random.chance(o.overlap)) choice.add(b);
  choice.draw(first, last, random);
  return choice;
}

/// Writes a row's slots: ascending with -1 last, or in random order.
void write_slots(std::span<const int> blocks, bool shuffled, Random& random, std::span<std::int32_t> slots) {
  std::fill(std::copy(blocks.begin(), blocks.end(), slots.begin()), slots.end(), -1);
  if (!shuffled) return std::sort(slots.begin(), slots.begin() + static_cast<std::ptrdiff_t>(blocks.size()));
  for (std::size_t i = slots.size(); i > 1; --i) std::swap(slots[i - 1], slots[random.below(static_cast<std::uint32_t>(i))]);
}

/// Selects for one run of tokens of one kv head.
void select_run(SelectedInputs& inputs, const InputOptions& options, std::int64_t head, std::int64_t first, std::int64_t last) {
  const SelectedProblem& p = inputs.problem;
  Random random(options.seed * 4 + kSelection, static_cast<std::uint64_t>(head * (p.total_q / kRunTokens + 1) + first / kRunTokens));
  std::vector<int> previous;
  auto b = std::upper_bound(inputs.cu_q.begin(), inputs.cu_q.end(), first) - inputs.cu_q.begin() - 1;
  for (std::int64_t token = first; token < last; ++token) {
    for (; inputs.cu_q[b + 1] <= token; ++b) previous.clear();
    const std::int64_t position = inputs.cu_k[b + 1] - inputs.cu_k[b] - (inputs.cu_q[b + 1] - token);
    const std::span slots(inputs.block_indices.data() + (head * p.total_q + token) * p.topk, static_cast<std::size_t>(p.topk));
    if (position < 0 || random.chance(options.empty_rows)) {
      std::fill(slots.begin(), slots.end(), -1);
      continue;
    }
    previous = std::move(choose_blocks(p.topk, static_cast<int>(position / p.block_size), options, previous, random).blocks());
    write_slots(previous, options.shuffled, random, slots);
  }
}

void select_blocks(SelectedInputs& inputs, const InputOptions& options) {
  const SelectedProblem& p = inputs.problem;
  inputs.block_indices.resize(static_cast<std::size_t>(p.entries()));
  const std::int64_t runs = (p.total_q + kRunTokens - 1) / kRunTokens;
  parallel_for(p.heads_kv * runs, 1, [&](std::int64_t i, std::int64_t) {
    const std::int64_t first = i % runs * kRunTokens;
    select_run(inputs, options, i / runs, first, std::min(first + kRunTokens, p.total_q));
  });
}

}  // namespace

SelectedOperands SelectedInputs::operands() const {
  const SelectedProblem& p = problem;
  const DType dtype = dtype_of(p.element);
  return {.q = TensorView::contiguous(q.data(), dtype, {p.total_q, p.heads_kv * p.group, p.head_dim}),
          .k = TensorView::contiguous(k.data(), dtype, {p.total_k, p.heads_kv, p.head_dim}),
          .v = TensorView::contiguous(v.data(), dtype, {p.total_k, p.heads_kv, p.head_dim_v}),
          .block_indices = TensorView::contiguous(block_indices.data(), DType::kI32, {p.heads_kv, p.total_q, p.topk}),
          .cu_q = TensorView::contiguous(cu_q.data(), DType::kI32, {p.num_seqs + 1}),
          .cu_k = TensorView::contiguous(cu_k.data(), DType::kI32, {p.num_seqs + 1}),
          .block_size = p.block_size,
          .scale = p.scale};
}

SelectedInputs random_inputs(SelectedProblem p, const InputOptions& options) {
  SelectedInputs inputs;
  const auto lens_q = options.lens_q.empty() ? even_parts(p.total_q, p.num_seqs) : options.lens_q;
  const auto lens_k = !options.lens_k.empty() ? options.lens_k : options.lens_q.empty() ? even_parts(p.total_k, p.num_seqs) : lens_q;
  inputs.cu_q = prefix_sums(lens_q);
  inputs.cu_k = prefix_sums(lens_k);
  p.num_seqs = static_cast<int>(lens_q.size());
  p.total_q = inputs.cu_q.back();
  p.total_k = inputs.cu_k.back();
  if (p.scale == 0) p.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(p.head_dim)));
  inputs.problem = p;
  inputs.q = normal_tensor(p.element, p.total_q * p.heads_kv * p.group * p.head_dim, options.seed * 4 + kQueries, options.gain);
  inputs.k = normal_tensor(p.element, p.total_k * p.heads_kv * p.head_dim, options.seed * 4 + kKeys, options.gain);
  inputs.v = normal_tensor(p.element, p.total_k * p.heads_kv * p.head_dim_v, options.seed * 4 + kValues, 1);
  select_blocks(inputs, options);
  return inputs;
}

}  // namespace fsa::reference
