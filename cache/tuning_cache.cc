#include "cache/tuning_cache.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "cache/atomic_file.h"
#include "cache/directory.h"
#include "cache/file.h"
#include "cache/file_lock.h"
#include "cache/tuning_file.h"

namespace fsa {
namespace {

// About 100,000 entries: far past any real use, and a bound on what a wrong path makes this process read.
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{128} << 20;

}  // namespace

TuningCache::TuningCache(TuningCacheOptions options)
    : options_(std::move(options)), path_(options_.directory + "/tuning.json"), table_(std::make_shared<const TuningTable>()) {}

Result<Json> TuningCache::read_document() const {
  const auto bytes = read_whole_file(path_, kMaxFileBytes);
  if (!bytes && bytes.error().kind == ErrorKind::kNotFound) return empty_tuning_document();
  if (!bytes) return bytes.error();
  return parse_tuning_document({reinterpret_cast<const char*>(bytes->data()), bytes->size()}, path_);
}

Result<std::shared_ptr<const TuningTable>> TuningCache::load() {
  FSA_ASSIGN_OR_RETURN(const Json document, read_document());
  return publish(document);
}

std::shared_ptr<const TuningTable> TuningCache::publish(const Json& document) {
  TuningEntries read = read_tuning_entries(document, path_);
  for (const std::string& warning : read.warnings) log(warning);
  auto table = std::make_shared<const TuningTable>(std::move(read.entries));
  const std::lock_guard lock(mutex_);
  return table_ = std::move(table);
}

std::shared_ptr<const TuningTable> TuningCache::table() const {
  const std::lock_guard lock(mutex_);
  return table_;
}

// A person may have edited the file; their mistake must neither block tuning nor cost them the file.
Result<Json> TuningCache::read_or_set_aside() const {
  auto document = read_document();
  if (document || document.error().kind != ErrorKind::kCorrupt) return document;
  const std::string aside = path_ + ".damaged";
  if (std::rename(path_.c_str(), aside.c_str()) != 0) return file_error("move", path_, errno);
  log(fmt::format("{}; it was moved to '{}' and a new one is begun", document.error().given, aside));
  return empty_tuning_document();
}

Result<void> TuningCache::merge(std::span<const TuningEntry> entries) {
  FSA_RETURN_IF_ERROR(prepare_cache_directory(options_.directory));
  FSA_ASSIGN_OR_RETURN(const FileLock lock, FileLock::acquire(path_ + ".lock", options_.lock_timeout));
  FSA_ASSIGN_OR_RETURN(Json document, read_or_set_aside());
  merge_tuning_entries(document, entries);
  FSA_RETURN_IF_ERROR(write_file_atomically(path_, tuning_document_text(document), FileMode::kPrivate));
  publish(document);
  return {};
}

void TuningCache::log(std::string_view sentence) const {
  if (options_.log) options_.log(sentence);
}

}  // namespace fsa
