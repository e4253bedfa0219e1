#pragma once
// Owns reading regular files: descriptors, exact reads and messages that name the file and the system's reason.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fsa/base/result.h"

namespace fsa {

/// A file descriptor, closed when destroyed.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UniqueFd();

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  /// Gives the descriptor to the caller, who closes it.
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

/// An open regular file and its size when it was opened.
struct OpenFile {
  UniqueFd fd;
  std::uint64_t size = 0;  ///< bytes
};

/// "cannot <action> '<path>': <system's reason>"; kNotFound when a file to read is missing, else kIo.
Error file_error(std::string_view action, const std::string& path, int error_number);

/// Opens for reading. A missing file is kNotFound; a directory, pipe or device is kInvalidArgument.
Result<OpenFile> open_regular_file(const std::string& path);

/// Fills `out` from the descriptor's position; a file that ends early is kCorrupt.
Result<void> read_exactly(const UniqueFd& fd, std::span<std::byte> out, const std::string& path);

/// The whole file; one of more than `max_bytes` is kUnsupported and nothing is allocated.
Result<std::vector<std::byte>> read_whole_file(const OpenFile& file, const std::string& path, std::uint64_t max_bytes);
Result<std::vector<std::byte>> read_whole_file(const std::string& path, std::uint64_t max_bytes);

}  // namespace fsa
