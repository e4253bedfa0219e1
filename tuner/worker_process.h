#pragma once
// Owns one worker process: spawning it, its channel, the tail of what it prints, and its end.
#include <sys/types.h>

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "fsa/base/result.h"
#include "tuner/worker_protocol.h"

namespace fsa::tuner {

/// A running child, in a process group of its own: Ctrl-C on a terminal reaches the parent alone, which decides.
class WorkerProcess {
 public:
  /// kUnavailable when argv cannot be started.
  static Result<std::unique_ptr<WorkerProcess>> spawn(std::span<const std::string> argv);
  /// Closes the channel, waits a moment for the worker to leave, then kills it.
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  int channel_fd() const { return channel_; }
  int noise_fd() const { return noise_; }  ///< stdout and stderr of the worker; -1 once closed
  bool has_unsent() const { return !unsent_.empty(); }
  void send(std::string line) { unsent_ += line; }
  /// Moves whatever can be moved without waiting, in all directions.
  void pump();
  std::optional<std::string> next_line() { return lines_.next(); }
  /// True once the worker has closed the channel, which it does by dying, or floods it with bytes that are no lines.
  bool lost() const { return lost_; }

  /// Kills the worker's group and waits for it; says how it ended: "died with SIGSEGV", "exited with status 3".
  std::string kill_and_describe();
  /// The last lines it printed since forget_noise(), joined by " | ".
  std::string last_noise() const;
  void forget_noise() { noise_text_.clear(); }

 private:
  WorkerProcess(pid_t pid, int channel, int noise) : pid_(pid), channel_(channel), noise_(noise) {}
  void write_unsent();
  void read_channel();
  void read_noise();
  bool reap(double seconds);

  pid_t pid_;
  int channel_, noise_;
  std::string unsent_, noise_text_;
  LineBuffer lines_;
  bool lost_ = false;
  std::optional<int> status_;  // of waitpid, once reaped
};

}  // namespace fsa::tuner
