#include "tests/families/select_blocks_case.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <ostream>

#include "templates/reference/numeric.h"
#include "templates/reference/parallel.h"
#include "templates/reference/random_numbers.h"
#include "templates/reference/random_problem.h"

namespace fsa::test {
namespace {

using select_blocks::Problem;

constexpr Element kB = Element::kBF16, kH = Element::kF16, kF = Element::kF32;
constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();

std::vector<std::int32_t> prefix_sums(const std::vector<int>& lens) {
  std::vector<std::int32_t> cu{0};
  for (int n : lens) cu.push_back(cu.back() + n);
  return cu;
}

std::vector<std::byte> normal_tensor(Element element, std::int64_t elements, std::uint64_t seed, double deviation) {
  const DType dtype = reference::dtype_of(element);
  std::vector<std::byte> bytes(static_cast<std::size_t>(elements) * size_of(dtype));
  reference::fill_normal(TensorView::contiguous(bytes.data(), dtype, {elements}), seed, deviation);
  return bytes;
}

/// Where query token `token` stands: its sequence and its position there.
struct Place {
  std::size_t sequence;
  int position;
};

Place place_of(const SelectBlocksInputs& in, std::int64_t token) {
  const auto b = static_cast<std::size_t>(std::upper_bound(in.cu_q.begin(), in.cu_q.end(), token) - in.cu_q.begin() - 1);
  return {b, static_cast<int>(token) - in.cu_q[b + 1] + in.cu_k[b + 1] - in.cu_k[b]};
}

int visible_keys(const SelectBlocksInputs& in, const Place& place) {
  return in.problem.shape().visible_keys(place.position, in.cu_c[place.sequence + 1] - in.cu_c[place.sequence]);
}

/// The LSE of compressed attention of one row.
float exact_lse(const SelectBlocksInputs& in, std::int64_t token, std::int64_t head) {
  const auto x = in.operands();
  const Place place = place_of(in, token);
  const int visible = visible_keys(in, place);
  if (visible == 0) return -kInfinity;
  std::vector<float> q(static_cast<std::size_t>(in.problem.head_dim)), k(q.size());
  reference::load_elements(x.q, token * x.q.stride[0] + head * x.q.stride[1], q);
  std::vector<double> logits(static_cast<std::size_t>(visible));
  for (int i = 0; i < visible; ++i) {
    reference::load_elements(x.ck, (in.cu_c[place.sequence] + i) * x.ck.stride[0] + head / in.problem.group * x.ck.stride[1], k);
    for (std::size_t d = 0; d < q.size(); ++d) logits[i] += static_cast<double>(q[d]) * static_cast<double>(k[d]);
    logits[i] *= in.problem.scale;
  }
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (double logit : logits) sum += std::exp(logit - largest);
  return static_cast<float>(largest + std::log(sum));
}

/// About what normal inputs of that deviation give. Scores are relative to the LSE whatever it is.
float estimated_lse(const SelectBlocksInputs& in, std::int64_t token, double gain) {
  const int visible = visible_keys(in, place_of(in, token));
  return visible == 0 ? -kInfinity : static_cast<float>(std::log(static_cast<double>(visible)) + gain * gain * gain * gain / 2);
}

void make_lse(SelectBlocksInputs& in, bool exact, double gain) {
  const std::int64_t heads = std::int64_t{in.problem.heads_kv} * in.problem.group, total_q = in.problem.total_q;
  in.lse.resize(static_cast<std::size_t>(heads * total_q));
  reference::parallel_for(heads * total_q, 64, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i)
      in.lse[i] = exact ? exact_lse(in, i % total_q, i / total_q) : estimated_lse(in, i % total_q, gain);
  });
}

void fill_key(SelectBlocksInputs& in, std::int64_t row, float value) {
  const TensorView ck = in.operands().ck;
  for (std::int64_t i = 0; i < ck.stride[0]; ++i) reference::store_element(ck, row * ck.stride[0] + i, value);
}

void zero_queries(SelectBlocksInputs& in) { std::fill(in.q.begin(), in.q.end(), std::byte{0}); }

/// Every other head of every fifth token sees nothing, whatever its keys.
void blind_rows(SelectBlocksInputs& in) {
  for (std::size_t i = 0; i < in.lse.size(); ++i)
    if (i % 5 == 0 && (i / static_cast<std::size_t>(in.problem.total_q)) % 2 == 0) in.lse[i] = -kInfinity;
}

