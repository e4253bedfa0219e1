#include "cache/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>

namespace fsa {
namespace {

// Linux transfers at most 2 GiB - 4 KiB per call; asking for less keeps the loop the same on every kernel.
constexpr std::size_t kMaxTransfer = std::size_t{1} << 30;

std::string_view remedy_for(std::string_view action, int error_number) {
  if (error_number == ENOENT) return action == "read" ? "check the path" : "create the folder first";
  if (error_number == ENOTDIR) return "a part of the path is a file, not a folder: check the path";
  if (error_number == EACCES || error_number == EPERM || error_number == EROFS) return "change its permissions or choose another path";
  if (error_number == ENOSPC || error_number == EDQUOT) return "free some disk space";
  return "";
}

Error not_regular(const std::string& path, mode_t mode) {
  return make_error(
      ErrorKind::kInvalidArgument,
      {.given = fmt::format("'{}' is {}", path, S_ISDIR(mode) ? "a folder" : "not a regular file"), .supported = "regular files"});
}

}  // namespace

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) ::close(fd_);
}

Error file_error(std::string_view action, const std::string& path, int error_number) {
  const bool missing = error_number == ENOENT && action == "read";
  return make_error(missing ? ErrorKind::kNotFound : ErrorKind::kIo,
                    {.given = fmt::format("cannot {} '{}': {}", action, path, std::generic_category().message(error_number)),
                     .remedy = std::string(remedy_for(action, error_number))});
}

Result<OpenFile> open_regular_file(const std::string& path) {
  // O_NONBLOCK: opening a pipe must not wait for a writer; regular files ignore it.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return file_error("read", path, errno);
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return file_error("read", path, errno);
  if (!S_ISREG(info.st_mode)) return not_regular(path, info.st_mode);
  return OpenFile{std::move(fd), static_cast<std::uint64_t>(info.st_size)};
}

Result<void> read_exactly(const UniqueFd& fd, std::span<std::byte> out, const std::string& path) {
  while (!out.empty()) {
    const ssize_t got = ::read(fd.get(), out.data(), std::min(out.size(), kMaxTransfer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return file_error("read", path, errno);
    if (got == 0)
      return make_error(ErrorKind::kCorrupt, {.given = fmt::format("'{}' ended {} bytes early while it was read", path, out.size())});
    out = out.subspan(static_cast<std::size_t>(got));
  }
  return {};
}

Result<std::vector<std::byte>> read_whole_file(const OpenFile& file, const std::string& path, std::uint64_t max_bytes) {
  if (file.size > max_bytes)
    return make_error(ErrorKind::kUnsupported,
                      {.given = fmt::format("'{}' has {} bytes", path, file.size), .supported = fmt::format("up to {} bytes", max_bytes)});
  try {
    std::vector<std::byte> bytes(file.size);
    FSA_RETURN_IF_ERROR(read_exactly(file.fd, bytes, path));
    return bytes;
  } catch (const std::bad_alloc&) {
    return make_error(ErrorKind::kIo, {.given = fmt::format("no memory for the {} bytes of '{}'", file.size, path)});
  }
}

Result<std::vector<std::byte>> read_whole_file(const std::string& path, std::uint64_t max_bytes) {
  FSA_ASSIGN_OR_RETURN(const OpenFile file, open_regular_file(path));
  return read_whole_file(file, path, max_bytes);
}

}  // namespace fsa
