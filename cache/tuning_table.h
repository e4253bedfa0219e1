#pragma once
// Owns TuningTable: an immutable set of tuning entries and the search in it for a problem.
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "cache/tuning_entry.h"

namespace fsa {

/// What a choice is wanted for.
struct TuningQuery {
  TuningKey key;                    ///< an empty toolchain matches every one: a deployment without a compiler
  bool any_device_of_arch = false;  ///< match a device by its "arch" alone: the choices of a pack, tuned elsewhere
  double max_distance = 8;          ///< farther entries say nothing about the problem (8 octaves: 16 times the q and k tokens)
};

struct TuningMatch {
  const TuningEntry* entry = nullptr;  ///< lives as long as the table
  double distance = 0;                 ///< 0 for exact
  bool exact = false;                  ///< same key in every part
  std::string sentence;                ///< "tuned for this problem", or "nearest, from total_q=32768, total_k=32768"
};

/// Immutable; share it as shared_ptr<const TuningTable>.
class TuningTable {
 public:
  TuningTable() = default;
  explicit TuningTable(std::vector<TuningEntry> entries) : entries_(std::move(entries)) {}

  const std::vector<TuningEntry>& entries() const { return entries_; }

  /// Every entry that may serve: same op, family versions and device, problem features within reach. Best first: exact,
  /// then by distance (another toolchain counts one octave), then the later date, then the earlier place. The caller
  /// takes the first whose configs pass the kernels' own checks for the problem at hand.
  std::vector<TuningMatch> find_all(const TuningQuery& query) const;
  /// The first of find_all().
  std::optional<TuningMatch> find(const TuningQuery& query) const;

 private:
  std::vector<TuningEntry> entries_;
};

}  // namespace fsa
