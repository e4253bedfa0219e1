#pragma once
// Owns Interrupt: turns Ctrl-C into a stop request, so that long commands end in order and keep what they know.
#include <atomic>
#include <stop_token>
#include <thread>

namespace fsa::cli {

/// While it lives, the first SIGINT or SIGTERM requests a stop and a second one ends the process at once. Make it before any
/// other thread is started, because threads inherit which signals are blocked.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  std::stop_token token() const { return source_.get_token(); }
  bool requested() const { return source_.stop_requested(); }

 private:
  void wait_for_signals();

  std::stop_source source_;
  std::atomic<bool> done_{false};
  std::thread waiter_;
};

}  // namespace fsa::cli
