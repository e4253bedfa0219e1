#pragma once
// Owns FileLock: an advisory lock between processes and threads, held as long as the object lives.
#include <chrono>
#include <string>
#include <utility>

#include "cache/file.h"
#include "fsa/base/result.h"

namespace fsa {

class FileLock {
 public:
  /// Locks `path`, created (mode 0600) if missing and never removed, because removing a lock file races with its next
  /// taker. Another holder for longer than `timeout` is kTimeout; a file that cannot be opened or locked is kIo.
  static Result<FileLock> acquire(const std::string& path, std::chrono::milliseconds timeout);

 private:
  explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;  // closing it unlocks
};

}  // namespace fsa
