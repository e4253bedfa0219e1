#include "tuner/worker_pool.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include "tuner/space.h"

namespace fsa::tuner {
namespace {

WorkerRequest compile_request(const char* behaviour, double silence_seconds = 20) {
  const Candidate candidate{.variant = "v", .configs = {{"main", {{"compile", behaviour}}}}};
  return {.method = "compile", .params = {{"candidate", to_json(candidate)}}, .silence_seconds = silence_seconds};
}

WorkerPool make_pool(int workers) { return WorkerPool({.argv = {FSA_TEST_WORKER}, .session = {{"problem", 1}}, .workers = workers}); }

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TEST(WorkerPool, AnswersAllRequestsInOrderOverSeveralWorkers) {
  WorkerPool pool = make_pool(3);
  const std::vector<WorkerRequest> requests(20, compile_request(""));
  std::vector<bool> seen(20);
  std::set<int> pids;
  const auto replies = pool.run(requests, 3, [&](std::size_t i, const WorkerReply&) { seen[i] = true; });
  ASSERT_EQ(replies.size(), 20u);
  for (const WorkerReply& reply : replies) {
    ASSERT_TRUE(reply.result) << reply.result.error().message();
    pids.insert((*reply.result)["registers"].get<int>());
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), 20);
  EXPECT_LE(pids.size(), 3u);
  EXPECT_EQ(pool.started(), 3);
}

TEST(WorkerPool, ACrashCostsOneRequestAndNamesTheSignal) {
  WorkerPool pool = make_pool(1);
  const std::vector<WorkerRequest> requests{compile_request(""), compile_request("segv"), compile_request("")};
  const auto replies = pool.run(requests, 1);
  EXPECT_TRUE(replies[0].result);
  ASSERT_FALSE(replies[1].result);
  EXPECT_TRUE(replies[1].worker_lost);
  EXPECT_EQ(replies[1].result.error().kind, ErrorKind::kDevice);
  EXPECT_EQ(replies[1].result.error().given, "the worker died with SIGSEGV; its last output: about to fail | in two lines");
  EXPECT_TRUE(replies[2].result);
  EXPECT_EQ(pool.started(), 2);
}

TEST(WorkerPool, AnExitIsAReportedLoss) {
  WorkerPool pool = make_pool(1);
  const std::vector<WorkerRequest> requests{compile_request("exit"), compile_request("")};
  const auto replies = pool.run(requests, 1);
  EXPECT_EQ(replies[0].result.error().given, "the worker exited with status 3");
  EXPECT_TRUE(replies[1].result);
}

TEST(WorkerPool, AHangIsKilledAtItsTimeLimit) {
  WorkerPool pool = make_pool(1);
  const std::vector<WorkerRequest> requests{compile_request("hang", 0.3), compile_request("")};
  std::vector<WorkerReply> replies;
  EXPECT_LT(seconds_of([&] { replies = pool.run(requests, 1); }), 10);
  EXPECT_EQ(replies[0].result.error().kind, ErrorKind::kTimeout);
  EXPECT_TRUE(replies[1].result);
}

TEST(WorkerPool, NonsenseOnTheChannelCostsOneRequest) {
  WorkerPool pool = make_pool(1);
  const std::vector<WorkerRequest> requests{compile_request("garbage"), compile_request("")};
  const auto replies = pool.run(requests, 1);
  EXPECT_EQ(replies[0].result.error().kind, ErrorKind::kCorrupt);
  EXPECT_NE(replies[0].result.error().given.find("'hello'"), std::string::npos);
  EXPECT_TRUE(replies[1].result);
}

TEST(WorkerPool, NoiseOnStdoutDoesNotBreakTheProtocol) {
  WorkerPool pool = make_pool(1);
  const WorkerRequest request = compile_request("noise");
  EXPECT_TRUE(pool.run({&request, 1}, 1).front().result);
  EXPECT_EQ(pool.started(), 1);
}

TEST(WorkerPool, ARefusedErrorKeepsTheWorkerAndAFaultRetiresIt) {
  WorkerPool pool = make_pool(1);
  const std::vector<WorkerRequest> requests{compile_request("error"), compile_request("fault"), compile_request("")};
  const auto replies = pool.run(requests, 1);
  EXPECT_EQ(replies[0].result.error().kind, ErrorKind::kCompile);
  EXPECT_FALSE(replies[0].worker_lost);
  EXPECT_EQ(replies[1].result.error().kind, ErrorKind::kDevice);
  EXPECT_TRUE(replies[2].result);
  EXPECT_EQ(pool.started(), 2);
}

TEST(WorkerPool, AWorkerThatDiedIdleIsReplacedWithoutBlame) {
  WorkerPool pool = make_pool(1);
  const WorkerRequest request = compile_request("");
  const auto first = pool.run({&request, 1}, 1);
  kill((*first.front().result)["registers"].get<int>(), SIGKILL);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_TRUE(pool.run({&request, 1}, 1).front().result);
  EXPECT_EQ(pool.started(), 2);
}

TEST(WorkerPool, AProgramThatCannotStartAnswersEveryRequestWithTheReason) {
  const std::vector<WorkerRequest> requests(50, compile_request(""));
  WorkerPool missing({.argv = {"/nonexistent/fsa"}});
  WorkerPool dying({.argv = {FSA_TEST_WORKER, "--die"}});
  WorkerPool refusing({.argv = {FSA_TEST_WORKER}, .session = {{"refuse", true}}});
  for (auto [pool, reason] : {std::pair{&missing, "No such file"}, {&dying, "no such device"}, {&refusing, "session refused"}}) {
    for (const WorkerReply& reply : pool->run(requests, 1)) {
      ASSERT_FALSE(reply.result);
      EXPECT_EQ(reply.result.error().kind, ErrorKind::kUnavailable);
      EXPECT_NE(reply.result.error().given.find(reason), std::string::npos) << reply.result.error().given;
    }
    EXPECT_LE(pool->started(), 2);
  }
}

TEST(WorkerPool, AStopRequestEndsARunThatHangs) {
  WorkerPool pool = make_pool(2);
  const std::vector<WorkerRequest> requests(5, compile_request("hang", 60));
  std::stop_source stop;
  std::jthread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    stop.request_stop();
  });
  std::vector<WorkerReply> replies;
  EXPECT_LT(seconds_of([&] { replies = pool.run(requests, 2, {}, stop.get_token()); }), 10);
  for (const WorkerReply& reply : replies) EXPECT_EQ(reply.result.error().kind, ErrorKind::kCancelled);
  const WorkerRequest fine = compile_request("");
  EXPECT_TRUE(pool.run({&fine, 1}, 1).front().result) << "the pool is usable afterwards";
}

