// What the families of attention over ranges accept, and the work they count.
#include <gtest/gtest.h>

#include <limits>

#include "templates/compressed_attention/family.h"
#include "templates/sliding_window/family.h"

namespace fsa {
namespace {

SlidingWindowProblem window() { return {.total_q = 1000, .total_k = 1000, .scale = 0.1f}; }
CompressedAttentionProblem compressed() { return {.total_q = 1000, .total_k = 1000, .total_c = 61, .scale = 0.1f}; }

template <class Family>
Error error_of(const typename Family::Problem& problem, const char* target = "sm_90a") {
  const auto checked = Family::check(problem, Target::parse(target).value());
  EXPECT_FALSE(checked.ok());
  return checked ? Error{} : checked.error();
}

Error error_of(const SlidingWindowProblem& p, const char* target = "sm_90a") { return error_of<SlidingWindowFamily>(p, target); }
Error error_of(const CompressedAttentionProblem& p, const char* target = "sm_90a") {
  return error_of<CompressedAttentionFamily>(p, target);
}

void expect_says(const Error& error, const std::string& given, const std::string& supported) {
  EXPECT_EQ(error.kind, ErrorKind::kUnsupported);
  EXPECT_NE(error.given.find(given), std::string::npos) << error.given;
  EXPECT_NE(error.supported.find(supported), std::string::npos) << error.supported;
}

TEST(RangeProblems, EveryDocumentedSizeIsAccepted) {
  const Target target = Target::parse("sm_80").value();
  for (int d = 16; d <= 256; d += 8) {
    auto w = window();
    w.head_dim = d, w.head_dim_v = 272 - d, w.group = d, w.window = d < 100 ? 1 : std::numeric_limits<int>::max();
    EXPECT_TRUE(SlidingWindowFamily::check(w, target)) << d;
    auto c = compressed();
    c.head_dim = d, c.head_dim_v = 272 - d, c.kernel_size = 272 - d, c.stride = 1;
    EXPECT_TRUE(CompressedAttentionFamily::check(c, target)) << d;
  }
}

TEST(RangeProblems, EmptyProblemsAreAccepted) {
  auto w = window();
  w.total_q = w.total_k = w.num_seqs = 0;
  EXPECT_TRUE(SlidingWindowFamily::check(w, Target::parse("sm_90a").value()));
  auto c = compressed();
  c.total_q = c.total_k = c.total_c = c.num_seqs = 0;
  EXPECT_TRUE(CompressedAttentionFamily::check(c, Target::parse("sm_90a").value()));
}

TEST(RangeProblems, WhatIsOutOfRangeIsNamed) {
  const auto with = [](auto p, auto member, auto value) { return p.*member = value, p; };
  using W = SlidingWindowProblem;
  using C = CompressedAttentionProblem;
  expect_says(error_of(with(window(), &W::window, 0)), "window is 0", "1 and up");
  expect_says(error_of(with(window(), &W::head_dim, 20)), "head_dim is 20", "multiples of 8");
  expect_says(error_of(with(window(), &W::head_dim_v, 264)), "head_dim_v is 264", "multiples of 8");
  expect_says(error_of(with(window(), &W::group, 0)), "is 0", "1 and up");
  expect_says(error_of(with(window(), &W::heads_kv, 0)), "heads_kv is 0", "1 and up");
  expect_says(error_of(with(window(), &W::num_seqs, -1)), "num_seqs is -1", "0 and up");
  expect_says(error_of(with(window(), &W::total_q, -1)), "total_q is -1", "0 and up");
  expect_says(error_of(with(window(), &W::scale, 0.0f)), "scale is 0", "positive");
  expect_says(error_of(with(compressed(), &C::kernel_size, 257)), "kernel_size is 257", "1 to 256");
  expect_says(error_of(with(compressed(), &C::kernel_size, 0)), "kernel_size is 0", "1 to 256");
  expect_says(error_of(with(compressed(), &C::stride, 12)), "stride is 12", "divide");
  expect_says(error_of(with(compressed(), &C::stride, 0)), "stride is 0", "divide");
  expect_says(error_of(with(compressed(), &C::total_c, -5)), "total_c is -5", "0 and up");
}

TEST(RangeProblems, MoreRowsThanAnIndexHoldsAreToldToSplit) {
  auto w = window();
  w.total_q = std::int64_t{1} << 28;
  w.group = 4, w.heads_kv = 2;
  const Error error = error_of(w);
  expect_says(error, "268435456", "2^31");
  EXPECT_NE(error.remedy.find("split"), std::string::npos);
}

TEST(RangeProblems, OutputsAreOfTheInputTypeOrFloat32) {
  const Target gpu = Target::parse("sm_90a").value();
  auto w = window();
  w.output = Element::kF32;
  EXPECT_TRUE(SlidingWindowFamily::check(w, gpu));
  w.output = Element::kF16;
  expect_says(error_of(w), "output type f16 of bf16 inputs", "bf16 and f32");
  w.element = w.output = Element::kF32;
  EXPECT_TRUE(SlidingWindowFamily::check(w, Target::parse("x86-64-v4").value()));
  expect_says(error_of(w), "f32 on a GPU", "bf16 and f16");
}

TEST(RangeProblems, SurviveJson) {
  CompressedAttentionProblem c{.element = Element::kF16,
                               .output = Element::kF32,
                               .head_dim = 96,
                               .head_dim_v = 64,
                               .group = 7,
                               .kernel_size = 48,
                               .stride = 12,
                               .heads_kv = 3,
                               .num_seqs = 2,
                               .total_q = 5'000'000'000,
                               .total_k = 77,
                               .total_c = 4,
                               .scale = 0.088388346f};
  const Json json = to_json(CompressedAttentionFamily::problem_fields(), c);
  EXPECT_EQ(json["output"], "f32");
  const auto back = from_json(CompressedAttentionFamily::problem_fields(), Json::parse(json.dump()), "problem");
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(*back, c);
}

TEST(RangeProblems, TensorsAreNamedAsTheFamilyNamesThem) {
  const auto names = [](const std::vector<TensorSpec>& specs) {
    std::vector<std::string> list;
    for (const TensorSpec& s : specs) list.push_back(s.name);
    return list;
  };
  EXPECT_EQ(names(range_tensors(range_problem(window()))), (std::vector<std::string>{"q", "k", "v", "cu_q", "cu_k", "o", "lse"}));
  EXPECT_EQ(names(range_tensors(range_problem(compressed()))),
            (std::vector<std::string>{"q", "ck", "cv", "cu_q", "cu_k", "cu_c", "o", "lse"}));
}

/// Visible pairs counted one by one.
template <class Family>
double counted(const typename Family::Problem& p, std::int64_t len_q, std::int64_t len_k) {
  double pairs = 0;
  for (std::int64_t position = len_k - len_q; position < len_k; ++position) {
    if constexpr (requires { p.window; })
      pairs += static_cast<double>(std::min<std::int64_t>(position + 1, p.window));
    else if (position >= p.kernel_size - 1)
      pairs += static_cast<double>((position - p.kernel_size + 1) / p.stride + 1);
  }
  return pairs * 2 * p.heads_kv * p.group * (p.head_dim + p.head_dim_v);
}

TEST(RangeProblems, WorkCountsVisiblePairsOnce) {
  for (const auto& [len_q, len_k] : {std::pair<std::int64_t, std::int64_t>{20000, 20000}, {100, 20000}, {5000, 20000}}) {
    SlidingWindowProblem w{.head_dim = 64, .head_dim_v = 32, .group = 2, .window = 700, .heads_kv = 3, .total_q = len_q, .total_k = len_k};
    EXPECT_NEAR(SlidingWindowFamily::work(w).flops / counted<SlidingWindowFamily>(w, len_q, len_k), 1, 0.01);
    CompressedAttentionProblem c{
        .head_dim = 64, .head_dim_v = 32, .group = 2, .heads_kv = 3, .total_q = len_q, .total_k = len_k, .total_c = (len_k - 32) / 16 + 1};
    EXPECT_NEAR(CompressedAttentionFamily::work(c).flops / counted<CompressedAttentionFamily>(c, len_q, len_k), 1, 0.01);
  }
  SlidingWindowProblem w{
      .output = Element::kF32, .head_dim = 64, .head_dim_v = 32, .group = 2, .window = 7, .heads_kv = 3, .total_q = 10, .total_k = 20};
  EXPECT_DOUBLE_EQ(SlidingWindowFamily::work(w).bytes, 2.0 * (60 * 64 + 60 * 96) + 60 * (4 * 32 + 4));
}

}  // namespace
}  // namespace fsa
