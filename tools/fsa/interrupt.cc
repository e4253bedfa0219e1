#include "tools/fsa/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>

#include "tools/fsa/exit_code.h"

namespace fsa::cli {
namespace {

sigset_t interrupt_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

}  // namespace

Interrupt::Interrupt() {
  // Blocked in every thread and taken by one that waits: a handler could do next to nothing.
  const sigset_t signals = interrupt_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  waiter_ = std::thread([this] { wait_for_signals(); });
}

Interrupt::~Interrupt() {
  done_ = true;
  waiter_.join();
  const sigset_t signals = interrupt_signals();
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

void Interrupt::wait_for_signals() {
  const sigset_t signals = interrupt_signals();
  const timespec tick{.tv_sec = 0, .tv_nsec = 50'000'000};
  while (!done_) {
    if (sigtimedwait(&signals, nullptr, &tick) < 0) continue;
    if (source_.stop_requested()) _exit(kInterrupted);
    std::fputs("\nfsa: stopping; once more to stop at once\n", stderr);
    source_.request_stop();
  }
}

}  // namespace fsa::cli