/// Writes `value` over the newest compressed key of each sequence, and leaves out the rows that see it.
void spoil_newest_keys(SelectBlocksInputs& in, float value) {
  for (std::size_t b = 0; b + 1 < in.cu_c.size(); ++b)
    if (in.cu_c[b + 1] > in.cu_c[b]) fill_key(in, in.cu_c[b + 1] - 1, value);
  std::erase_if(in.rows, [&](const reference::SelectionRow& row) {
    const Place place = place_of(in, row.token);
    return visible_keys(in, place) == in.cu_c[place.sequence + 1] - in.cu_c[place.sequence];
  });
}

/// Writes `value` over every compressed key of sequences without queries and of no sequence.
void spoil_unseen_keys(SelectBlocksInputs& in, float value) {
  for (std::size_t b = 0; b + 1 < in.cu_c.size(); ++b)
    if (in.cu_q[b + 1] == in.cu_q[b])
      for (int row = in.cu_c[b]; row < in.cu_c[b + 1]; ++row) fill_key(in, row, value);
  for (std::int64_t row = in.cu_c.back(); row < in.problem.total_c; ++row) fill_key(in, row, value);
}

Problem problem(Element element, int d, int group, int kernel_size, int stride, int block_size, int topk, int heads_kv = 1) {
  return {.element = element,
          .head_dim = d,
          .group = group,
          .kernel_size = kernel_size,
          .stride = stride,
          .block_size = block_size,
          .topk = topk,
          .heads_kv = heads_kv};
}

SelectBlocksCase one_sequence(Problem p, int tokens) {
  const char* element = p.element == kB ? "bf16" : p.element == kH ? "f16" : "f32";
  return {.name = std::string(element) + "_d" + std::to_string(p.head_dim) + "_g" + std::to_string(p.group) + "_l" +
                  std::to_string(p.kernel_size) + "_s" + std::to_string(p.stride) + "_block" + std::to_string(p.block_size) + "_top" +
                  std::to_string(p.topk),
          .problem = p,
          .lens_q = {tokens}};
}

}  // namespace

reference::SelectionOperands SelectBlocksInputs::operands() const {
  const Problem& p = problem;
  const DType dtype = reference::dtype_of(p.element);
  const std::int64_t heads = std::int64_t{p.heads_kv} * p.group, bounds = std::int64_t{p.num_seqs} + 1;
  return {.q = TensorView::contiguous(q.data(), dtype, {p.total_q, heads, p.head_dim}),
          .ck = TensorView::contiguous(ck.data(), dtype, {p.total_c, p.heads_kv, p.head_dim}),
          .lse = TensorView::contiguous(lse.data(), DType::kF32, {heads, p.total_q}),
          .cu_q = TensorView::contiguous(cu_q.data(), DType::kI32, {bounds}),
          .cu_k = TensorView::contiguous(cu_k.data(), DType::kI32, {bounds}),
          .cu_c = TensorView::contiguous(cu_c.data(), DType::kI32, {bounds}),
          .rule = {p.kernel_size, p.stride, p.block_size, p.topk, p.init_blocks, p.local_blocks},
          .scale = p.scale};
}

SelectBlocksInputs SelectBlocksCase::make() const {
  SelectBlocksInputs in{.problem = problem};
  Problem& p = in.problem;
  const std::vector<int>& keys = lens_k.empty() ? lens_q : lens_k;
  std::vector<int> lens_c;
  for (int n : keys) lens_c.push_back(n >= p.kernel_size ? (n - p.kernel_size) / p.stride + 1 : 0);
  in.cu_q = prefix_sums(lens_q), in.cu_k = prefix_sums(keys), in.cu_c = prefix_sums(lens_c);
  p.num_seqs = static_cast<int>(lens_q.size());
  p.total_q = in.cu_q.back(), p.total_k = in.cu_k.back(), p.total_c = in.cu_c.back() + spare_keys;
  if (p.scale == 0) p.scale = 1 / std::sqrt(static_cast<float>(p.head_dim));
  in.q = normal_tensor(p.element, p.total_q * p.heads_kv * p.group * p.head_dim, 11, gain);
  in.ck = normal_tensor(p.element, p.total_c * p.heads_kv * p.head_dim, 12, gain);
  in.rows = sampled_rows > 0 ? reference::sample_selection_rows(p.total_q, p.heads_kv, sampled_rows)
                             : reference::selection_rows(p.total_q, p.heads_kv);
  if (change) change(in);
  make_lse(in, sampled_rows == 0, gain);
  if (after_lse) after_lse(in);
  return in;
}

void PrintTo(const SelectBlocksCase& c, std::ostream* out) { *out << c.name; }

