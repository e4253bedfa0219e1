#include "runtime/operator.h"

#include <gtest/gtest.h>

#include "runtime/selected_plan.h"
#include "runtime/tuning.h"

namespace fsa {
namespace {

Json problem(int group = 4) {
  return to_problem_json({.head_dim = 64, .head_dim_v = 64, .heads_q = 2 * group, .heads_kv = 2, .topk = 4, .total_q = 512, .total_k = 512}).value();
}

Target target(std::string_view name) { return Target::parse(name).value(); }

TEST(Operator, EveryVariantChainsOnEveryTargetThatItIsFor) {
  const Operator& op = selected_attention_operator();
  for (const std::string& name : Target::known())
    for (const ChainVariant& variant : op.variants(target(name).backend)) {
      const auto steps = make_chain(op, problem(), {.variant = variant.name}, target(name));
      if (variant.name == "hybrid" && name != "sm_90a") {
        ASSERT_FALSE(steps.ok()) << name;
        EXPECT_EQ(steps.error().kind, ErrorKind::kUnsupported);
        continue;
      }
      ASSERT_TRUE(steps.ok()) << name << " " << variant.name << ": " << steps.error().message();
      EXPECT_EQ(steps->size(), variant.stages.size());
    }
}

/// A public problem of 8,192 tokens, of those of its fields that the operator has.
Json public_problem(const Operator& op) {
  const Json all{{"dtype", "bf16"}, {"head_dim", 128}, {"head_dim_v", 128}, {"heads_q", 8},
                 {"heads_kv", 2},   {"total_q", 8192}, {"total_k", 8192}};
  Json own = Json::object();
  for (const std::string_view field : op.public_fields())
    if (const auto it = all.find(field); it != all.end()) own[std::string(field)] = *it;
  return op.from_public(own).value();
}

TEST(Operator, AnEarlyLaunchComesBehindOneOfItsOwnChain) {
  // What a chain's first launch would overtake is the caller's, which may still write what it reads.
  int early = 0;
  for (const Operator* op : all_operators()) {
    const Json p = public_problem(*op);
    for (const ChainVariant& variant : op->variants(Backend::kCuda)) {
      const auto steps = make_chain(*op, p, {.variant = variant.name}, target("sm_90a"));
      if (!steps) continue;  // not for this problem
      bool first = true, first_beside = true;
      for (const ChainStep& step : *steps)
        for (const Launch& launch : step.kernel->launches(step.problem, step.config)) {
          if (launch.grid[0] == 0) continue;
          bool& none_ahead = step.beside ? first_beside : first;
          EXPECT_FALSE(launch.early && none_ahead) << op->name() << " " << variant.name << ": " << step.stage << " " << launch.symbol;
          none_ahead = false;
          early += launch.early;
        }
    }
  }
  EXPECT_GT(early, 0);
}

TEST(Operator, TheHybridOrdersReductionOvertakesTheBlocksAlone) {
  // Before it waits it reads what shared_blocks and block_index leave: the launch ahead must be another's.
  const auto steps =
      make_chain(selected_attention_operator(), public_problem(selected_attention_operator()), {.variant = "hybrid"}, target("sm_90a"));
  ASSERT_TRUE(steps.ok()) << steps.error().message();
  const ChainStep &ahead = (*steps)[steps->size() - 2], &last = steps->back();
  EXPECT_TRUE(last.kernel->launches(last.problem, last.config).front().early);
  EXPECT_EQ(ahead.kernel->family(), "selected_block_major");
  EXPECT_FALSE(ahead.kernel->launches(ahead.problem, ahead.config).back().early);
}

TEST(Operator, TheKernelsAroundTheMainOneFollowItsConfig) {
  const Operator& op = selected_attention_operator();
  Choice choice{.variant = "block_major"};
  choice.configs["selected_block_major"] = {{"partial", "bf16"}};
  const auto steps = make_chain(op, problem(), choice, target("sm_90a"));
  ASSERT_TRUE(steps.ok()) << steps.error().message();
  for (const ChainStep& step : *steps)
    if (step.kernel->family() != "selected_block_major") {
      EXPECT_EQ(step.problem.at("partial"), "bf16");
      EXPECT_EQ(step.problem.at("item_tokens"), (*steps)[1].config.at("item_tokens"));
    }
}

TEST(Operator, AnUnknownVariantListsThoseThereAre) {
  const auto steps = make_chain(selected_attention_operator(), problem(), {.variant = "diagonal"}, target("sm_80"));
  ASSERT_FALSE(steps.ok());
  EXPECT_EQ(steps.error().kind, ErrorKind::kNotFound);
  EXPECT_NE(steps.error().supported.find("query_major"), std::string::npos);
}

TEST(Operator, AConfigOfAnotherLibraryVersionIsRefusedByName) {
  Choice choice{.variant = "query_major"};
  choice.configs["selected_query_major"] = {{"lanes_of_the_future", 3}};
  const auto steps = make_chain(selected_attention_operator(), problem(), choice, target("sm_80"));
  ASSERT_FALSE(steps.ok());
  EXPECT_NE(steps.error().message().find("lanes_of_the_future"), std::string::npos);
}

TEST(Operator, ChoicesRoundTripThroughJson) {
  Choice choice{.variant = "block_major"};
  choice.configs["block_index"] = Json::object();
  const auto back = Choice::from_json(choice.to_json());
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->to_json(), choice.to_json());
  EXPECT_FALSE(Choice::from_json(Json("block_major")).ok());
  EXPECT_FALSE(Choice::from_json(Json{{"variant", 3}}).ok());
}

TEST(Operator, TheSearchSpaceStartsWithTheDefaultVariantAndHoldsEveryLoopOrder) {
  const Operator& op = selected_attention_operator();
  for (const char* name : {"sm_90a", "x86-64-v4", "x86-64-v3"})
    for (int group : {1, 4}) {
      const tuner::Space space = tuning_space(op, problem(group), target(name));
      ASSERT_EQ(space.variants.size(), op.variants(target(name).backend).size());
      EXPECT_EQ(space.variants.front().name, op.default_variant(problem(group), target(name)));
      for (const tuner::Variant& variant : space.variants) EXPECT_FALSE(variant.stages.empty());
    }
}

TEST(Operator, TheHybridOrderIsTheDefaultWhereATargetHasItAndEnoughRowsShareBlocks) {
  const auto order = [](int group, std::int64_t rows, const char* name, std::int64_t keys = 0) {
    Json p = problem(group);
    p["total_q"] = rows / (p.at("heads_kv").get<std::int64_t>() * group);
    p["total_k"] = keys > 0 ? keys : p.at("total_q").get<std::int64_t>();
    return selected_attention_operator().default_variant(p, target(name));
  };
  EXPECT_EQ(order(4, 32768, "sm_90a"), "hybrid");
  EXPECT_EQ(order(16, 32768, "sm_90a"), "hybrid");
  EXPECT_EQ(order(4, 16384, "sm_90a"), "block_major");  // one kernel less
  EXPECT_EQ(order(2, 65536, "sm_90a"), "block_major");
  EXPECT_EQ(order(4, 65536, "sm_80"), "block_major");             // has no wgmma
  EXPECT_EQ(order(4, 65536, "sm_90a", 1 << 20), "block_major");  // few queries of long contexts
}

TEST(Operator, TheHybridOrderSaysWhereATileHasMoreBlocksThanMemoryHolds) {
  Json p = problem(1);
  p["topk"] = 64;
  const auto steps = make_chain(selected_attention_operator(), p, {.variant = "hybrid"}, target("sm_90a"));
  ASSERT_FALSE(steps.ok());
  EXPECT_EQ(steps.error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(steps.error().message().find("topk 64 with group 1"), std::string::npos) << steps.error().message();
}

TEST(Problem, HeadsThatDoNotDivideAreRefused) {
  const auto json = to_problem_json({.heads_q = 6, .heads_kv = 4});
  ASSERT_FALSE(json.ok());
  EXPECT_EQ(json.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_NE(json.error().message().find("heads_q is 6 and heads_kv is 4"), std::string::npos);
}

TEST(Problem, AZeroScaleBecomesTheNaturalOne) { EXPECT_FLOAT_EQ(problem().at("scale").get<float>(), 0.125f); }

}  // namespace
}  // namespace fsa
