#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "tests/tools/cli.h"

namespace fsa::test {
namespace {

std::vector<std::string> tune_args() {
  return {"tune", "--json", "--device", "cpu", "--input", sample_input(), "--max-seconds", "15", "--max-candidates", "12"};
}

TEST(Tune, WhatItKeepsIsWhatARunTakes) {
  const CliResult tuned = run_cli(tune_args());
  ASSERT_EQ(tuned.exit_code, 0) << tuned.err;
  const Json row = tuned.json()["results"][0];
  EXPECT_EQ(row["kept"], true);
  EXPECT_GE(row["speedup"].get<double>(), 1.0) << "never worse than the default";
  EXPECT_GT(row["fraction_of_peak"].get<double>(), 0);

  const CliResult run = run_cli({"run", "--json", "--input", sample_input(), "--output", (test_folder() / "out").string(), "--check"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(run.json()["source"], "tuned");
  EXPECT_EQ(run.json()["variant"], row["variant"]);
  EXPECT_EQ(run.json()["kernels"]["compiled"], 0) << "tuning leaves the winner in the cache";
  EXPECT_EQ(run_cli({"inspect", "--json"}).json()["entries"].size(), 1u);
}

TEST(Tune, InALogProgressIsPlainLines) {
  auto args = tune_args();
  args.erase(args.begin() + 1);  // --json
  const CliResult tuned = run_cli(args);
  ASSERT_EQ(tuned.exit_code, 0) << tuned.err;
  EXPECT_NE(tuned.err.find("tune: "), std::string::npos) << tuned.err;
  EXPECT_EQ(tuned.err.find('\r'), std::string::npos);
  EXPECT_EQ(tuned.err.find('\x1b'), std::string::npos);
  for (const char* column : {"shape", "variant", "time", "default", "speedup", "GFLOP/s", "of peak"})
    EXPECT_NE(tuned.out.find(column), std::string::npos);
}

TEST(Tune, NoSaveLeavesTheCacheWithoutEntries) {
  auto args = tune_args();
  args.push_back("--no-save");
  const CliResult tuned = run_cli(args);
  ASSERT_EQ(tuned.exit_code, 0) << tuned.err;
  EXPECT_EQ(tuned.json()["results"][0]["kept"], false);
  EXPECT_EQ(run_cli({"inspect", "--json"}).json()["entries"].size(), 0u);
}

TEST(Tune, TimesWithSelectionsThatOverlapAreNotTakenForOthers) {
  const std::string log = (test_folder() / "log.jsonl").string();
  for (const char* overlap : {"0.9", "0.9", "0"}) {
    auto args = tune_args();
    args.back() = "2";  // candidates
    args.insert(args.end(), {"--log", log, "--overlap", overlap});
    const CliResult tuned = run_cli(args);
    ASSERT_EQ(tuned.exit_code, 0) << tuned.err;
  }
  std::vector<Json> sessions;
  std::ifstream file(log);
  for (std::string line; std::getline(file, line);)
    if (Json event = Json::parse(line); event["event"] == "session") sessions.push_back(std::move(event));
  ASSERT_EQ(sessions.size(), 3u);
  EXPECT_EQ(sessions[0]["identity"]["overlap"], 0.9);
  EXPECT_EQ(sessions[0]["key"], sessions[1]["key"]) << "the same inputs go on from the log";
  EXPECT_NE(sessions[0]["key"], sessions[2]["key"]) << "others do not";
}

// Ctrl-C reaches the process group of a terminal: here a signal to the command alone does.
TEST(Tune, InterruptedItEndsSoonAndWithItsOwnExitCode) {
  const std::string cache = "FSA_CACHE_DIR=" + (test_folder() / "cache").string();
  const std::string err = (test_folder() / "err").string();
  const std::vector<std::string> words{FSA_CLI_PATH, "tune", "--preset", "llama3-8b", "--seqlen", "1k", "--max-seconds", "300"};
  const pid_t pid = fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    std::vector<char*> argv;
    for (const std::string& w : words) argv.push_back(const_cast<char*>(w.c_str()));
    argv.push_back(nullptr);
    if (!freopen("/dev/null", "w", stdout) || !freopen(err.c_str(), "w", stderr)) _exit(99);
    putenv(const_cast<char*>(cache.c_str()));
    execv(argv[0], argv.data());
    _exit(98);
  }
  std::this_thread::sleep_for(std::chrono::seconds(8));
  kill(pid, SIGINT);
  const auto start = std::chrono::steady_clock::now();
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  std::ifstream file(err);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  ASSERT_TRUE(WIFEXITED(status)) << text;
  EXPECT_EQ(WEXITSTATUS(status), 130) << text;
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
}

}  // namespace
}  // namespace fsa::test
