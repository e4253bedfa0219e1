#include "cache/eviction.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <tuple>

#include "cache/atomic_file.h"

namespace fsa {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDigestDigits = 32;

/// "<32 hex digits>.v<format>"
bool is_artifact_name(const std::string& name) {
  const bool shape = name.size() > kDigestDigits + 2 && name.compare(kDigestDigits, 2, ".v") == 0;
  return shape && name.find_first_not_of("0123456789abcdef") == kDigestDigits &&
         name.find_first_not_of("0123456789", kDigestDigits + 2) == std::string::npos;
}

/// Every entry that can be looked at; files that vanish meanwhile are skipped.
std::vector<StoredFile> list_files(const std::string& directory) {
  std::vector<StoredFile> files;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code vanished;
    if (!it->is_regular_file(vanished) || vanished) continue;
    const auto bytes = it->file_size(vanished);
    if (vanished) continue;
    const auto used = it->last_write_time(vanished);
    if (!vanished) files.push_back({it->path().filename().string(), bytes, used});
  }
  return files;
}

void remove_file(const std::string& directory, const std::string& name) {
  std::error_code gone_already;
  fs::remove(fs::path(directory) / name, gone_already);
}

void remove_orphans(const std::string& directory, const std::vector<StoredFile>& files) {
  const auto old = fs::file_time_type::clock::now() - std::chrono::hours(1);
  for (const StoredFile& file : files)
    if (is_temporary_name(file.name) && file.used < old) remove_file(directory, file.name);
}

Remaining sum(const std::vector<StoredFile>& files) {
  Remaining total;
  for (const StoredFile& file : files) {
    total.files += 1;
    total.bytes += file.bytes;
  }
  return total;
}

}  // namespace

std::vector<StoredFile> choose_evictions(std::vector<StoredFile> files, const StoreLimits& limits) {
  Remaining left = sum(files);
  std::vector<StoredFile> evicted;
  if (left.files <= limits.files && left.bytes <= limits.bytes) return evicted;
  const StoreLimits goal{.files = limits.files - limits.files / 10, .bytes = limits.bytes - limits.bytes / 10};
  std::ranges::sort(files, {}, [](const StoredFile& f) { return std::tie(f.used, f.name); });
  for (std::size_t i = 0; i + 1 < files.size() && (left.files > goal.files || left.bytes > goal.bytes); ++i) {
    left.files -= 1;
    left.bytes -= files[i].bytes;
    evicted.push_back(files[i]);
  }
  return evicted;
}

std::vector<StoredFile> list_artifacts(const std::string& directory) {
  std::vector<StoredFile> files = list_files(directory);
  std::erase_if(files, [](const StoredFile& f) { return !is_artifact_name(f.name); });
  return files;
}

Remaining evict_least_recent(const std::string& directory, const StoreLimits& limits) {
  std::vector<StoredFile> files = list_files(directory);
  remove_orphans(directory, files);
  std::erase_if(files, [](const StoredFile& f) { return !is_artifact_name(f.name); });
  Remaining left = sum(files);
  for (const StoredFile& file : choose_evictions(std::move(files), limits)) {
    remove_file(directory, file.name);
    left.files -= 1;
    left.bytes -= file.bytes;
  }
  return left;
}

}  // namespace fsa
