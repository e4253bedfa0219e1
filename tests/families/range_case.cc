#include "tests/families/range_case.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "templates/dimension_check.h"
#include "templates/families.h"
#include "templates/reference/numeric.h"
#include "templates/reference/random_numbers.h"
#include "tests/families/strided_copy.h"
#include "tests/families/two_runs.h"

namespace fsa::test {
namespace {

using reference::RangeInputs;

constexpr Element kB = Element::kBF16, kH = Element::kF16, kF = Element::kF32;
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();

/// {element, output, D, Dv, g, Hkv, tokens}: queries and keys alike.
RangeProblem problem(Element element, Element output, int d, int dv, int group, int heads_kv, std::int64_t tokens, int num_seqs = 1) {
  return {.element = element,
          .output = output,
          .head_dim = d,
          .head_dim_v = dv,
          .group = group,
          .heads_kv = heads_kv,
          .num_seqs = num_seqs,
          .total_q = tokens,
          .total_k = tokens,
          .total_rows = 0,
          .scale = 0};
}

RangeProblem windowed(RangeProblem p, int window) {
  p.window = window;
  return p;
}

RangeProblem compressed(RangeProblem p, int kernel_size, int stride) {
  p.kernel_size = kernel_size;
  p.stride = stride;
  return p;
}

std::string rule_name(const RangeProblem& p) {
  return p.compressed() ? fmt::format("kernel{}_stride{}", p.kernel_size, p.stride) : fmt::format("window{}", p.window);
}

RangeCase shape_case(const RangeProblem& p, std::int64_t sampled_rows = 0) {
  const std::string values = p.head_dim_v != p.head_dim ? fmt::format("_dv{}", p.head_dim_v) : "";
  const std::string name =
      fmt::format("g{}_d{}{}_{}_to_{}_{}", p.group, p.head_dim, values, to_string(p.element), to_string(p.output), rule_name(p));
  return {.name = name, .problem = p, .sampled_rows = sampled_rows};
}

/// The case as one of a window and one of compressed keys.
std::vector<RangeCase> both(RangeCase c, int window, int kernel_size, int stride) {
  std::vector<RangeCase> pair{c, c};
  pair[0].problem = windowed(c.problem, window);
  pair[1].problem = compressed(c.problem, kernel_size, stride);
  for (RangeCase& each : pair) each.name = fmt::format("{}_{}", c.name, rule_name(each.problem));
  return pair;
}

void append(std::vector<RangeCase>& list, std::vector<RangeCase> more) {
  for (RangeCase& c : more) list.push_back(std::move(c));
}

void fill_row(const TensorView& t, std::int64_t token, std::int64_t head, float value) {
  for (std::int64_t d = 0; d < t.shape[2]; ++d) reference::store_element(t, token * t.stride[0] + head * t.stride[1] + d, value);
}

/// Writes `value` over every row of k and v that no query sees.
void spoil_unseen_rows(RangeInputs& inputs, float value) {
  const auto x = inputs.operands();
  const auto seen = reference::seen_rows(x);
  EXPECT_NE(std::find(seen.begin(), seen.end(), false), seen.end()) << "nothing to spoil: the case tests nothing";
  for (std::int64_t row = 0; row < x.k.shape[0]; ++row)
    for (std::int64_t head = 0; head < x.k.shape[1] && !seen[static_cast<std::size_t>(row)]; ++head) {
      fill_row(x.k, row, head, value);
      fill_row(x.v, row, head, value);
    }
}

/// Makes every q.k * scale equal to `logit`, as near as the element type allows.
void set_all_logits(RangeInputs& inputs, double logit) {
  const auto x = inputs.operands();
  const double each = std::sqrt(std::fabs(logit) / (inputs.problem.head_dim * static_cast<double>(inputs.problem.scale)));
  for (std::int64_t i = 0; i < x.q.num_elements(); ++i) reference::store_element(x.q, i, static_cast<float>(each));
  for (std::int64_t i = 0; i < x.k.num_elements(); ++i) reference::store_element(x.k, i, static_cast<float>(std::copysign(each, logit)));
}

/// Draws v anew; then multiplies the rows from `from` on by `factor`.
void scale_values(RangeInputs& inputs, double deviation, std::int64_t from = 0, double factor = 1) {
  const auto x = inputs.operands();
  reference::fill_normal(x.v, 99, deviation);
  if (factor == 1) return;
  const std::int64_t row = x.v.shape[1] * x.v.shape[2];
  for (std::int64_t i = from * row; i < x.v.num_elements(); ++i)
    reference::store_element(x.v, i, static_cast<float>(reference::load_element(x.v, i) * factor));
}

std::vector<RangeCase> sequence_cases_of(const RangeProblem& base) {
  return {
      {.name = "empty_and_one_token_sequences", .problem = base, .options = {.lens_q = {0, 1, 37, 0, 0, 64, 130, 1, 0}, .lens_k = {}}},
      {.name = "query_suffixes", .problem = base, .options = {.lens_q = {17, 1, 0, 5, 33}, .lens_k = {220, 150, 33, 5, 65}}},
      {.name = "decode", .problem = base, .options = {.lens_q = {1, 1, 1, 1, 1}, .lens_k = {1000, 1, 64, 65, 31}}},
      {.name = "many_short_sequences", .problem = base, .options = {.lens_q = std::vector<int>(170, 3), .lens_k = {}}},
      {.name = "sequences_shorter_than_a_kernel", .problem = base, .options = {.lens_q = {7, 15, 16, 17, 31, 3}, .lens_k = {}}},
      {.name = "more_queries_than_keys", .problem = base, .options = {.lens_q = {50, 40, 9}, .lens_k = {20, 40, 0}}},
      {.name = "one_query_one_key", .problem = base, .options = {.lens_q = {1}, .lens_k = {1}}},
      {.name = "no_queries", .problem = base, .options = {.lens_q = {0, 0}, .lens_k = {5, 100}}},
      {.name = "no_tokens", .problem = base, .options = {.lens_q = {0, 0}, .lens_k = {}}},
      {.name = "no_sequences",
       .problem =
           [&] {
             auto p = base;
             p.num_seqs = 0;
             return p;
           }()},
  };
}

/// The latest case's inputs and what the oracle says: parametrised tests visit a case with all configs before the next.
struct Prepared {
  std::string name;
  RangeInputs inputs;
  std::vector<reference::Row> rows;
  reference::SelectedOutputs expected;
};

std::shared_ptr<const Prepared> prepare(const RangeCase& description) {
  static std::shared_ptr<const Prepared> latest;
  if (latest && latest->name == description.name) return latest;
  auto prepared = std::make_shared<Prepared>(Prepared{description.name, description.make(), {}, {}});
  const RangeProblem& p = prepared->inputs.problem;
  if (description.sampled_rows > 0) prepared->rows = reference::sample_rows(p.total_q, p.heads_kv * p.group, description.sampled_rows);
  auto expected = prepared->rows.empty() ? reference::range_attention(prepared->inputs.operands())
                                         : reference::range_attention_rows(prepared->inputs.operands(), prepared->rows);
  EXPECT_TRUE(expected) << expected.error().message();
  if (expected) prepared->expected = std::move(expected).value();
  latest = prepared;
  return latest;
}

}  // namespace

RangeInputs RangeCase::make() const {
  auto inputs = reference::random_range_inputs(problem, options);
  if (change) change(inputs);
  return inputs;
}

void PrintTo(const RangeCase& c, std::ostream* out) { *out << c.name; }

std::vector<RangeCase> range_shape_cases() {
  std::vector<RangeCase> cases;
  for (const RangeProblem& p : {windowed(problem(kB, kB, 16, 16, 1, 2, 90), 1),
                                windowed(problem(kB, kB, 64, 64, 4, 1, 300), 2),
                                windowed(problem(kB, kB, 64, 64, 3, 2, 250), 3),
                                windowed(problem(kB, kB, 64, 64, 3, 2, 250), 4),
                                windowed(problem(kH, kF, 72, 72, 4, 1, 300), 65),
                                windowed(problem(kB, kF, 96, 96, 5, 1, 290), 100),
                                windowed(problem(kH, kH, 128, 128, 7, 1, 300), 64),
                                windowed(problem(kB, kB, 128, 128, 16, 1, 260), 129),
                                windowed(problem(kB, kF, 192, 192, 1, 1, 400), 130),
                                windowed(problem(kH, kH, 256, 256, 4, 1, 200), 1000),
                                windowed(problem(kB, kB, 256, 256, 1, 2, 330), 77),
                                windowed(problem(kB, kF, 192, 128, 2, 1, 310), 310),
                                windowed(problem(kH, kF, 40, 72, 3, 1, 140), 33),
                                windowed(problem(kB, kB, 16, 256, 2, 1, 260), 48),
                                windowed(problem(kB, kF, 256, 16, 5, 1, 330), 31),
                                windowed(problem(kB, kF, 64, 64, 150, 1, 40), 9),
                                windowed(problem(kB, kF, 24, 104, 1, 3, 400), 2000000000),
                                windowed(problem(kF, kF, 64, 64, 4, 1, 250), 40),
                                windowed(problem(kF, kF, 40, 24, 3, 2, 210), 300),
                                windowed(problem(kF, kF, 256, 128, 1, 1, 300), 17),
                                compressed(problem(kB, kB, 16, 16, 1, 2, 500), 1, 1),
                                compressed(problem(kB, kF, 64, 64, 4, 1, 700), 32, 16),
                                compressed(problem(kB, kB, 64, 64, 3, 2, 450), 16, 8),
                                compressed(problem(kH, kF, 72, 72, 4, 1, 500), 8, 4),
                                compressed(problem(kB, kB, 96, 96, 5, 1, 600), 2, 2),
                                compressed(problem(kH, kH, 128, 128, 7, 1, 800), 6, 2),
                                compressed(problem(kB, kF, 128, 128, 16, 1, 700), 4, 2),
                                compressed(problem(kB, kB, 192, 192, 1, 1, 900), 8, 8),
                                compressed(problem(kH, kH, 256, 256, 4, 1, 400), 3, 1),
                                compressed(problem(kB, kB, 192, 128, 2, 1, 500), 256, 16),
                                compressed(problem(kB, kF, 16, 256, 2, 1, 300), 3, 3),
                                compressed(problem(kB, kB, 64, 64, 150, 1, 60), 2, 1),
                                compressed(problem(kF, kF, 64, 64, 4, 1, 500), 4, 2),
                                compressed(problem(kF, kF, 40, 24, 3, 2, 410), 1, 1)})
    cases.push_back(shape_case(p));
  // Many tiles and many steps of each.
  cases.push_back(shape_case(windowed(problem(kB, kB, 128, 128, 4, 2, 2048), 512), 600));
  cases.push_back(shape_case(windowed(problem(kB, kF, 64, 64, 1, 2, 3000), 3000), 600));
  cases.push_back(shape_case(compressed(problem(kB, kB, 128, 128, 4, 2, 5000), 8, 4), 600));
  return cases;
}

std::vector<RangeCase> range_sequence_cases() {
  std::vector<RangeCase> cases;
  for (RangeCase& c : sequence_cases_of(problem(kB, kF, 64, 64, 2, 2, 0))) {
    c.options.spare_rows = 5;
    append(cases, both(c, 40, 16, 8));
  }
  append(
      cases,
      both({.name = "odd_group_suffixes", .problem = problem(kH, kH, 96, 64, 3, 1, 0), .options = {.lens_q = {40, 7}, .lens_k = {41, 300}}},
           70, 4, 2));
  append(
      cases,
      both({.name = "dense_chunks", .problem = problem(kB, kB, 64, 64, 5, 1, 0), .options = {.lens_q = {100, 300}, .lens_k = {500, 300}}},
           100000, 2, 1));
  return cases;
}

std::vector<RangeCase> range_value_cases() {
  const auto base = problem(kB, kB, 64, 64, 2, 2, 500);
  auto f16 = base;
  f16.element = f16.output = kH;
  const reference::RangeInputOptions suffix{.lens_q = {60, 20, 0, 9, 1}, .lens_k = {190, 400, 100, 9, 300}, .spare_rows = 40};
  std::vector<RangeCase> cases;
  for (RangeCase& c : std::vector<RangeCase>{
           {.name = "logits_of_1000", .problem = base, .options = {.gain = 17}},
           {.name = "logits_of_1000_f16", .problem = f16, .options = {.gain = 17}},
           {.name = "all_logits_minus_1000", .problem = base, .change = [](auto& in) { set_all_logits(in, -1000); }},
           {.name = "all_logits_plus_1000", .problem = base, .change = [](auto& in) { set_all_logits(in, 1000); }},
           {.name = "values_of_1e30", .problem = base, .change = [](auto& in) { scale_values(in, 1e30); }},
           {.name = "values_of_1e_minus_30", .problem = base, .change = [](auto& in) { scale_values(in, 1e-30); }},
           {.name = "values_of_10000_f16", .problem = f16, .change = [](auto& in) { scale_values(in, 1e4); }},
           {.name = "values_of_1e_minus_6", .problem = base, .change = [](auto& in) { scale_values(in, 1e-6); }},
           {.name = "values_that_rise_late",
            .problem = base,
            .change = [](auto& in) { scale_values(in, 1, in.problem.total_rows * 2 / 3, 1e6); }},
           {.name = "values_that_fall_late",
            .problem = base,
            .change = [](auto& in) { scale_values(in, 1e6, in.problem.total_rows * 2 / 3, 1e-6); }},
           {.name = "values_that_begin_with_zeros",
            .problem = base,
            .change =
                [](auto& in) {
                  scale_values(in, 1e20);
                  const auto v = in.operands().v;
                  for (std::int64_t row = 0; row < v.shape[0] / 3; ++row)
                    for (std::int64_t head = 0; head < v.shape[1]; ++head) fill_row(v, row, head, 0);
                }},
           {.name = "nan_in_unseen_keys", .problem = base, .options = suffix, .change = [](auto& in) { spoil_unseen_rows(in, kNaN); }},
           {.name = "infinity_in_unseen_keys",
            .problem = base,
            .options = suffix,
            .change = [](auto& in) { spoil_unseen_rows(in, kInfinity); }},
           {.name = "infinity_in_unseen_keys_f16",
            .problem = f16,
            .options = suffix,
            .change = [](auto& in) { spoil_unseen_rows(in, -kInfinity); }},
           {.name = "scale_of_one", .problem = [&] {
              auto p = base;
              p.scale = 1;
              return p;
            }()}})
    append(cases, both(c, 30, 16, 8));
  return cases;
}

std::vector<RangeCase> range_layout_cases() {
  std::vector<RangeCase> cases;
  for (const auto& [name, layout] : {std::pair{"gaps_between_rows", Layout::kPadded},
                                     {"heads_outside_tokens", Layout::kHeadMajor},
                                     {"offsets_past_2_to_the_31", Layout::kFar}})
    for (Element output : {kB, kF})
      append(cases, both({.name = fmt::format("{}_{}", name, to_string(output)),
                          .problem = problem(kB, output, 72, 40, 3, 2, 200),
                          .options = {.lens_q = {70, 30}, .lens_k = {70, 90}},
                          .layout = layout},
                         25, 4, 2));
  return cases;
}

std::vector<RangeCase> range_config_cases() {
  std::vector<RangeCase> cases;
  append(cases, both({.name = "odd_everything",
                      .problem = problem(kB, kF, 96, 64, 3, 1, 0),
                      .options = {.lens_q = {90, 1, 160}, .lens_k = {90, 177, 330}, .spare_rows = 3}},
                     75, 6, 3));
  append(cases, both({.name = "many_steps", .problem = problem(kB, kB, 128, 128, 4, 2, 900), .sampled_rows = 500}, 333, 4, 2));
  append(cases, both({.name = "one_head_f16", .problem = problem(kH, kF, 64, 64, 1, 1, 700)}, 100, 4, 4));
  append(cases, both({.name = "wide_heads", .problem = problem(kB, kB, 256, 256, 16, 1, 200)}, 90, 2, 1));
  append(cases, both({.name = "f32", .problem = problem(kF, kF, 72, 40, 5, 1, 250)}, 60, 4, 2));
  return cases;
}

std::vector<RangeCase> range_large_cases() {
  std::vector<RangeCase> cases;
  for (int group : {1, 4, 16}) {
    cases.push_back(shape_case(windowed(problem(kB, kF, 128, 128, group, 4, 65536), 512), 1500));
    cases.push_back(shape_case(compressed(problem(kB, kF, 128, 128, group, 4, 65536), 32, 16), 600));
  }
  cases.push_back(shape_case(windowed(problem(kB, kB, 128, 128, 4, 4, 65536), 65536), 200));
  for (RangeCase& c : cases) c.name.insert(0, "tokens65536_");
  return cases;
}

const Kernel* range_kernel(const RangeProblem& p, Backend backend) {
  return find_family(p.compressed() ? "compressed_attention" : "sliding_window")->kernel(backend);
}

Json range_json(const RangeProblem& p) {
  Json json{{"element", to_string(p.element)},
            {"output", to_string(p.output)},
            {"head_dim", p.head_dim},
            {"head_dim_v", p.head_dim_v},
            {"group", p.group},
            {"heads_kv", p.heads_kv},
            {"num_seqs", p.num_seqs},
            {"total_q", p.total_q},
            {"total_k", p.total_k},
            {"scale", p.scale}};
  if (p.compressed())
    json.update({{"kernel_size", p.kernel_size}, {"stride", p.stride}, {"total_c", p.total_rows}});
  else
    json["window"] = p.window;
  return json;
}

void expect_right(Lab& lab, const RangeProblem& problem, const reference::RangeOperands& x, const Json& config, Layout layout,
                  const reference::SelectedOutputs& expected, std::span<const reference::Row> rows) {
  const Kernel* kernel = range_kernel(problem, lab.target().backend);
  const Json json = range_json(problem);
  const auto supported = kernel->check(json, lab.target());
  ASSERT_TRUE(supported) << supported.error().message();
  const auto complete = kernel->complete_config(json, config, lab.target());
  ASSERT_TRUE(complete) << complete.error().message();
  SCOPED_TRACE(std::string(kernel->family()) + " " + complete->dump());
  const auto chain = KernelChain::build(lab, {{kernel, json, *complete}});
  ASSERT_TRUE(chain) << chain.error().message();

  const StridedCopy q(x.q, layout, true), k(x.k, layout, true), v(x.v, layout, true);
  ASSERT_TRUE(q.view().data && k.view().data && v.view().data) << "no address space for the test's tensors";
  std::vector<Binding> inputs{{"q", q.view()},
                              {problem.compressed() ? "ck" : "k", k.view()},
                              {problem.compressed() ? "cv" : "v", v.view()},
                              {"cu_q", x.cu_q},
                              {"cu_k", x.cu_k}};
  if (problem.compressed()) inputs.push_back({"cu_c", x.cu_rows});
  const OutputShape shape{reference::dtype_of(problem.output), problem.total_q, problem.heads_kv * problem.group, problem.head_dim_v};
  expect_outputs(*chain, inputs, shape, layout, expected, rows);
}

void expect_right(Lab& lab, const RangeCase& description, const Json& config) {
  if (description.problem.element == kF && lab.target().backend == Backend::kCuda) GTEST_SKIP() << "float32 has kernels on the CPU alone";
  const auto prepared = prepare(description);
  ASSERT_FALSE(testing::Test::HasFailure());
  expect_right(lab, prepared->inputs.problem, prepared->inputs.operands(), config, description.layout, prepared->expected, prepared->rows);
}

}  // namespace fsa::test