namespace select_blocks_cases {

std::vector<SelectBlocksCase> shapes() {
  return {one_sequence(problem(kB, 128, 4, 32, 16, 64, 4, 2), 900), one_sequence(problem(kB, 128, 1, 32, 16, 64, 16), 1500),
          one_sequence(problem(kB, 64, 16, 32, 16, 64, 5), 700),    one_sequence(problem(kH, 96, 3, 32, 16, 32, 6, 2), 500),
          one_sequence(problem(kH, 72, 5, 48, 16, 48, 3), 450),     one_sequence(problem(kB, 192, 2, 64, 32, 64, 4), 600),
          one_sequence(problem(kB, 256, 4, 32, 16, 128, 3), 700),   one_sequence(problem(kB, 16, 4, 16, 16, 16, 8), 900),
          one_sequence(problem(kB, 32, 2, 1, 1, 16, 5), 300),       one_sequence(problem(kH, 32, 1, 256, 1, 16, 7), 700),
          one_sequence(problem(kB, 32, 3, 256, 16, 16, 64), 1800),  one_sequence(problem(kB, 24, 2, 128, 128, 128, 4), 3000),
          one_sequence(problem(kH, 64, 1, 128, 2, 128, 3), 900),    one_sequence(problem(kB, 40, 2, 80, 5, 80, 4), 900),
          one_sequence(problem(kB, 64, 40, 32, 16, 64, 4), 400),    one_sequence(problem(kF, 128, 4, 32, 16, 64, 4, 2), 500),
          one_sequence(problem(kF, 72, 1, 16, 8, 16, 16), 500),     one_sequence(problem(kF, 16, 3, 96, 32, 32, 4), 500)};
}

std::vector<SelectBlocksCase> sequences() {
  const Problem p = problem(kB, 64, 4, 32, 16, 64, 4), small = problem(kH, 32, 3, 16, 8, 16, 4, 2);
  return {{.name = "varlen_with_empty_sequences", .problem = small, .lens_q = {0, 100, 0, 1, 37, 0, 200, 3, 0}},
          {.name = "query_suffixes", .problem = p, .lens_q = {17, 1, 100, 0, 64}, .lens_k = {700, 1000, 1100, 300, 64}},
          {.name = "decode",
           .problem = small,
           .lens_q = std::vector<int>(40, 1),
           .lens_k =
               [] {
                 std::vector<int> lens;
                 for (int i = 0; i < 40; ++i) lens.push_back(1 + i * 25);
                 return lens;
               }()},
          {.name = "single_tokens", .problem = small, .lens_q = std::vector<int>(50, 1)},
          {.name = "shorter_than_a_compressed_key", .problem = p, .lens_q = {31, 20, 5}},
          {.name = "more_queries_than_keys", .problem = small, .lens_q = {100, 20, 30}, .lens_k = {60, 20, 0}},
          {.name = "spare_rows_of_keys", .problem = p, .lens_q = {300}, .spare_keys = 9},
          {.name = "no_sequence", .problem = p},
          {.name = "no_token", .problem = p, .lens_q = {0, 0}},
          {.name = "f32_suffixes", .problem = problem(kF, 40, 2, 32, 16, 32, 5), .lens_q = {33, 1, 70}, .lens_k = {600, 300, 70}}};
}

std::vector<SelectBlocksCase> rules() {
  std::vector<SelectBlocksCase> list;
  const auto add = [&](const char* name, Problem p, int init, int local) {
    p.init_blocks = init, p.local_blocks = local;
    list.push_back({.name = name, .problem = p, .lens_q = {300, 150}, .lens_k = {900, 150}});
  };
  add("nothing_forced", problem(kB, 64, 2, 32, 16, 16, 5), 0, 0);
  add("first_blocks_alone", problem(kB, 64, 2, 32, 16, 16, 5), 3, 0);
  add("local_blocks_alone", problem(kB, 64, 2, 32, 16, 16, 5), 0, 4);
  add("all_slots_forced", problem(kB, 64, 2, 32, 16, 16, 5), 2, 3);
  add("one_choice", problem(kB, 64, 2, 32, 16, 16, 5), 2, 2);
  add("forced_blocks_compete", problem(kB, 64, 2, 32, 16, 16, 5), 4, 9);
  add("first_blocks_compete", problem(kB, 64, 2, 32, 16, 16, 5), 12, 0);
  add("everything_is_forced", problem(kB, 64, 2, 32, 16, 16, 5), 1000, 1000);
  add("one_slot", problem(kH, 64, 2, 32, 16, 16, 1), 0, 0);
  add("one_slot_that_all_compete_for", problem(kH, 64, 2, 32, 16, 16, 1), 1, 2);
  add("f32_forced_blocks_compete", problem(kF, 64, 2, 32, 16, 16, 5), 4, 9);
  return list;
}

std::vector<SelectBlocksCase> values() {
  const Problem p = problem(kB, 64, 4, 32, 16, 64, 6), small = problem(kH, 32, 3, 16, 8, 16, 8, 2);
  const std::vector<int> suffix{70, 0, 40}, keys{1200, 500, 700};
  return {
      {.name = "all_scores_tie", .problem = p, .lens_q = {200}, .lens_k = {2500}, .change = zero_queries},
      {.name = "all_scores_tie_f16", .problem = small, .lens_q = {600}, .change = zero_queries},
      {.name = "logits_of_a_thousand", .problem = p, .lens_q = suffix, .lens_k = keys, .gain = 16},
      {.name = "tiny_logits", .problem = p, .lens_q = suffix, .lens_k = keys, .gain = 0.01},
      {.name = "rows_that_see_nothing", .problem = p, .lens_q = suffix, .lens_k = keys, .after_lse = blind_rows},
      {.name = "nan_in_unseen_keys",
       .problem = p,
       .lens_q = suffix,
       .lens_k = keys,
       .spare_keys = 70,
       .change = [](auto& in) { spoil_unseen_keys(in, kNaN); }},
      {.name = "nan_in_the_newest_key", .problem = small, .lens_q = {300, 200}, .after_lse = [](auto& in) { spoil_newest_keys(in, kNaN); }},
      {.name = "infinity_in_the_newest_key",
       .problem = p,
       .lens_q = {500},
       .after_lse = [](auto& in) { spoil_newest_keys(in, kInfinity); }},
      {.name = "f32_nan_in_the_newest_key",
       .problem = problem(kF, 64, 2, 32, 16, 16, 8),
       .lens_q = {300},
       .after_lse = [](auto& in) { spoil_newest_keys(in, kNaN); }},
      {.name = "scale_of_one",
       .problem =
           [&] {
             Problem one = p;
             one.scale = 1;
             return one;
           }(),
       .lens_q = suffix,
       .lens_k = keys,
       .gain = 0.5}};
}

std::vector<SelectBlocksCase> layouts() {
  std::vector<SelectBlocksCase> list;
  for (const auto& [name, layout] : {std::pair{"gaps_between_rows", Layout::kPadded},
                                     {"heads_outside_tokens", Layout::kHeadMajor},
                                     {"offsets_past_2_to_the_31", Layout::kFar}})
    list.push_back(
        {.name = name, .problem = problem(kB, 72, 3, 32, 16, 32, 4, 2), .lens_q = {70, 30}, .lens_k = {370, 190}, .layout = layout});
  return list;
}

std::vector<SelectBlocksCase> configs() {
  const std::vector<int> lens_q{150, 1, 90}, lens_k{1500, 800, 90};
  return {{.name = "standard", .problem = problem(kB, 128, 4, 32, 16, 64, 8), .lens_q = lens_q, .lens_k = lens_k},
          {.name = "odd_everything", .problem = problem(kH, 72, 5, 48, 16, 48, 5, 2), .lens_q = lens_q, .lens_k = lens_k},
          {.name = "wide_heads", .problem = problem(kB, 256, 3, 32, 16, 64, 8), .lens_q = lens_q, .lens_k = lens_k},
          {.name = "many_heads", .problem = problem(kB, 64, 70, 32, 16, 32, 8), .lens_q = {40}, .lens_k = {900}},
          {.name = "long_windows", .problem = problem(kB, 32, 2, 256, 4, 32, 40), .lens_q = lens_q, .lens_k = {3000, 800, 90}},
          {.name = "f32", .problem = problem(kF, 72, 3, 32, 16, 32, 4), .lens_q = lens_q, .lens_k = lens_k}};
}

std::vector<SelectBlocksCase> large() {
  std::vector<SelectBlocksCase> list;
  for (int group : {1, 4, 16}) {
    auto c = one_sequence(problem(kB, 128, group, 32, 16, 64, 16, 4), 65536);
    c.name.insert(0, "tokens65536_");
    c.sampled_rows = 1000;
    list.push_back(c);
  }
  auto c = one_sequence(problem(kB, 128, 4, 32, 16, 64, 16), 1 << 20);
  c.name.insert(0, "tokens1048576_");
  c.sampled_rows = 200;
  list.push_back(c);
  auto many = one_sequence(problem(kB, 64, 1, 16, 16, 16, 64), 1 << 19);
  many.name.insert(0, "blocks32768_");
  many.sampled_rows = 200;
  list.push_back(many);
  return list;
}

}  // namespace select_blocks_cases

}  // namespace fsa::test
