#pragma once
// Owns the choice of artifact files to remove when the store is over its limits.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace fsa {

struct StoredFile {
  std::string name;
  std::uint64_t bytes = 0;
  std::filesystem::file_time_type used;  ///< last use: ArtifactStore sets the modification time on every hit
};

struct StoreLimits {
  std::size_t files = 0;
  std::uint64_t bytes = 0;
};

/// What is left after an eviction.
struct Remaining {
  std::size_t files = 0;
  std::uint64_t bytes = 0;
};

/// The files to remove, least recently used first, ties by name. Nothing while `files` are within the limits; otherwise a
/// tenth more than needed goes, so that a full store does not evict at every put. The most recently used file stays.
std::vector<StoredFile> choose_evictions(std::vector<StoredFile> files, const StoreLimits& limits);

/// The artifact files of a folder, of every format version; other files are not the store's and are left out.
std::vector<StoredFile> list_artifacts(const std::string& directory);

/// Removes what choose_evictions() names, and temporary files whose writers died more than an hour ago. A file that
/// another process removes at the same time counts as removed.
Remaining evict_least_recent(const std::string& directory, const StoreLimits& limits);

}  // namespace fsa
