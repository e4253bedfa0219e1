#include "tests/families/selected_case.h"

#include <fmt/format.h>

#include <limits>

#include "templates/reference/random_numbers.h"
#include "tests/families/input_changes.h"

namespace fsa::test {
namespace {

constexpr Element kB = Element::kBF16, kH = Element::kF16, kF = Element::kF32;

/// {element, D, Dv, g, block size, T, Hkv, sequences, tokens}: queries and keys alike.
SelectedProblem problem(Element element, int d, int dv, int group, int block_size, int topk, int heads_kv, std::int64_t tokens,
                        int num_seqs = 1) {
  return {.element = element,
          .output = element,
          .head_dim = d,
          .head_dim_v = dv,
          .group = group,
          .block_size = block_size,
          .topk = topk,
          .heads_kv = heads_kv,
          .num_seqs = num_seqs,
          .total_q = tokens,
          .total_k = tokens};
}

std::string_view letter(Element element) { return element == kB ? "bf16" : element == kH ? "f16" : "f32"; }

SelectedCase shape_case(const SelectedProblem& p, std::int64_t sampled_rows = 0) {
  const std::string values = p.head_dim_v != p.head_dim ? fmt::format("_dv{}", p.head_dim_v) : "";
  const std::string name = fmt::format("g{}_d{}{}_block{}_top{}_{}", p.group, p.head_dim, values, p.block_size, p.topk, letter(p.element));
  return {.name = name, .problem = p, .sampled_rows = sampled_rows};
}

}  // namespace

reference::SelectedInputs SelectedCase::make() const {
  auto inputs = reference::random_inputs(problem, options);
  if (change) change(inputs);
  return inputs;
}

std::vector<SelectedCase> shape_cases() {
  std::vector<SelectedCase> cases;
  for (const SelectedProblem& p :
       {problem(kB, 16, 16, 1, 16, 1, 2, 90),      problem(kB, 40, 40, 2, 32, 5, 1, 150),    problem(kB, 64, 64, 3, 48, 4, 2, 230),
        problem(kH, 72, 72, 4, 64, 3, 1, 200),     problem(kB, 96, 96, 5, 16, 8, 1, 170),    problem(kH, 128, 128, 7, 64, 4, 1, 300),
        problem(kB, 128, 128, 16, 64, 16, 1, 260), problem(kB, 192, 192, 1, 128, 2, 1, 400), problem(kH, 256, 256, 4, 64, 4, 1, 200),
        problem(kB, 256, 256, 1, 128, 3, 1, 420),  problem(kB, 192, 128, 2, 64, 4, 1, 210),  problem(kH, 40, 72, 3, 32, 4, 1, 140),
        problem(kB, 16, 256, 2, 48, 3, 1, 160),    problem(kB, 256, 16, 5, 32, 4, 1, 130),   problem(kH, 24, 104, 1, 80, 2, 3, 250),
        problem(kB, 64, 64, 33, 32, 4, 1, 100),    problem(kB, 64, 64, 1, 16, 64, 1, 1200),  problem(kH, 64, 64, 8, 112, 2, 4, 240),
        problem(kF, 64, 64, 4, 32, 4, 1, 150),     problem(kF, 40, 24, 3, 16, 5, 2, 110),    problem(kF, 256, 128, 1, 128, 2, 1, 300)})
    cases.push_back(shape_case(p));
  // Lists far longer than a work item: every query selects block 0.
  cases.push_back(shape_case(problem(kB, 128, 128, 4, 64, 16, 2, 2048), 600));
  cases.push_back(shape_case(problem(kH, 64, 64, 1, 32, 8, 3, 3000), 900));
  return cases;
}

std::vector<SelectedCase> sequence_cases() {
  const auto base = problem(kB, 64, 64, 2, 32, 4, 2, 0);
  std::vector<SelectedCase> cases{
      {.name = "empty_and_one_token_sequences", .problem = base, .options = {.lens_q = {0, 1, 37, 0, 0, 64, 130, 1, 0}, .lens_k = {}}},
      {.name = "query_suffixes", .problem = base, .options = {.lens_q = {17, 1, 0, 5, 33}, .lens_k = {220, 150, 33, 5, 65}}},
      {.name = "decode", .problem = base, .options = {.lens_q = {1, 1, 1, 1, 1}, .lens_k = {1000, 1, 64, 65, 31}}},
      {.name = "many_short_sequences", .problem = base, .options = {.lens_q = std::vector<int>(70, 3), .lens_k = {}}},
      {.name = "odd_group_suffixes", .problem = problem(kH, 96, 64, 3, 16, 6, 1, 0), .options = {.lens_q = {40, 7}, .lens_k = {41, 300}}},
      {.name = "one_query_one_key", .problem = base, .options = {.lens_q = {1}, .lens_k = {1}}},
      {.name = "no_queries", .problem = base, .options = {.lens_q = {0, 0}, .lens_k = {5, 100}}},
      {.name = "no_tokens", .problem = base, .options = {.lens_q = {0, 0}, .lens_k = {}}},
      {.name = "no_sequences", .problem = problem(kB, 64, 64, 2, 32, 4, 2, 0, 0)},
  };
  for (auto& c : cases) c.name.insert(0, "sequences_");
  return cases;
}

std::vector<SelectedCase> selection_cases() {
  const auto base = problem(kB, 64, 64, 4, 32, 6, 2, 400);
  return {
      {.name = "rows_without_blocks", .problem = base, .options = {.empty_rows = 0.3}},
      {.name = "no_row_has_a_block", .problem = base, .options = {.empty_rows = 1}},
      {.name = "topk_above_block_count", .problem = problem(kB, 64, 64, 2, 64, 24, 1, 150)},
      {.name = "unsorted_slots", .problem = base, .options = {.shuffled = true}},
      {.name = "unsorted_slots_with_gaps",
       .problem = problem(kH, 64, 64, 3, 16, 12, 1, 130),
       .options = {.shuffled = true, .empty_rows = 0.1}},
      {.name = "overlapping_neighbours", .problem = base, .options = {.overlap = 0.9}},
      {.name = "own_block_not_selected", .problem = base, .options = {.local_blocks = 0}},
      {.name = "illegal_block_numbers",
       .problem = base,
       .options = {.shuffled = true, .lens_q = {100, 7, 120}, .lens_k = {130, 200, 120}},
       .change = add_illegal_blocks},
  };
}

std::vector<SelectedCase> value_cases() {
  const auto base = problem(kB, 64, 64, 2, 32, 5, 2, 300);
  const reference::InputOptions suffix{.lens_q = {60, 20, 0, 9}, .lens_k = {190, 400, 100, 9}};
  auto f16 = base;
  f16.element = f16.output = kH;
  return {
      {.name = "logits_of_1000", .problem = base, .options = {.gain = 17}},
      {.name = "logits_of_1000_f16", .problem = f16, .options = {.gain = 17}},
      {.name = "all_logits_minus_1000", .problem = base, .change = [](auto& inputs) { set_all_logits(inputs, -1000); }},
      {.name = "all_logits_plus_1000", .problem = base, .change = [](auto& inputs) { set_all_logits(inputs, 1000); }},
      {.name = "values_of_1e30", .problem = base, .change = [](auto& inputs) { scale_values(inputs, 1e30); }},
      {.name = "values_of_10000_f16", .problem = f16, .change = [](auto& inputs) { scale_values(inputs, 1e4); }},
      {.name = "values_of_1e_minus_6", .problem = base, .change = [](auto& inputs) { scale_values(inputs, 1e-6); }},
      {.name = "nan_in_unseen_keys",
       .problem = base,
       .options = suffix,
       .change = [](auto& inputs) { spoil_unseen_keys(inputs, std::numeric_limits<float>::quiet_NaN()); }},
      {.name = "infinity_in_unseen_keys",
       .problem = base,
       .options = suffix,
       .change = [](auto& inputs) { spoil_unseen_keys(inputs, std::numeric_limits<float>::infinity()); }},
      {.name = "nan_in_unseen_keys_of_listed_blocks",
       .problem = problem(kB, 128, 128, 3, 64, 3, 1, 250),
       .change =
           [](auto& inputs) {
             hide_newest_keys(inputs, 40);
             spoil_unseen_keys(inputs, std::numeric_limits<float>::quiet_NaN());
           }},
      {.name = "infinity_in_unseen_keys_of_listed_blocks",
       .problem = problem(kH, 64, 64, 1, 32, 3, 1, 250),
       .change =
           [](auto& inputs) {
             hide_newest_keys(inputs, 21);
             spoil_unseen_keys(inputs, -std::numeric_limits<float>::infinity());
           }},
      {.name = "scale_of_one",
       .problem =
           [&] {
             auto p = base;
             p.scale = 1;
             return p;
           }()},
  };
}

std::vector<SelectedCase> layout_cases() {
  const auto base = problem(kB, 72, 40, 3, 32, 4, 2, 200);
  std::vector<SelectedCase> cases;
  for (const auto& [name, layout] : {std::pair{"gaps_between_rows", Layout::kPadded},
                                     {"heads_outside_tokens", Layout::kHeadMajor},
                                     {"offsets_past_2_to_the_31", Layout::kFar}})
    cases.push_back({.name = name, .problem = base, .options = {.lens_q = {70, 30}, .lens_k = {70, 90}}, .layout = layout});
  return cases;
}

std::vector<SelectedCase> output_cases() {
  std::vector<SelectedCase> cases;
  for (SelectedProblem p : {problem(kB, 128, 128, 4, 64, 4, 2, 300), problem(kH, 72, 40, 3, 32, 4, 2, 200),
                            problem(kB, 64, 64, 1, 16, 6, 1, 250), problem(kH, 256, 256, 2, 64, 4, 1, 200)}) {
    p.output = kF;
    cases.push_back(shape_case(p));
    cases.back().name.insert(0, "f32_output_");
  }
  for (const auto& [name, layout] : {std::pair{"f32_output_gaps_between_rows", Layout::kPadded},
                                     {"f32_output_heads_outside_tokens", Layout::kHeadMajor},
                                     {"f32_output_offsets_past_2_to_the_31", Layout::kFar}}) {
    auto p = problem(kB, 64, 40, 2, 32, 4, 2, 0);
    p.output = kF;
    cases.push_back({.name = name, .problem = p, .options = {.lens_q = {70, 0, 30}, .lens_k = {70, 5, 90}}, .layout = layout});
  }
  return cases;
}

std::vector<SelectedCase> config_cases() {
  return {
      {.name = "odd_everything",
       .problem = problem(kB, 96, 64, 3, 48, 5, 1, 0),
       .options = {.shuffled = true, .empty_rows = 0.1, .lens_q = {90, 1, 60}, .lens_k = {90, 77, 130}}},
      {.name = "long_lists", .problem = problem(kB, 128, 128, 4, 64, 8, 2, 900), .sampled_rows = 500},
      {.name = "one_head_f16", .problem = problem(kH, 64, 64, 1, 64, 4, 1, 700)},
      {.name = "wide_heads", .problem = problem(kB, 256, 256, 16, 128, 2, 1, 200)},
      {.name = "f32", .problem = problem(kF, 72, 40, 5, 32, 4, 1, 150)},
  };
}

std::vector<SelectedCase> large_cases() {
  std::vector<SelectedCase> cases;
  for (int group : {1, 4, 16}) {
    auto c = shape_case(problem(kB, 128, 128, group, 64, 16, 4, 65536), 2000);
    c.name.insert(0, "tokens65536_");
    cases.push_back(c);
  }
  return cases;
}

}  // namespace fsa::test
