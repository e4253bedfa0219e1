#pragma once
// Owns the export pack: one file with compiled kernels for several targets and the tuned choices that go with them.
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cache/kernel_record.h"
#include "cache/safetensors.h"
#include "cache/tuning_entry.h"
#include "codegen/base/digest.h"
#include "codegen/specialization.h"
#include "codegen/target.h"
#include "fsa/base/result.h"

namespace fsa {

inline constexpr int kPackFormat = 1;

/// A kernel to be packed, or one taken from a pack.
struct PackedKernel {
  KernelRecord record;
  std::vector<std::byte> binary;  ///< cubin, or relocatable ELF object
};

/// All that goes into a pack.
struct PackContents {
  std::string library_version;
  Json provenance = Json::object();   ///< free: device name, driver, date, host
  std::vector<PackedKernel> kernels;  ///< distinct by kernel digest (which includes the target)
  std::vector<TuningEntry> choices;
};

/// Writes atomically. Two kernels of one digest are kInvalidArgument, a path that cannot be written kIo.
Result<void> write_pack(const std::string& path, const PackContents& contents);

/// What a pack lists about a kernel; its bytes are read by Pack::load().
struct PackEntry {
  Digest digest;  ///< Specialization::kernel_digest()
  KernelRecord record;
  std::string sha256;  ///< of the binary
  std::span<const std::byte> stored;
};

/// A pack in memory. Immutable and thread-safe; copies share the bytes.
class Pack {
 public:
  /// Reads and checks structure and manifest (not yet the binaries). Missing is kNotFound, damaged or not a pack
  /// kCorrupt, a format of a later library kUnsupported.
  static Result<Pack> open(const std::string& path);

  const std::string& path() const { return file_.path(); }
  const std::string& library_version() const { return library_version_; }
  const Json& provenance() const { return provenance_; }
  const std::vector<PackEntry>& entries() const { return entries_; }
  const std::vector<TuningEntry>& choices() const { return choices_; }

  /// The targets that the pack holds kernels for, each once, in the pack's order.
  std::vector<std::string> targets() const;
  /// Those of them whose code `device` runs, best first: its own, then the most demanding.
  std::vector<Target> runnable_targets(const Target& device) const;

  /// The kernel for the specialization's target, or for the best packed target that it runs. kNotFound says whether
  /// target, family, version, shape or config is what the pack lacks, and how to export it; kCorrupt a failed checksum.
  Result<PackedKernel> find(const Specialization& wanted) const;
  /// Every kernel of a family for a shape that `device` runs, best target first: for a caller without a choice of config.
  std::vector<const PackEntry*> kernels_for(std::string_view family, int version, const Json& shape, const Target& device) const;
  /// The kernel's bytes, checked against their SHA-256 (kCorrupt).
  Result<PackedKernel> load(const PackEntry& entry) const;
  /// Checks every binary.
  Result<void> verify() const;

 private:
  SafetensorsFile file_;
  std::string library_version_;
  Json provenance_;
  std::vector<PackEntry> entries_;
  std::vector<TuningEntry> choices_;
  std::map<Digest, std::size_t> index_;
};

}  // namespace fsa
