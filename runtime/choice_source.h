#pragma once
// Owns ChoiceSource: which variant and configs a plan takes: tuned for this very problem, the nearest tuned one, or the default.
#include <memory>
#include <optional>
#include <string>

#include "cache/tuning_cache.h"
#include "runtime/device/device.h"
#include "runtime/kernel_source.h"
#include "runtime/operator.h"

namespace fsa {

/// A choice and why it was taken.
struct ChosenBy {
  Choice choice;
  std::string source;  ///< "tuned", "nearest", "pack" or "default"
  std::string why;     ///< one sentence
};

/// Thread-safe. The tuning cache is read once, when the source is made, and again when an entry is kept through it.
class ChoiceSource {
 public:
  ChoiceSource(std::shared_ptr<const Device> device, std::shared_ptr<const KernelSource> kernels, const EngineOptions& options);

  /// The choice for a problem that passed Operator::check(). Entries that are no longer legal for it are passed over.
  ChosenBy choose(const Operator& op, const Json& problem) const;
  /// Under what results for this problem, device and toolchain are kept.
  TuningKey key(const Operator& op, const Json& problem) const;
  /// Proves that keep() can write, by making the cache directory where it is missing.
  Result<void> prepare() const;
  /// Writes an entry to the tuning cache; kUnavailable where no cache is used.
  Result<void> keep(const TuningEntry& entry) const;

 private:
  std::optional<ChosenBy> from_pack(const Operator& op, const Json& problem) const;
  std::optional<ChosenBy> from_cache(const Operator& op, const Json& problem) const;
  /// The first entry whose choice is legal for the problem here.
  std::optional<ChosenBy> first_legal(const Operator& op, const Json& problem, const TuningTable& table, const TuningQuery& query) const;

  std::shared_ptr<const Device> device_;
  std::shared_ptr<const KernelSource> kernels_;
  TuningTable pack_choices_;
  std::string directory_;  // of the cache
  std::unique_ptr<TuningCache> cache_;
};

}  // namespace fsa
