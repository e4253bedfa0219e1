#include "cache/pack.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "cache/pack_gap.h"
#include "cache/pack_manifest.h"

namespace fsa {
namespace {

SafetensorsTensor tensor_of(const PackedKernel& kernel) {
  return {.name = pack_tensor_name(kernel.record),
          .dtype = "U8",
          .shape = {static_cast<std::int64_t>(kernel.binary.size())},
          .data = kernel.binary};
}

/// Larger runs faster, among targets that a device can run.
auto demand(const Target& t) { return std::tuple(t.cuda.major, t.cuda.minor, t.cpu.level, t.cpu.bf16_dot); }

/// The listing of one tensor, which the manifest must know under the name that its record gives it.
Result<PackEntry> entry_of(const SafetensorsTensor& tensor, const PackManifest& manifest, const std::string& path) {
  const auto it = manifest.kernels.find(tensor.name);
  if (it == manifest.kernels.end()) return corrupt_pack(path, fmt::format("nothing is said about its tensor '{}'", tensor.name));
  const auto& [record, sha256] = it->second;
  if (tensor.name != pack_tensor_name(record) || tensor.dtype != "U8")
    return corrupt_pack(path, fmt::format("its tensor '{}' is not the kernel it is said to be", tensor.name));
  return PackEntry{record.kernel_digest(), record, sha256, tensor.data};
}

Result<void> check_distinct(const std::string& path, const std::vector<PackedKernel>& kernels) {
  std::set<Digest> seen;
  for (const PackedKernel& kernel : kernels)
    if (!seen.insert(kernel.record.kernel_digest()).second)
      return make_error(ErrorKind::kInvalidArgument, {.given = fmt::format("the pack '{}' would hold a kernel of {} for {} twice", path,
                                                                           kernel.record.family, kernel.record.target),
                                                      .supported = "one binary per family, version, target, shape and config"});
  return {};
}

}  // namespace

Result<void> write_pack(const std::string& path, const PackContents& contents) {
  FSA_RETURN_IF_ERROR(check_distinct(path, contents.kernels));
  std::vector<SafetensorsTensor> tensors;
  for (const PackedKernel& kernel : contents.kernels) tensors.push_back(tensor_of(kernel));
  return write_safetensors(path, tensors, write_manifest(contents));
}

Result<Pack> Pack::open(const std::string& path) {
  Pack pack;
  FSA_ASSIGN_OR_RETURN(pack.file_, SafetensorsFile::open(path));
  FSA_ASSIGN_OR_RETURN(PackManifest manifest, read_manifest(pack.file_.metadata(), path));
  if (manifest.kernels.size() != pack.file_.tensors().size()) return corrupt_pack(path, "it speaks of kernels that it does not hold");
  for (const SafetensorsTensor& tensor : pack.file_.tensors()) {
    FSA_ASSIGN_OR_RETURN(PackEntry entry, entry_of(tensor, manifest, path));
    pack.index_[entry.digest] = pack.entries_.size();
    pack.entries_.push_back(std::move(entry));
  }
  pack.library_version_ = std::move(manifest.library_version);
  pack.provenance_ = std::move(manifest.provenance);
  pack.choices_ = std::move(manifest.choices);
  return pack;
}

std::vector<std::string> Pack::targets() const {
  std::vector<std::string> names;
  for (const PackEntry& e : entries_)
    if (std::ranges::find(names, e.record.target) == names.end()) names.push_back(e.record.target);
  return names;
}

std::vector<Target> Pack::runnable_targets(const Target& device) const {
  std::vector<Target> runnable;
  for (const std::string& name : targets())
    if (const auto target = Target::parse(name); target && device.runs(*target)) runnable.push_back(*target);
  std::ranges::stable_sort(runnable, [&](const Target& a, const Target& b) {
    return std::tuple(a.arch == device.arch, demand(a)) > std::tuple(b.arch == device.arch, demand(b));
  });
  return runnable;
}

Result<PackedKernel> Pack::find(const Specialization& wanted) const {
  Specialization candidate = wanted;
  for (const Target& target : runnable_targets(wanted.target)) {
    candidate.target = target;
    if (const auto it = index_.find(candidate.kernel_digest()); it != index_.end()) return load(entries_[it->second]);
  }
  return pack_gap(*this, wanted);
}

std::vector<const PackEntry*> Pack::kernels_for(std::string_view family, int version, const Json& shape, const Target& device) const {
  std::vector<const PackEntry*> found;
  for (const Target& target : runnable_targets(device))
    for (const PackEntry& e : entries_)
      if (e.record.target == target.arch && e.record.family == family && e.record.version == version && e.record.shape == shape)
        found.push_back(&e);
  return found;
}

Result<PackedKernel> Pack::load(const PackEntry& entry) const {
  if (sha256_hex(entry.stored) != entry.sha256)
    return corrupt_pack(path(),
                        fmt::format("the checksum of its kernel {} for {} does not match", entry.record.family, entry.record.target));
  return PackedKernel{entry.record, {entry.stored.begin(), entry.stored.end()}};
}

Result<void> Pack::verify() const {
  for (const PackEntry& entry : entries_)
    if (const auto kernel = load(entry); !kernel) return kernel.error();
  return {};
}

}  // namespace fsa
