#include "cache/directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "cache/file.h"

namespace fsa {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

Error unusable(const std::string& path, int error_number) {
  return make_error(ErrorKind::kUnavailable, {.given = fmt::format("the cache folder '{}' cannot be written: {}", path,
                                                                   std::generic_category().message(error_number)),
                                              .supported = "a folder this user may write to",
                                              .remedy = "set FSA_CACHE_DIR to one"});
}

bool is_folder(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

/// 0, or the errno of the first step that failed. Parents are private too: they are only made when nobody had them.
int make_folders(const std::string& path) {
  if (is_folder(path)) return 0;
  const std::string parent = std::filesystem::path(path).parent_path().string();
  if (!parent.empty() && parent != path)
    if (const int error = make_folders(parent)) return error;
  if (::mkdir(path.c_str(), 0700) == 0) return 0;
  const int error = errno;
  return error == EEXIST && is_folder(path) ? 0 : error == EEXIST ? ENOTDIR : error;
}

// access(2) says yes to root on places that refuse files all the same, so a real file is the only proof.
int probe(const std::string& path) {
  const std::string file = fmt::format("{}/.fsa-probe-{}.tmp", path, ::getpid());
  const UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return errno;
  ::unlink(file.c_str());
  return 0;
}

}  // namespace

CacheEnvironment read_cache_environment() {
  return {.fsa_cache_dir = variable("FSA_CACHE_DIR"), .xdg_cache_home = variable("XDG_CACHE_HOME"), .home = variable("HOME")};
}

Result<std::string> cache_directory(const CacheEnvironment& environment) {
  if (!environment.fsa_cache_dir.empty()) {
    std::error_code ignored;  // fails only without a current folder; the relative path then says so when it is used
    const auto absolute = std::filesystem::absolute(environment.fsa_cache_dir, ignored);
    return ignored ? environment.fsa_cache_dir : absolute.lexically_normal().string();
  }
  if (environment.xdg_cache_home.starts_with('/')) return environment.xdg_cache_home + "/fsa";
  if (environment.home.starts_with('/')) return environment.home + "/.cache/fsa";
  return make_error(ErrorKind::kUnavailable,
                    {.given = "there is no place for the cache: FSA_CACHE_DIR, XDG_CACHE_HOME and HOME are all unset",
                     .remedy = "set FSA_CACHE_DIR to a folder this user may write to"});
}

Result<void> prepare_cache_directory(const std::string& path) {
  if (const int error = make_folders(path)) return unusable(path, error);
  if (const int error = probe(path)) return unusable(path, error);
  return {};
}

}  // namespace fsa
