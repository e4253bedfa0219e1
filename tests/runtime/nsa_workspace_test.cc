// The whole operator's appetite for memory, and that its sizes pass 2^31 without harm: no device is needed to know.
#include <gtest/gtest.h>

#include <set>

#include "runtime/chain.h"
#include "runtime/nsa_problem.h"

namespace fsa {
namespace {

constexpr double kGigabyte = 1e9;

Json problem(int heads_kv, std::int64_t tokens) {
  return to_problem_json({.heads_q = 4 * heads_kv, .heads_kv = heads_kv, .total_q = tokens, .total_k = tokens, .total_c = (tokens - 32) / 16 + 1}).value();
}

std::size_t workspace(const Json& p, const std::string& variant, const char* target) {
  const Operator& op = native_sparse_attention_operator();
  const auto steps = make_chain(op, p, {.variant = variant}, Target::parse(target).value());
  EXPECT_TRUE(steps.ok()) << steps.error().message();
  return steps ? Chain::workspace_of(*steps, op.external_specs(p)).value() : 0;
}

std::size_t default_workspace(const Json& p) {
  return workspace(p, native_sparse_attention_operator().default_variant(p, Target::parse("sm_90a").value()), "sm_90a");
}

TEST(NsaWorkspace, SixtyFourThousandTokensTakeSixGigabytesAtMost) {
  const std::size_t bytes = default_workspace(problem(4, 65536));
  EXPECT_GT(static_cast<double>(bytes), 3.2 * kGigabyte) << "the partial outputs alone are more";
  EXPECT_LE(static_cast<double>(bytes), 6 * kGigabyte);
}

TEST(NsaWorkspace, TwiceTheTokensTakeTwelveGigabytesAtMost) {
  EXPECT_LE(static_cast<double>(default_workspace(problem(4, 131072))), 12 * kGigabyte);
}

TEST(NsaWorkspace, SeparateGatesShareTheMemoryOfThePartialOutputs) {
  const Json p = problem(4, 65536);
  EXPECT_LE(static_cast<double>(workspace(p, "block_major", "sm_90a")), 6 * kGigabyte);
}

TEST(NsaWorkspace, WhereTheWindowRunsBesideTheOthersItsOutputSharesNoMemory) {
  const Operator& op = native_sparse_attention_operator();
  for (const std::int64_t tokens : {512, 65536}) {
    const Json p = problem(4, tokens);
    auto steps = make_chain(op, p, {.variant = "block_major"}, Target::parse("sm_90a").value()).value();
    const std::size_t beside = Chain::workspace_of(steps, op.external_specs(p)).value();
    for (ChainStep& step : steps) step.beside = false;
    const std::size_t behind = Chain::workspace_of(steps, op.external_specs(p)).value();
    if (tokens == 512)
      EXPECT_GT(beside, behind);
    else
      EXPECT_EQ(beside, behind) << "a window that fills the GPU runs behind the others, in the memory they left";
  }
}

TEST(NsaWorkspace, WhatRunsBesideTheOthersWritesNothingOfTheirs) {
  const Operator& op = native_sparse_attention_operator();
  const Target target = Target::parse("sm_90a").value();
  const Json p = problem(4, 1024);
  for (const ChainVariant& variant : op.variants(Backend::kCuda)) {
    SCOPED_TRACE(variant.name);
    std::set<std::string> beside, others;
    const auto steps = make_chain(op, p, {.variant = variant.name}, target);
    ASSERT_TRUE(steps.ok()) << steps.error().message();
    for (const ChainStep& step : *steps)
      for (const TensorSpec& spec : step.tensors())
        if (spec.access != Access::kRead) (step.beside ? beside : others).insert(spec.name);
    EXPECT_FALSE(beside.empty());
    for (const std::string& name : beside) EXPECT_FALSE(others.contains(name)) << name;
  }
}

TEST(NsaWorkspace, AMillionTokensOfOneHeadArePlanned) {
  const Json p = problem(1, 1 << 20);
  EXPECT_LE(static_cast<double>(default_workspace(p)), 24 * kGigabyte);
  EXPECT_LE(static_cast<double>(workspace(p, "query_major", "sm_90a")), 8 * kGigabyte);
}

}  // namespace
}  // namespace fsa
