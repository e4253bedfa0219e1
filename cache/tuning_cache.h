#pragma once
// Owns TuningCache: tuning.json of one cache folder, read into immutable tables and merged under a lock.
#include <chrono>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "cache/log.h"
#include "cache/tuning_table.h"
#include "fsa/base/result.h"

namespace fsa {

struct TuningCacheOptions {
  std::string directory;                           ///< the cache folder; the file is "tuning.json" in it
  std::chrono::milliseconds lock_timeout{10'000};  ///< how long merge() waits for other processes
  LogCallback log = {};                            ///< told of skipped entries and of a damaged file that was set aside
};

/// Thread-safe. Tables handed out never change; a later load() or merge() makes a new one.
class TuningCache {
 public:
  explicit TuningCache(TuningCacheOptions options);

  /// Reads the file; a missing one is an empty table. kCorrupt (damaged), kUnsupported (of a later library) and kIo leave
  /// the table of before in place.
  Result<std::shared_ptr<const TuningTable>> load();

  /// The table of the last successful load() or merge(), empty before the first. Never reads the disk.
  std::shared_ptr<const TuningTable> table() const;

  /// Adds entries under the file's lock: reads, merges, replaces the file atomically, and makes the result the table.
  /// A damaged file is set aside as "tuning.json.damaged"; one of a later library is kUnsupported and stays untouched.
  /// Else kUnavailable (folder not writable), kTimeout (lock) or kIo.
  Result<void> merge(std::span<const TuningEntry> entries);

  const std::string& path() const { return path_; }

 private:
  Result<Json> read_document() const;
  Result<Json> read_or_set_aside() const;
  std::shared_ptr<const TuningTable> publish(const Json& document);
  void log(std::string_view sentence) const;

  const TuningCacheOptions options_;
  const std::string path_;
  mutable std::mutex mutex_;
  std::shared_ptr<const TuningTable> table_;  // guarded by mutex_
};

}  // namespace fsa
