#pragma once
// Owns ArtifactStore: compiled binaries on disk, found by the digest of everything they were made from.
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "cache/artifact_file.h"
#include "cache/log.h"
#include "codegen/base/digest.h"
#include "fsa/base/result.h"

namespace fsa {

struct ArtifactStoreOptions {
  std::string directory;  ///< the cache folder; artifacts live in its subfolder "artifacts"
  std::uint64_t max_bytes = std::uint64_t{1} << 30;
  std::size_t max_files = 20'000;
  LogCallback log = {};  ///< told once of each damaged file and of a folder that cannot be used
};

/// Thread-safe, and safe among processes that share the folder: files appear whole, last writer wins (all write the same).
class ArtifactStore {
 public:
  /// Touches nothing: the folder is made (mode 0700) by the first put().
  explicit ArtifactStore(ArtifactStoreOptions options);

  /// The artifact, or nothing. A damaged, truncated or foreign file is nothing too: it is removed and logged. A hit counts
  /// as a use for eviction. A folder that every user may write to is not trusted: it could hold anybody's code.
  std::optional<Artifact> get(const Digest& key) const;

  /// Stores, then evicts the least recently used files while the store is over its limits. On an error (kUnavailable,
  /// kIo; kInvalidArgument when larger than the whole store) the caller goes on with the binary it has.
  Result<void> put(const Digest& key, std::span<const std::byte> payload, const Json& metadata);

  struct Usage {
    std::size_t files = 0;
    std::uint64_t bytes = 0;
  };
  /// Counts what is on disk now.
  Usage usage() const;

  const std::string& directory() const { return directory_; }
  /// Where the key's file is or would be.
  std::string path_of(const Digest& key) const;

 private:
  Result<void> prepare();
  void account(std::uint64_t bytes);
  Usage evict() const;
  Result<Artifact> load(const Digest& key, const std::string& path) const;
  void report_miss(const std::string& path, const Error& why) const;
  void log_once(const std::string& about, std::string_view sentence) const;

  const ArtifactStoreOptions options_;
  const std::string directory_;
  mutable std::mutex mutex_;
  std::optional<Usage> estimate_;         // by this process since its last scan; guarded by mutex_
  std::size_t puts_since_scan_ = 0;       // guarded by mutex_
  mutable std::set<std::string> logged_;  // guarded by mutex_
};

}  // namespace fsa
