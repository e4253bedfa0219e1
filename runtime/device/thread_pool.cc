#include "runtime/device/thread_pool.h"

#include <fmt/format.h>

#include <bit>
#include <chrono>
#include <cstdlib>
#include <system_error>

namespace fsa {
namespace {

constexpr std::uint32_t kOpen = std::uint32_t{1} << 31;
constexpr unsigned kSeats = 4;  ///< launches that may run at once: one with the workers, the others alone
constexpr std::uint32_t kAllSeats = (std::uint32_t{1} << kSeats) - 1;
constexpr std::size_t kCacheLine = 64;
/// Longer than the gap between the kernels of a chain, short against the sleep that it avoids a wake-up from.
constexpr std::chrono::microseconds kSpin{30};

void pause_briefly() {
#if defined(__x86_64__)
  for (int i = 0; i < 16; ++i) __builtin_ia32_pause();
#endif
}

/// Returns when the value is no longer `old`: watches it for a moment, then sleeps.
std::uint32_t wait_for_change(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  const auto deadline = std::chrono::steady_clock::now() + kSpin;
  for (;;) {
    if (const std::uint32_t now = value.load(std::memory_order_acquire); now != old) return now;
    if (std::chrono::steady_clock::now() > deadline) break;
    pause_briefly();
  }
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

}  // namespace

void ThreadPool::FreeDeleter::operator()(std::byte* p) const { std::free(p); }

ThreadPool::ThreadPool(unsigned threads) : threads_(threads), scratch_(threads + kSeats - 1), seats_(kAllSeats) {}

Result<std::unique_ptr<ThreadPool>> ThreadPool::create(unsigned threads) {
  std::unique_ptr<ThreadPool> pool(new ThreadPool(threads));
  try {
    for (unsigned i = 1; i < threads; ++i) pool->workers_.emplace_back([p = pool.get(), i] { p->work(i); });
  } catch (const std::system_error& e) {
    return make_error(ErrorKind::kUnavailable,
                      {.given = fmt::format("{} threads, of which the system gave {}: {}", threads, pool->workers_.size() + 1, e.what()),
                       .remedy = "set FSA_NUM_THREADS to a smaller number"});
  }
  return pool;
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  workers_.clear();
}

ThreadPool::Scratch ThreadPool::make_scratch(std::size_t bytes) {
  return Scratch(static_cast<std::byte*>(std::aligned_alloc(kCacheLine, (bytes + kCacheLine - 1) / kCacheLine * kCacheLine)));
}

Result<void> ThreadPool::reserve_scratch(std::size_t bytes) {
  const std::lock_guard lock(reserve_mutex_);
  if (bytes <= scratch_bytes_) return {};
  std::vector<Scratch> larger;
  for (std::size_t i = 0; i < scratch_.size(); ++i) {
    larger.push_back(make_scratch(bytes));
    if (!larger.back())
      return make_error(ErrorKind::kUnavailable,
                        {.given = fmt::format("{} times {} bytes of scratch memory cannot be had", scratch_.size(), bytes),
                         .remedy = "choose a config with smaller chunks, or fewer threads (FSA_NUM_THREADS)"});
  }
  // Memory is not touched here, so that each page lands near the worker that uses it first.
  unsigned seats[kSeats];
  for (unsigned& seat : seats) seat = acquire();
  scratch_.swap(larger);
  scratch_bytes_ = bytes;
  for (const unsigned seat : seats) release(seat);
  return {};
}

void ThreadPool::run(std::int64_t items, Task task, void* context) {
  if (items <= 0) return;
  const unsigned seat = acquire();
  if (seat == 0 && items > 1 && threads_ > 1) {
    share(items, task, context);
  } else {
    void* scratch = scratch_[seat == 0 ? 0 : threads_ + seat - 1].get();
    for (std::int64_t i = 0; i < items; ++i) task(context, i, scratch);
  }
  release(seat);
}

/// A worker that wakes too late finds the door shut and is not waited for: a short launch costs no wake-up.
void ThreadPool::share(std::int64_t items, Task task, void* context) {
  task_ = task;
  context_ = context;
  items_ = items;
  next_.store(0, std::memory_order_relaxed);
  door_.store(kOpen, std::memory_order_release);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  take_items(scratch_[0].get());
  std::uint32_t inside = door_.fetch_and(~kOpen, std::memory_order_acq_rel) & ~kOpen;
  while (inside != 0) inside = wait_for_change(door_, inside);
}

void ThreadPool::take_items(void* scratch) {
  for (std::int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < items_;) task_(context_, i, scratch);
}

void ThreadPool::work(unsigned worker) {
  std::uint32_t seen = 0;
  for (;;) {
    seen = wait_for_change(epoch_, seen);
    if (stop_.load(std::memory_order_relaxed)) return;
    if (!enter()) continue;
    take_items(scratch_[worker].get());
    leave();
  }
}

bool ThreadPool::enter() {
  std::uint32_t door = door_.load(std::memory_order_relaxed);
  while (door & kOpen)
    if (door_.compare_exchange_weak(door, door + 1, std::memory_order_acquire, std::memory_order_relaxed)) return true;
  return false;
}

void ThreadPool::leave() {
  // Only the launcher waits on the door, and only once it is shut.
  if (door_.fetch_sub(1, std::memory_order_acq_rel) == 1) door_.notify_one();
}

unsigned ThreadPool::acquire() {
  std::uint32_t free = seats_.load(std::memory_order_relaxed);
  for (;;) {
    if (free == 0) {
      seats_.wait(0, std::memory_order_relaxed);
      free = seats_.load(std::memory_order_relaxed);
      continue;
    }
    if (seats_.compare_exchange_weak(free, free & (free - 1), std::memory_order_acquire, std::memory_order_relaxed))
      return static_cast<unsigned>(std::countr_zero(free));
  }
}

void ThreadPool::release(unsigned seat) {
  seats_.fetch_or(std::uint32_t{1} << seat, std::memory_order_release);
  seats_.notify_one();
}

}  // namespace fsa
