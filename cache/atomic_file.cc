#include "cache/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <utility>

#include "cache/file.h"

namespace fsa {
namespace {

constexpr std::string_view kPrefix = ".fsa-";
constexpr std::string_view kSuffix = ".tmp";
constexpr std::size_t kMaxTransfer = std::size_t{1} << 30;

/// A new file that removes itself unless it was renamed into place.
class TemporaryFile {
 public:
  TemporaryFile(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  TemporaryFile(TemporaryFile&& other) noexcept : fd_(std::move(other.fd_)), path_(std::exchange(other.path_, {})) {}
  TemporaryFile& operator=(TemporaryFile&&) = delete;
  ~TemporaryFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }

  int fd() const { return fd_.get(); }
  /// Closing can report a write that failed late (network file systems).
  bool close() { return ::close(fd_.release()) == 0; }
  bool rename_to(const std::string& target) {
    if (::rename(path_.c_str(), target.c_str()) != 0) return false;
    path_.clear();
    return true;
  }

 private:
  UniqueFd fd_;
  std::string path_;
};

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash + 1);
}

// The name is short whatever the target's is, so that a legal target name never makes an over-long temporary one.
std::string temporary_path(const std::string& target) {
  std::uint64_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random) random = static_cast<std::uint64_t>(::getpid());
  return fmt::format("{}{}{:016x}{}", folder_of(target), kPrefix, random, kSuffix);
}

Result<TemporaryFile> create_temporary(const std::string& target, FileMode mode) {
  constexpr int kAttempts = 16;
  for (int i = 0; i < kAttempts; ++i) {
    std::string path = temporary_path(target);
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, static_cast<mode_t>(mode)));
    if (fd.valid()) return TemporaryFile(std::move(fd), std::move(path));
    if (errno != EEXIST) break;
  }
  return file_error("write", target, errno);
}

bool write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), std::min(bytes.size(), kMaxTransfer));
    if (put < 0 && errno != EINTR) return false;
    if (put > 0) bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  return true;
}

}  // namespace

Result<void> write_file_atomically(const std::string& path, std::span<const std::span<const std::byte>> parts, FileMode mode) {
  FSA_ASSIGN_OR_RETURN(TemporaryFile file, create_temporary(path, mode));
  for (const auto part : parts)
    if (!write_all(file.fd(), part)) return file_error("write", path, errno);
  // The folder itself is not synced: after a power cut the old file may be back, which is still a whole file.
  if (::fsync(file.fd()) != 0) return file_error("write", path, errno);
  if (!file.close() || !file.rename_to(path)) return file_error("write", path, errno);
  return {};
}

Result<void> write_file_atomically(const std::string& path, std::string_view text, FileMode mode) {
  const std::array parts{std::as_bytes(std::span(text))};
  return write_file_atomically(path, parts, mode);
}

bool is_temporary_name(std::string_view name) { return name.starts_with(kPrefix) && name.ends_with(kSuffix); }

}  // namespace fsa