TEST(WorkerPool, LeavesNoDescriptorAndNoProcessBehind) {
  const auto open_descriptors = [] {
    int count = 0;
    for (int fd = 0; fd < 256; ++fd) count += fcntl(fd, F_GETFD) >= 0;
    return count;
  };
  const int before = open_descriptors();
  {
    WorkerPool pool = make_pool(2);
    const std::vector<WorkerRequest> requests{compile_request(""), compile_request("segv"), compile_request("hang", 0.2),
                                              compile_request("")};
    pool.run(requests, 2);
  }
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
}

TEST(WorkerPool, WorkersDieWithTheirParent) {
  // The orphan, should there be one, becomes ours: so its end can be waited for.
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  int channel[2];
  ASSERT_EQ(pipe(channel), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    WorkerPool pool = make_pool(1);
    const WorkerRequest fine = compile_request(""), hang = compile_request("hang", 60);
    const int pid = (*pool.run({&fine, 1}, 1).front().result)["registers"].get<int>();
    if (write(channel[1], &pid, sizeof pid) != sizeof pid) _exit(1);
    pool.run({&hang, 1}, 1);
    _exit(0);
  }
  pid_t worker = 0;
  ASSERT_EQ(read(channel[0], &worker, sizeof worker), static_cast<ssize_t>(sizeof worker));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  kill(parent, SIGKILL);
  EXPECT_EQ(waitpid(parent, nullptr, 0), parent);
  int status = 0;
  pid_t ended = 0;
  for (int i = 0; i < 500 && ended == 0; ++i) {
    ended = waitpid(worker, &status, WNOHANG);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(ended, worker);
  EXPECT_TRUE(WIFSIGNALED(status));
  prctl(PR_SET_CHILD_SUBREAPER, 0);
  close(channel[0]);
  close(channel[1]);
}

}  // namespace
}  // namespace fsa::tuner
