#pragma once
// Owns a pool of worker processes: it hands out requests, enforces time limits, kills and replaces the ones that crash.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "codegen/base/json.h"
#include "fsa/base/result.h"
#include "tuner/worker_process.h"

namespace fsa::tuner {

struct WorkerPoolOptions {
  std::vector<std::string> argv;  ///< program that calls worker_main(), found by path
  Json session = Json::object();  ///< params of "init", sent first to every worker
  int workers = 1;
  double init_seconds = 120;  ///< limit for "init"
};

struct WorkerRequest {
  std::string method;
  Json params;
  double silence_seconds = 60;  ///< a worker that sends neither a beat nor the reply for so long is killed
};

struct WorkerReply {
  /// What the handler returned; kTimeout, kDevice (the worker died) or kCorrupt (it answered nonsense) when it was lost;
  /// kUnavailable when no worker can be started; kCancelled on a stop request.
  Result<Json> result = Json();
  bool worker_lost = false;                   ///< killed or died over this request
  std::optional<std::size_t> last_beat = {};  ///< the last that it sent for this request
};

/// One thread drives all workers, with poll(): no locks. To be used from one thread, which should outlive the pool, as
/// Linux ends workers with the thread that spawned them. Workers start when first needed and stay.
class WorkerPool {
 public:
  using OnReply = std::function<void(std::size_t index, const WorkerReply& reply)>;

  explicit WorkerPool(WorkerPoolOptions options);
  ~WorkerPool();

  /// Answers all requests, in order, on at most `max_workers` workers (the first ones). `on_reply` is called as each
  /// finishes. A lost worker costs the request it worked on; a kDevice error retires the worker, whose device state is
  /// suspect then.
  std::vector<WorkerReply> run(std::span<const WorkerRequest> requests, int max_workers, const OnReply& on_reply = {},
                               std::stop_token stop = {});
  /// Ends worker `index`; the next request gets a new one.
  void retire(int index);

  int size() const { return static_cast<int>(slots_.size()); }
  /// Workers started so far, replacements included.
  int started() const { return started_; }

 private:
  class Run;
  struct Slot {
    std::unique_ptr<WorkerProcess> process;
    bool ready = false;                  // init was answered
    std::optional<std::size_t> request;  // being worked on
    std::uint64_t id = 0;                // of the last message sent
    double deadline = 0;
    std::optional<std::size_t> last_beat;
  };

  WorkerPoolOptions options_;
  std::vector<Slot> slots_;
  std::uint64_t next_id_ = 1;
  int started_ = 0;
};

}  // namespace fsa::tuner
