#include "cache/artifact_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "cache/atomic_file.h"
#include "cache/directory.h"
#include "cache/eviction.h"
#include "cache/file.h"

namespace fsa {
namespace {

// Other processes fill the same folder; a new scan after this many puts bounds how far the limits are overrun.
constexpr std::size_t kPutsPerScan = 256;

bool writable_by_all(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && (info.st_mode & S_IWOTH) != 0;
}

Error untrusted(const std::string& path) {
  return make_error(ErrorKind::kUnavailable, {.given = fmt::format("every user may write to '{}', so its binaries cannot be trusted", path),
                                              .supported = "a folder that only this user writes to",
                                              .remedy = fmt::format("chmod 700 '{}', or set FSA_CACHE_DIR to another folder", path)});
}

// The modification time is the time of last use: access times are often switched off. Failing (a store of another user,
// a read-only disk) only makes eviction less exact.
void mark_used(const UniqueFd& fd) { ::futimens(fd.get(), nullptr); }

}  // namespace

ArtifactStore::ArtifactStore(ArtifactStoreOptions options) : options_(std::move(options)), directory_(options_.directory + "/artifacts") {}

std::string ArtifactStore::path_of(const Digest& key) const { return fmt::format("{}/{}.v{}", directory_, key.hex(), kArtifactFormat); }

Result<Artifact> ArtifactStore::load(const Digest& key, const std::string& path) const {
  FSA_ASSIGN_OR_RETURN(const OpenFile file, open_regular_file(path));
  if (writable_by_all(directory_)) return untrusted(directory_);
  FSA_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, read_whole_file(file, path, options_.max_bytes));
  FSA_ASSIGN_OR_RETURN(Artifact artifact, decode_artifact(key, bytes, path));
  mark_used(file.fd);
  return artifact;
}

std::optional<Artifact> ArtifactStore::get(const Digest& key) const {
  const std::string path = path_of(key);
  auto artifact = load(key, path);
  if (artifact) return std::move(artifact).value();
  report_miss(path, artifact.error());
  return std::nullopt;
}

void ArtifactStore::report_miss(const std::string& path, const Error& why) const {
  if (why.kind == ErrorKind::kNotFound) return;  // the ordinary miss
  if (why.kind != ErrorKind::kCorrupt) return log_once(directory_, why.message());
  const bool removed = ::unlink(path.c_str()) == 0;
  log_once(path, why.message() + (removed ? "; it was removed and will be compiled again" : "; it is ignored"));
}

Result<void> ArtifactStore::prepare() {
  FSA_RETURN_IF_ERROR(prepare_cache_directory(directory_));
  if (writable_by_all(directory_)) return untrusted(directory_);
  return {};
}

Result<void> ArtifactStore::put(const Digest& key, std::span<const std::byte> payload, const Json& metadata) {
  const std::string bytes = encode_artifact(key, payload, metadata);
  if (bytes.size() > options_.max_bytes || options_.max_files == 0)
    return make_error(ErrorKind::kInvalidArgument,
                      {.given = fmt::format("an artifact of {} bytes for the store '{}'", bytes.size(), directory_),
                       .supported = fmt::format("{} bytes in {} files in all", options_.max_bytes, options_.max_files),
                       .remedy = "raise the limits of the artifact store"});
  FSA_RETURN_IF_ERROR(prepare());
  FSA_RETURN_IF_ERROR(write_file_atomically(path_of(key), bytes, FileMode::kPrivate));
  account(bytes.size());
  return {};
}

void ArtifactStore::account(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (estimate_) {
    estimate_->files += 1;
    estimate_->bytes += bytes;
  }
  const bool over = !estimate_ || estimate_->files > options_.max_files || estimate_->bytes > options_.max_bytes;
  if (!over && ++puts_since_scan_ < kPutsPerScan) return;
  estimate_ = evict();
  puts_since_scan_ = 0;
}

ArtifactStore::Usage ArtifactStore::evict() const {
  const Remaining left = evict_least_recent(directory_, {.files = options_.max_files, .bytes = options_.max_bytes});
  return {.files = left.files, .bytes = left.bytes};
}

ArtifactStore::Usage ArtifactStore::usage() const {
  Usage usage;
  for (const StoredFile& file : list_artifacts(directory_)) {
    usage.files += 1;
    usage.bytes += file.bytes;
  }
  return usage;
}

void ArtifactStore::log_once(const std::string& about, std::string_view sentence) const {
  if (!options_.log) return;
  {
    const std::lock_guard lock(mutex_);
    if (!logged_.insert(about).second) return;
  }
  options_.log(sentence);
}

}  // namespace fsa
