#include "tests/families/compress_case.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <ostream>

#include "templates/reference/numeric.h"
#include "templates/reference/random_numbers.h"

namespace fsa::test {
namespace {

using compress_kv::Mode;

constexpr Element kB = Element::kBF16, kH = Element::kF16, kF = Element::kF32;

CompressKvProblem problem(Element element, Mode mode, int positional, int kernel_size, int stride, int d, int heads_kv) {
  return {.element = element,
          .mode = mode,
          .positional = positional,
          .kernel_size = kernel_size,
          .stride = stride,
          .head_dim = d,
          .heads_kv = heads_kv};
}

std::vector<std::byte> normal_numbers(Element element, std::int64_t count, std::uint64_t seed, double deviation) {
  const DType dtype = reference::dtype_of(element);
  std::vector<std::byte> bytes(static_cast<std::size_t>(count) * size_of(dtype));
  reference::fill_normal(TensorView::contiguous(bytes.data(), dtype, {count}), seed, deviation);
  return bytes;
}

std::int64_t weight_count(const CompressKvProblem& p) {
  const std::int64_t tokens = std::int64_t{p.heads_kv} * p.kernel_size;
  return p.mode == Mode::kMean ? 0 : p.mode == Mode::kWeighted ? tokens : tokens * p.head_dim * p.head_dim;
}

/// Standard deviation of w that keeps y near 1.
double weight_deviation(const CompressKvProblem& p) {
  return 1 / std::sqrt(static_cast<double>(p.kernel_size) * (p.mode == Mode::kLinear ? p.head_dim : 1));
}

void set_all(const TensorView& t, const std::function<float(std::int64_t)>& value) {
  for (std::int64_t i = 0; i < t.num_elements(); ++i) reference::store_element(t, i, value(i));
}

/// Writes `value` over the tokens that are in no window.
void spoil_uncovered_tokens(CompressInputs& inputs, float value) {
  const CompressKvProblem& p = inputs.problem;
  const TensorView x = inputs.operands().x;
  for (int b = 0; b < p.num_seqs; ++b) {
    const int windows = inputs.cu_c[b + 1] - inputs.cu_c[b];
    const int covered = windows == 0 ? 0 : (windows - 1) * p.stride + p.kernel_size;
    for (std::int64_t i = (inputs.cu_k[b] + covered) * x.stride[0]; i < inputs.cu_k[b + 1] * x.stride[0]; ++i)
      reference::store_element(x, i, value);
  }
}

/// x = 256 throughout and columns of w that cancel it: all that is left is pe @ w, which 16-bit sums x + pe have lost.
void hide_pe_beside_x(CompressInputs& inputs) {
  const auto o = inputs.operands();
  const std::int64_t d = inputs.problem.head_dim;
  set_all(o.x, [](std::int64_t) { return 256.0f; });
  set_all(o.w, [d](std::int64_t i) { return i / d % 2 == 0 ? 0.5f : -0.5f; });
}

}  // namespace

reference::CompressOperands CompressInputs::operands() const {
  const CompressKvProblem& p = problem;
  const DType dtype = reference::dtype_of(p.element);
  const std::int64_t heads = p.heads_kv, l = p.kernel_size, d = p.head_dim;
  reference::CompressOperands o{.x = TensorView::contiguous(x.data(), dtype, {p.total_k, heads, d}),
                                .w = {},
                                .pe = {},
                                .cu_k = TensorView::contiguous(cu_k.data(), DType::kI32, {std::int64_t{p.num_seqs} + 1}),
                                .kernel_size = p.kernel_size,
                                .stride = p.stride};
  if (p.mode == Mode::kWeighted) o.w = TensorView::contiguous(w.data(), dtype, {heads, l});
  if (p.mode == Mode::kLinear) o.w = TensorView::contiguous(w.data(), dtype, {heads, l * d, d});
  if (p.positional) o.pe = TensorView::contiguous(pe.data(), dtype, {heads, l, d});
  return o;
}

CompressInputs CompressCase::make() const {
  CompressInputs inputs{.problem = problem, .x = {}, .w = {}, .pe = {}, .cu_k = {0}, .cu_c = {}};
  CompressKvProblem& p = inputs.problem;
  for (int n : lens) inputs.cu_k.push_back(inputs.cu_k.back() + n);
  inputs.cu_c = reference::compressed_cu(inputs.cu_k, p.kernel_size, p.stride);
  p.num_seqs = static_cast<int>(lens.size());
  p.total_k = inputs.cu_k.back();
  p.total_c = inputs.cu_c.back() + spare_rows;
  inputs.x = normal_numbers(p.element, p.total_k * p.heads_kv * p.head_dim, 1, 1);
  inputs.w = normal_numbers(p.element, weight_count(p), 2, weight_deviation(p));
  if (p.positional) inputs.pe = normal_numbers(p.element, std::int64_t{p.heads_kv} * p.kernel_size * p.head_dim, 3, 0.5);
  if (change) change(inputs);
  return inputs;
}

std::vector<CompressCase> compress_shape_cases() {
  std::vector<CompressCase> cases;
  const auto add = [&](const CompressKvProblem& p, std::vector<int> lens) {
    constexpr const char* kModes[] = {"mean", "weighted", "linear"};
    constexpr const char* kElements[] = {"bf16", "f16", "f32"};
    cases.push_back({.name = fmt::format("{}{}_l{}_s{}_d{}_h{}_{}", kModes[static_cast<int>(p.mode)], p.positional ? "_pe" : "",
                                         p.kernel_size, p.stride, p.head_dim, p.heads_kv, kElements[static_cast<int>(p.element)]),
                     .problem = p,
                     .lens = std::move(lens)});
  };
  for (Element element : {kB, kH, kF})
    for (Mode mode : {Mode::kMean, Mode::kWeighted}) {
      add(problem(element, mode, 0, 32, 16, 128, 4), {300, 150});
      add(problem(element, mode, 0, 16, 8, 72, 3), {200});
      add(problem(element, mode, 0, 12, 4, 16, 1), {90});
      add(problem(element, mode, 0, 7, 7, 256, 2), {100});
    }
  add(problem(kB, Mode::kMean, 0, 256, 64, 96, 2), {1000});
  add(problem(kH, Mode::kWeighted, 0, 1, 1, 64, 2), {70});
  add(problem(kB, Mode::kWeighted, 0, 13, 1, 24, 2), {70});
  for (int positional : {0, 1}) {
    add(problem(kB, Mode::kLinear, positional, 32, 16, 128, 2), {900, 500});
    add(problem(kH, Mode::kLinear, positional, 32, 16, 64, 3), {700});
    add(problem(kB, Mode::kLinear, positional, 16, 8, 72, 2), {300});
    add(problem(kH, Mode::kLinear, positional, 16, 16, 96, 1), {400});
    add(problem(kB, Mode::kLinear, positional, 8, 4, 192, 2), {150});
    add(problem(kH, Mode::kLinear, positional, 4, 2, 256, 1), {200});
    add(problem(kB, Mode::kLinear, positional, 5, 5, 16, 5), {800});
    add(problem(kH, Mode::kLinear, positional, 1, 1, 24, 2), {90});
    add(problem(kB, Mode::kLinear, positional, 3, 1, 40, 2), {110});
    add(problem(kB, Mode::kLinear, positional, 40, 8, 104, 1), {250});
    add(problem(kF, Mode::kLinear, positional, 32, 16, 128, 1), {900});
    add(problem(kF, Mode::kLinear, positional, 6, 2, 40, 2), {100});
  }
  add(problem(kH, Mode::kLinear, 0, 2, 1, 240, 1), {80});
  add(problem(kB, Mode::kLinear, 1, 256, 128, 16, 1), {1300});
  return cases;
}

std::vector<CompressCase> compress_sequence_cases() {
  std::vector<CompressCase> cases;
  const std::vector<int> mixed{0, 1, 15, 16, 17, 0, 23, 24, 200, 0, 0, 31, 32};
  for (const auto& [name, base] : {std::pair{"mean", problem(kB, Mode::kMean, 0, 16, 8, 64, 2)},
                                   {"weighted", problem(kH, Mode::kWeighted, 0, 16, 8, 40, 2)},
                                   {"linear", problem(kB, Mode::kLinear, 1, 16, 8, 64, 2)}}) {
    const auto add = [&](const char* what, std::vector<int> lens, int spare_rows = 0) {
      cases.push_back({.name = fmt::format("{}_{}", name, what), .problem = base, .lens = std::move(lens), .spare_rows = spare_rows});
    };
    add("around_one_window", mixed);
    add("more_rows_than_compressed_keys", mixed, 150);
    add("many_short_sequences", std::vector<int>(90, 17));
    add("all_shorter_than_a_window", {15, 3, 0}, 5);
    add("one_window", {16});
    add("no_tokens", {0, 0}, 3);
    add("no_sequences", {}, 2);
    add("nothing_at_all", {});
  }
  return cases;
}

std::vector<CompressCase> compress_value_cases() {
  const auto mean = problem(kB, Mode::kMean, 0, 16, 8, 64, 2), weighted = problem(kB, Mode::kWeighted, 0, 16, 8, 64, 2);
  const auto linear = problem(kB, Mode::kLinear, 0, 16, 8, 64, 2), positional = problem(kB, Mode::kLinear, 1, 16, 8, 64, 2);
  auto f16 = positional;
  f16.element = kH;
  const std::vector<int> lens{100, 7, 0, 77, 15};
  const auto large = [](CompressInputs& in) {
    reference::fill_normal(TensorView::contiguous(in.x.data(), reference::dtype_of(in.problem.element),
                                                  {in.problem.total_k * in.problem.heads_kv * in.problem.head_dim}),
                           5, 1e30);
  };
  const auto nan = [](CompressInputs& in) { spoil_uncovered_tokens(in, std::numeric_limits<float>::quiet_NaN()); };
  const auto infinity = [](CompressInputs& in) { spoil_uncovered_tokens(in, std::numeric_limits<float>::infinity()); };
  return {{.name = "mean_of_1e30", .problem = mean, .lens = lens, .change = large},
          {.name = "linear_of_1e30", .problem = linear, .lens = lens, .change = large},
          {.name = "pe_beside_large_x", .problem = positional, .lens = lens, .change = hide_pe_beside_x},
          {.name = "pe_beside_large_x_f16", .problem = f16, .lens = lens, .change = hide_pe_beside_x},
          {.name = "mean_nan_in_no_window", .problem = mean, .lens = lens, .change = nan},
          {.name = "weighted_nan_in_no_window", .problem = weighted, .lens = lens, .spare_rows = 9, .change = nan},
          {.name = "linear_nan_in_no_window", .problem = positional, .lens = lens, .spare_rows = 9, .change = nan},
          {.name = "linear_infinity_in_no_window", .problem = linear, .lens = lens, .change = infinity}};
}

std::vector<CompressCase> compress_layout_cases() {
  std::vector<CompressCase> cases;
  for (const auto& [name, layout] : {std::pair{"gaps_between_rows", Layout::kPadded},
                                     {"heads_outside_tokens", Layout::kHeadMajor},
                                     {"offsets_past_2_to_the_31", Layout::kFar}}) {
    cases.push_back(
        {.name = fmt::format("mean_{}", name), .problem = problem(kB, Mode::kMean, 0, 16, 8, 72, 3), .lens = {70, 90}, .layout = layout});
    cases.push_back({.name = fmt::format("linear_{}", name),
                     .problem = problem(kH, Mode::kLinear, 1, 16, 8, 72, 3),
                     .lens = {70, 90},
                     .layout = layout});
  }
  return cases;
}

std::vector<CompressCase> compress_config_cases() {
  return {{.name = "linear_d128", .problem = problem(kB, Mode::kLinear, 1, 32, 16, 128, 2), .lens = {1500, 40, 333}, .spare_rows = 40},
          {.name = "linear_d72", .problem = problem(kH, Mode::kLinear, 1, 12, 4, 72, 1), .lens = {100, 300}},
          {.name = "linear_d192", .problem = problem(kB, Mode::kLinear, 0, 4, 4, 192, 1), .lens = {500}},
          {.name = "linear_f32", .problem = problem(kF, Mode::kLinear, 1, 8, 4, 88, 2), .lens = {300}},
          {.name = "weighted", .problem = problem(kB, Mode::kWeighted, 0, 20, 10, 96, 3), .lens = {500, 33}},
          {.name = "mean", .problem = problem(kH, Mode::kMean, 0, 32, 16, 64, 1), .lens = {2000}}};
}

void PrintTo(const CompressCase& c, std::ostream* out) { *out << c.name; }

}  // namespace fsa::test
