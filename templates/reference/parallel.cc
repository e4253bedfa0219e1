#include "templates/reference/parallel.h"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

namespace fsa::reference {

void parallel_for(std::int64_t count, std::int64_t grain, const std::function<void(std::int64_t first, std::int64_t last)>& body) {
  std::atomic<std::int64_t> next{0};
  const auto work = [&] {
    for (std::int64_t first; (first = next.fetch_add(grain)) < count;) body(first, std::min(first + grain, count));
  };
  const std::int64_t ranges = (count + grain - 1) / grain;
  const std::int64_t helpers = std::min<std::int64_t>(ranges, std::max(1u, std::thread::hardware_concurrency())) - 1;
  std::vector<std::jthread> threads;
  try {
    for (std::int64_t i = 0; i < helpers; ++i) threads.emplace_back(work);
  } catch (const std::system_error&) {
    // No more threads to be had: those that started, and this one, do the work.
  }
  work();
}

}  // namespace fsa::reference
