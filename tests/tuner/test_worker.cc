// A worker for tests: answers like a small device, or crashes, hangs or talks nonsense as the candidate's config says.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include <unistd.h>

#include "tuner/evaluator_handler.h"

namespace {

using namespace fsa;
using namespace fsa::tuner;

[[noreturn]] void hang() {
  for (;;) std::this_thread::sleep_for(std::chrono::seconds(1));
}

/// Does what config["main"][when] asks for; returns an error for "error" and "fault".
Result<void> misbehave(const Candidate& candidate, const char* when) {
  const std::string what = candidate.configs.value("main", Json::object()).value(when, "");
  if (what == "segv") {
    std::fprintf(stderr, "about to fail\nin two lines\n");
    std::signal(SIGSEGV, SIG_DFL);  // sanitizers would turn it into an exit
    std::raise(SIGSEGV);
  }
  if (what == "exit") _exit(3);
  if (what == "hang") hang();
  if (what == "garbage") {
    [[maybe_unused]] const auto n = write(kWorkerFd, "hello\n", 6);
    hang();
  }
  if (what == "noise") {
    for (int i = 0; i < 20000; ++i) std::printf("noise on stdout, line %d\n", i);
    std::fflush(stdout);
  }
  if (what == "fault") return make_error(ErrorKind::kDevice, {.given = "illegal address"});
  if (what == "error") return make_error(ErrorKind::kCompile, {.given = "rejected"});
  return {};
}

class TestEvaluator final : public Evaluator {
 public:
  std::vector<Result<CompileReport>> prepare(std::span<const Candidate> candidates, const OnPrepared&, std::stop_token) override {
    std::vector<Result<CompileReport>> reports;
    for (const Candidate& c : candidates) {
      const Result<void> done = misbehave(c, "compile");
      reports.push_back(done ? Result<CompileReport>(CompileReport{.registers = static_cast<int>(getpid()), .warnings = {}})
                             : done.error());
    }
    return reports;
  }
  std::vector<Samples> measure(std::span<const Candidate> candidates, const MeasureOptions& options, std::stop_token stop) override {
    MeasureOptions how = options;
    if (silent(candidates)) how.on_run = {};
    return sample_interleaved(
        candidates.size(), how,
        [&](std::size_t i) -> Result<double> {
          FSA_RETURN_IF_ERROR(misbehave(candidates[i], "run"));
          return candidates[i].configs["main"].value("seconds", 1.0);
        },
        stop);
  }
  Result<Verdict> verify(const Candidate& candidate, std::stop_token) override {
    FSA_RETURN_IF_ERROR(misbehave(candidate, "verify"));
    return Verdict{.error = candidate.configs["main"].value("wrong", 0.0), .tolerance = 1e-3};
  }

 private:
  static bool silent(std::span<const Candidate> candidates) {
    for (const Candidate& c : candidates)
      if (c.configs["main"].contains("silent")) return true;
    return false;
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "--die") {
    std::fprintf(stderr, "no such device\n");
    return 7;
  }
  const auto factory = [](const Json& session) -> Result<std::unique_ptr<Evaluator>> {
    if (session.contains("refuse")) return make_error(ErrorKind::kUnavailable, {.given = "session refused"});
    return std::unique_ptr<Evaluator>(std::make_unique<TestEvaluator>());
  };
  return worker_main(evaluator_handler(factory)) ? 0 : 1;
}
