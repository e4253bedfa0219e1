#pragma once
// Owns the worker threads of the CPU device and their scratch memory.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "fsa/base/result.h"

namespace fsa {

/// A fixed set of threads that share the items of one launch at a time. A launch allocates nothing and takes no lock:
/// that is why this is no TBB arena or OpenMP region, which allocate tasks or per-thread state when they please. A second
/// launch at the same time runs its items on its own thread, with scratch of its own; so do a third and a fourth, a fifth
/// waits. An item must not launch.
class ThreadPool {
 public:
  /// One item of a launch; `scratch` is 64-byte aligned and no one else's while the call lasts.
  using Task = void (*)(void* context, std::int64_t item, void* scratch);

  /// `threads` counts the launching thread: one thread means no workers. kUnavailable when the system gives no thread.
  static Result<std::unique_ptr<ThreadPool>> create(unsigned threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  unsigned threads() const { return threads_; }
  /// Makes every launch's scratch at least this large. Waits for running launches; for load time. kUnavailable when memory
  /// is short, with what was reserved before still valid.
  Result<void> reserve_scratch(std::size_t bytes);
  /// Runs task(context, i, scratch) for every i in [0, items), in no particular order, and returns when all are done.
  void run(std::int64_t items, Task task, void* context);

 private:
  struct FreeDeleter {
    void operator()(std::byte* p) const;
  };
  using Scratch = std::unique_ptr<std::byte[], FreeDeleter>;

  explicit ThreadPool(unsigned threads);
  static Scratch make_scratch(std::size_t bytes);
  void work(unsigned worker);
  void share(std::int64_t items, Task task, void* context);
  void take_items(void* scratch);
  bool enter();
  void leave();
  unsigned acquire();
  void release(unsigned seat);

  const unsigned threads_;
  std::vector<Scratch> scratch_;  ///< of the launcher and the workers, then of the seats past the first
  std::size_t scratch_bytes_ = 0;
  std::mutex reserve_mutex_;

  // The launch in progress: written while the door is shut and no one is inside.
  Task task_ = nullptr;
  void* context_ = nullptr;
  std::int64_t items_ = 0;

  // Own cache lines: each is written by many threads at a different rhythm.
  alignas(64) std::atomic<std::int64_t> next_{0};    ///< item
  alignas(64) std::atomic<std::uint32_t> door_{0};   ///< kOpen, and the number of workers inside
  alignas(64) std::atomic<std::uint32_t> epoch_{0};  ///< counts launches; what idle workers wait for
  alignas(64) std::atomic<std::uint32_t> seats_;     ///< bit 0: the pool is free; others: scratch of a launch without it
  std::atomic<bool> stop_{false};
  std::vector<std::jthread> workers_;
};

}  // namespace fsa
