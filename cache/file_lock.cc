#include "cache/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <thread>

namespace fsa {
namespace {

Error held_elsewhere(const std::string& path, std::chrono::milliseconds timeout) {
  return make_error(ErrorKind::kTimeout,
                    {.given = fmt::format("another process has held the lock '{}' for more than {} ms", path, timeout.count()),
                     .remedy = "wait for it to finish, or end it if it hangs"});
}

}  // namespace

Result<FileLock> FileLock::acquire(const std::string& path, std::chrono::milliseconds timeout) {
  using std::chrono::milliseconds, std::chrono::steady_clock;
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return file_error("lock", path, errno);
  const auto deadline = steady_clock::now() + timeout;
  // flock has no timeout of its own, and a signal would be the host application's business: poll.
  for (milliseconds pause{1};; pause = std::min(2 * pause, milliseconds{20})) {
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return FileLock(std::move(fd));
    if (errno != EWOULDBLOCK && errno != EINTR) return file_error("lock", path, errno);
    if (steady_clock::now() >= deadline) return held_elsewhere(path, timeout);
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace fsa
