#include "tuner/remote_evaluator.h"

#include <gtest/gtest.h>

#include "tuner/search.h"

namespace fsa::tuner {
namespace {

Candidate doing(const Json& config) { return {.variant = "v", .configs = {{"main", config}}}; }
Candidate taking(double seconds) { return doing({{"seconds", seconds}}); }

class RemoteEvaluatorTest : public testing::Test {
 protected:
  WorkerPool pool_{{.argv = {FSA_TEST_WORKER}, .workers = 2}};
  RemoteEvaluator evaluator_{pool_, {.compile_seconds = 1, .measure_seconds = 1, .verify_seconds = 1}};
};

TEST_F(RemoteEvaluatorTest, CompilesInParallelAndReportsEachAsItFinishes) {
  const std::vector<Candidate> candidates{taking(1), doing({{"compile", "segv"}}), doing({{"compile", "hang"}}),
                                          doing({{"compile", "error"}}), taking(2)};
  int reported = 0;
  const auto reports = evaluator_.prepare(candidates, [&](std::size_t, const Result<CompileReport>&) { ++reported; }, {});
  ASSERT_EQ(reports.size(), 5u);
  EXPECT_EQ(reported, 5);
  EXPECT_TRUE(reports[0]);
  EXPECT_EQ(reports[1].error().kind, ErrorKind::kDevice);
  EXPECT_EQ(reports[2].error().kind, ErrorKind::kTimeout);
  EXPECT_EQ(reports[3].error().kind, ErrorKind::kCompile);
  EXPECT_TRUE(reports[4]);
}

TEST_F(RemoteEvaluatorTest, MeasuresInterleaved) {
  const std::vector<Candidate> candidates{taking(1), taking(2), taking(9)};
  const auto samples = evaluator_.measure(candidates, {.rounds = 3, .limit_seconds = 5}, {});
  EXPECT_EQ(*samples[0], (std::vector<double>{1, 1, 1}));
  EXPECT_EQ(*samples[1], (std::vector<double>{2, 2, 2}));
  EXPECT_EQ(*samples[2], (std::vector<double>{9})) << "beyond the limit it is sampled once";
}

TEST_F(RemoteEvaluatorTest, ACrashAHangAndAFaultInABatchCostOneCandidateEach) {
  const std::vector<Candidate> candidates{
      taking(1), doing({{"run", "segv"}}), taking(2), doing({{"run", "hang"}}), doing({{"run", "fault"}}), taking(3)};
  const auto samples = evaluator_.measure(candidates, {.rounds = 2}, {});
  EXPECT_EQ(*samples[0], (std::vector<double>{1, 1}));
  EXPECT_EQ(samples[1].error().kind, ErrorKind::kDevice);
  EXPECT_NE(samples[1].error().given.find("SIGSEGV"), std::string::npos);
  EXPECT_EQ(*samples[2], (std::vector<double>{2, 2}));
  EXPECT_EQ(samples[3].error().kind, ErrorKind::kTimeout);
  EXPECT_EQ(samples[4].error().given, "illegal address");
  EXPECT_EQ(*samples[5], (std::vector<double>{3, 3}));
  EXPECT_EQ(pool_.started(), 4) << "one replacement for each";
}

TEST_F(RemoteEvaluatorTest, WithoutBeatsTheCulpritIsFoundOneByOne) {
  const std::vector<Candidate> candidates{taking(1), doing({{"run", "segv"}, {"silent", true}}), taking(2)};
  const auto samples = evaluator_.measure(candidates, {.rounds = 2}, {});
  EXPECT_EQ(*samples[0], (std::vector<double>{1, 1}));
  EXPECT_EQ(samples[1].error().kind, ErrorKind::kDevice);
  EXPECT_EQ(*samples[2], (std::vector<double>{2, 2}));
}

TEST_F(RemoteEvaluatorTest, Verifies) {
  EXPECT_TRUE(evaluator_.verify(taking(1), {})->right());
  EXPECT_FALSE(evaluator_.verify(doing({{"wrong", 0.5}}), {})->right());
  EXPECT_EQ(evaluator_.verify(doing({{"verify", "hang"}}), {}).error().kind, ErrorKind::kTimeout);
  EXPECT_TRUE(evaluator_.verify(taking(1), {})->right());
}

TEST_F(RemoteEvaluatorTest, AWholeSearchSurvivesBadCandidates) {
  Stage stage{.name = "main", .default_config = {{"seconds", 2.0}}};
  stage.configs = {{{"seconds", 2.0}},
                   {{"run", "segv"}},
                   {{"run", "hang"}},
                   {{"compile", "hang"}},
                   {{"compile", "garbage"}},
                   {{"compile", "error"}},
                   {{"run", "fault"}},
                   {{"verify", "segv"}, {"seconds", 0.5}},
                   {{"wrong", 1.0}, {"seconds", 0.1}},
                   {{"compile", "noise"}, {"seconds", 1.5}},
                   {{"run", "exit"}}};
  const TuningResult result = tune({.variants = {{.name = "v", .stages = {stage}}}}, evaluator_);
  ASSERT_TRUE(result.winner) << result.why;
  EXPECT_EQ(result.winner->configs["main"]["seconds"], 1.5);
  EXPECT_EQ(result.counts.failed, 8);
  EXPECT_EQ(result.counts.wrong, 1);
  EXPECT_FALSE(result.partial);
}

}  // namespace
}  // namespace fsa::tuner
