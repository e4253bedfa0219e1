#include "tuner/log.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/tuner/fictional_device.h"
#include "tuner/logged_evaluator.h"
#include "tuner/replay_evaluator.h"
#include "tuner/search.h"

namespace fsa::tuner {
namespace {

const Json kIdentity = {{"problem", {{"head_dim", 128}}}, {"device", "fictional"}, {"toolchain", "v1"}};

class TuningLogTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    path_ = testing::TempDir() + "fsa_tuning_log_" + info->name() + ".jsonl";
    std::filesystem::remove(path_);
  }
  void TearDown() override { std::filesystem::remove(path_); }

  TuningLog open(const Json& identity = kIdentity) {
    Result<TuningLog> log = TuningLog::open(path_, identity);
    EXPECT_TRUE(log) << log.error().message();
    return std::move(log).value();
  }
  TuningResult tune_logged(FictionalDevice& device, std::stop_token stop = {}) {
    TuningLog log = open();
    LoggedEvaluator evaluator(device, log);
    TuningResult result = tune(fictional_space(), evaluator, {.clock = [] { return 0.0; }}, {}, stop);
    resumed_ = evaluator.resumed();
    EXPECT_FALSE(evaluator.log_error());
    return result;
  }
  std::string text() const {
    std::ostringstream all;
    all << std::ifstream(path_).rdbuf();
    return all.str();
  }
  void append_raw(const std::string& bytes) { std::ofstream(path_, std::ios::app) << bytes; }

  std::string path_;
  int resumed_ = 0;
};

TEST_F(TuningLogTest, AFinishedRunIsRepeatedWithoutTheDevice) {
  FictionalDevice first(1), second(2);
  first.noise = second.noise = 0.05;
  const TuningResult result = tune_logged(first);
  EXPECT_EQ(resumed_, 0);
  const TuningResult again = tune_logged(second);
  EXPECT_EQ(to_json(again, true), to_json(result, true));
  EXPECT_EQ(second.compiles + second.samples + second.verifications, 0);
}

TEST_F(TuningLogTest, AKilledRunGoesOnWhereItEnded) {
  FictionalDevice whole, first, second;
  const TuningResult expected = tune(fictional_space(), whole);
  std::stop_source stop;
  first.on_work = [&] {
    if (first.samples == whole.samples / 2) stop.request_stop();
  };
  EXPECT_TRUE(tune_logged(first, stop.get_token()).partial);
  append_raw(R"({"format":1,"event":"measu)");  // killed in the middle of a line
  const TuningResult result = tune_logged(second);
  EXPECT_GT(resumed_, 0);
  EXPECT_EQ(result.winner, expected.winner);
  EXPECT_FALSE(result.partial);
  EXPECT_LT(first.compiles + second.compiles, whole.compiles + 1);
  EXPECT_LE(first.samples + second.samples, whole.samples + whole.largest_call) << "only the interrupted call is repeated";
  EXPECT_LT(second.samples, whole.samples);
}

TEST_F(TuningLogTest, ACrashingCandidateIsNotTriedAgain) {
  FictionalDevice first, second;
  Candidate bad = default_candidate(fictional_space().variants[0]);
  bad.configs["main"]["rows"] = 16;
  first.crashing = {bad.key()};
  tune_logged(first);
  const TuningResult result = tune_logged(second);
  EXPECT_EQ(result.counts.failed, 1);
}

TEST_F(TuningLogTest, AnotherDeviceStartsAfreshAndKeepsTheLines) {
  FictionalDevice device;
  tune_logged(device);
  const std::string before = text();
  TuningLog other = open({{"device", "another"}});
  EXPECT_TRUE(other.history().empty());
  ASSERT_TRUE(other.append("note", {{"a", 1}}));
  EXPECT_EQ(text().substr(0, before.size()), before);
  EXPECT_FALSE(open().history().empty());
}

TEST_F(TuningLogTest, DamagedLinesAreSkippedAndCounted) {
  ASSERT_TRUE(open().append("verify", {{"candidate", to_json(planted_optimum())}, {"verdict", {{"error", 0.0}, {"tolerance", 1.0}}}}));
  append_raw("not json\n[1,2]\n{\"format\":1,\"event\":\"ver");
  const TuningLog log = open();
  EXPECT_EQ(log.damaged_lines(), 3);
  EXPECT_EQ(log.history().size(), 2u);  // the session and the verification
  EXPECT_EQ(open().history().size(), 3u) << "the line after a torn one must survive";
}

TEST_F(TuningLogTest, AFileThatCannotBeWrittenIsAnIoError) {
  const Result<TuningLog> log = TuningLog::open("/nonexistent/folder/log.jsonl", kIdentity);
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().kind, ErrorKind::kIo);
  EXPECT_NE(log.error().message().find("/nonexistent/folder/log.jsonl"), std::string::npos);
}

TEST_F(TuningLogTest, LinesWithMalformedFieldsAnswerNothing) {
  const std::vector<Json> lines{{{"event", "compile"}},
                                {{"event", "measure"}, {"rounds", 1}, {"candidates", 3}, {"samples", 4}},
                                {{"event", "verify"}, {"candidate", to_json(planted_optimum())}},
                                {{"event", "compile"}, {"candidate", to_json(planted_optimum())}, {"error", {{"kind", "cancelled"}}}}};
  const LogIndex index(lines);
  EXPECT_FALSE(index.report(planted_optimum()));
  EXPECT_FALSE(index.pooled(planted_optimum()));
}

TEST_F(TuningLogTest, ReplayFindsTheSameWinnerFromTheLogAlone) {
  FictionalDevice device(4);
  device.noise = 0.02;
  const TuningResult result = tune_logged(device);
  ReplayEvaluator replay(open().history(), 9);
  const TuningResult replayed = tune(fictional_space(), replay);
  EXPECT_EQ(replayed.winner, result.winner);
  EXPECT_GT(replay.samples_drawn(), 0);
}

}  // namespace
}  // namespace fsa::tuner
