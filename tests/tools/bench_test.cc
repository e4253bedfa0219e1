// fsa bench on the CPU: numbers that are consistent, every kernel of the chain, the oracle's verdict, and what it refuses.
#include <gtest/gtest.h>

#include "tests/tools/cli.h"

namespace fsa::test {
namespace {

std::vector<std::string> bench_args(std::vector<std::string> more = {}) {
  std::vector<std::string> args{"bench",      "--json", "--quiet",    "--device", "cpu",      "--heads-q", "4",
                                "--heads-kv", "2",      "--head-dim", "32",       "--seqlen", "256",       "--block-size",
                                "32",         "--topk", "4",          "--dtype",  "f32",      "--rounds",  "5"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

void expect_measured(const Json& m) {
  EXPECT_GT(m["seconds"]["median"].get<double>(), 0);
  EXPECT_GT(m["seconds"]["fastest"].get<double>(), 0);
  EXPECT_LE(m["seconds"]["fastest"].get<double>(), m["seconds"]["median"].get<double>());
  EXPECT_EQ(m["seconds"]["samples"].size(), 5u);
  EXPECT_GE(m["flops"].get<double>(), 0);
  EXPECT_NEAR(m["tflops"].get<double>(), m["flops"].get<double>() / m["seconds"]["median"].get<double>() / 1e12, 1e-9);
  EXPECT_NEAR(m["gbytes_per_second"].get<double>(), m["bytes"].get<double>() / m["seconds"]["median"].get<double>() / 1e9, 1e-6);
}

TEST(Bench, TheBestKnownChoiceIsTimedAgainstTheMeasuredPeak) {
  const CliResult result = run_cli(bench_args());
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json json = result.json();
  ASSERT_EQ(json["results"].size(), 1u);
  const Json row = json["results"][0];
  expect_measured(row);
  EXPECT_EQ(row["op"], "selected_attention");
  EXPECT_EQ(row["source"], "default");
  EXPECT_GT(row["flops"].get<double>(), 0);
  EXPECT_GT(row["bytes"].get<double>(), 0);
  EXPECT_NE(row["roofline"]["basis"].get<std::string>().find("measured"), std::string::npos);
  EXPECT_NEAR(row["roofline"]["fraction"].get<double>(),
              row["flops"].get<double>() / row["roofline"]["peak_flops"].get<double>() / row["seconds"]["median"].get<double>(), 1e-6);
  EXPECT_FALSE(row.contains("steps"));
  EXPECT_FALSE(row.contains("check"));
}

TEST(Bench, EachTimesEveryKernelOfTheChainUnderItsStage) {
  const CliResult result = run_cli(bench_args({"--op", "nsa", "--compression", "mean", "--each", "--against", "oracle"}));
  ASSERT_EQ(result.exit_code, 0) << result.err << result.out;
  const Json row = result.json()["results"][0];
  expect_measured(row);
  EXPECT_EQ(row["check"]["passed"], true);
  EXPECT_LE(row["check"]["error"].get<double>(), row["check"]["tolerance"].get<double>());
  ASSERT_EQ(row["steps"].size(), row["configs"].size()) << "a step for each kernel that the plan names a config of";
  for (const Json& step : row["steps"]) {
    expect_measured(step);
    EXPECT_TRUE(row["configs"].contains(step["stage"].get<std::string>()));
    EXPECT_NEAR(step["of_whole"].get<double>(), step["seconds"]["median"].get<double>() / row["seconds"]["median"].get<double>(), 1e-9);
  }
}

TEST(Bench, VariantsAreTimedBesideEachOther) {
  const CliResult result = run_cli(bench_args({"--variant", "query_major,block_major", "--against", "oracle"}));
  ASSERT_EQ(result.exit_code, 0) << result.err << result.out;
  const Json rows = result.json()["results"];
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["variant"], "query_major");
  EXPECT_EQ(rows[1]["variant"], "block_major");
  for (const Json& row : rows) EXPECT_EQ(row["check"]["passed"], true);
  EXPECT_TRUE(rows[0]["source"] == "forced" || rows[1]["source"] == "forced") << "no more than one of them is the best known one";
}

TEST(Bench, TheTableNamesItsColumnsAndTheRoofline) {
  auto args = bench_args({"--each"});
  args.erase(args.begin() + 1);  // --json
  const CliResult result = run_cli(args);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const char* part :
       {"shape", "variant", "median", "fastest", "TFLOP/s", "GB/s", "of roofline", "each kernel alone", "of the whole", "roofline: "})
    EXPECT_NE(result.out.find(part), std::string::npos) << part << "\n" << result.out;
}

TEST(Bench, AnUnknownVariantIsRefusedWithTheListOfThoseThereAre) {
  const CliResult result = run_cli(bench_args({"--variant", "diagonal"}));
  EXPECT_EQ(result.exit_code, 6);
  const Json error = result.json()["error"];
  EXPECT_EQ(error["kind"], "not_found");
  EXPECT_NE(error["given"].get<std::string>().find("diagonal"), std::string::npos);
  EXPECT_NE(error["supported"].get<std::string>().find("block_major"), std::string::npos);
}

TEST(Bench, BadUsageIsRefused) {
  EXPECT_EQ(run_cli(bench_args({"--rounds", "0"})).exit_code, 2);
  EXPECT_EQ(run_cli({"bench", "--device", "cpu"}).exit_code, 2) << "no shape";
  const CliResult peer = run_cli(bench_args({"--against", "oracle,magic"}));
  EXPECT_EQ(peer.exit_code, 2);
  EXPECT_NE(peer.err.find("magic"), std::string::npos);
}

TEST(Bench, PyTorchIsAPeerOfGpusOnly) {
  const CliResult result = run_cli(bench_args({"--against", "torch"}));
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_NE(result.err.find("one sequence on a GPU"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace fsa::test
