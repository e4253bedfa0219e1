#include "cache/pack_manifest.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "cache/json_members.h"
#include "cache/json_text.h"

namespace fsa {
namespace {

constexpr const char* kFormatKey = "format";
constexpr const char* kFormatName = "fsa-pack";
constexpr const char* kVersionKey = "format_version";
constexpr const char* kLibraryKey = "library_version";
constexpr const char* kProvenanceKey = "provenance";
constexpr const char* kChoicesKey = "choices";
constexpr const char* kDigestKey = "manifest_digest";
constexpr std::string_view kKernelPrefix = "kernel/";

/// Over every key and value but its own: the binaries have their checksums, the words about them need one too.
Digest digest_of(const SafetensorsMetadata& metadata) {
  DigestBuilder builder;
  for (const auto& [key, value] : metadata)
    if (key != kDigestKey) builder.field(key).field(value);
  return builder.finish();
}

std::string text_of(const SafetensorsMetadata& metadata, const char* key) {
  const auto it = metadata.find(key);
  return it == metadata.end() ? "" : it->second;
}

Result<void> check_version(const SafetensorsMetadata& metadata, const std::string& path) {
  const std::string text = text_of(metadata, kVersionKey);
  int version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (error != std::errc() || end != text.data() + text.size() || version < 1) return corrupt_pack(path, "it states no format version");
  if (version <= kPackFormat) return {};
  return make_error(ErrorKind::kUnsupported,
                    {.given = fmt::format("the pack '{}' has format {}, of a later version of this library", path, version),
                     .supported = fmt::format("format {}", kPackFormat),
                     .remedy = "update this library, or export again with this version"});
}

Result<void> check_identity(const SafetensorsMetadata& metadata, const std::string& path) {
  if (text_of(metadata, kFormatKey) != kFormatName) return corrupt_pack(path, "it is a tensor file, not a pack of kernels");
  FSA_RETURN_IF_ERROR(check_version(metadata, path));
  if (text_of(metadata, kDigestKey) != digest_of(metadata).hex()) return corrupt_pack(path, "its manifest does not match its digest");
  return {};
}

Result<std::vector<TuningEntry>> read_choices(const std::string& text, const std::string& path) {
  FSA_ASSIGN_OR_RETURN(const Json list, parse_json(text, fmt::format("the choices of '{}'", path)));
  if (!list.is_array()) return corrupt_pack(path, "its choices are not a list");
  std::vector<TuningEntry> choices;
  for (const Json& item : list) {
    FSA_ASSIGN_OR_RETURN(TuningEntry entry, TuningEntry::parse(item, fmt::format("choice {} of '{}'", choices.size() + 1, path)));
    choices.push_back(std::move(entry));
  }
  return choices;
}

Result<PackManifest::Kernel> read_kernel(const std::string& text, const std::string& path) {
  FSA_ASSIGN_OR_RETURN(const Json json, parse_json(text, fmt::format("a kernel of '{}'", path)));
  FSA_ASSIGN_OR_RETURN(KernelRecord record, KernelRecord::parse(json, fmt::format("'{}'", path)));
  MemberReader members(json);
  std::string sha256 = members.text("sha256");
  if (!members.fault().empty()) return corrupt_pack(path, members.fault());
  return PackManifest::Kernel{std::move(record), std::move(sha256)};
}

Result<void> read_kernels(const SafetensorsMetadata& metadata, const std::string& path, PackManifest& manifest) {
  for (const auto& [key, value] : metadata) {
    if (!key.starts_with(kKernelPrefix)) continue;
    FSA_ASSIGN_OR_RETURN(PackManifest::Kernel kernel, read_kernel(value, path));
    manifest.kernels.emplace(key.substr(kKernelPrefix.size()), std::move(kernel));
  }
  return {};
}

}  // namespace

Error corrupt_pack(const std::string& path, std::string_view fault) {
  return make_error(ErrorKind::kCorrupt, {.given = fmt::format("'{}' is not a valid pack: {}", path, fault),
                                          .supported = "files written by 'fsa export'",
                                          .remedy = "copy the pack again from where it was exported, or export it again"});
}

std::string pack_tensor_name(const KernelRecord& record) { return record.kernel_digest().hex() + "." + record.target; }

SafetensorsMetadata write_manifest(const PackContents& contents) {
  SafetensorsMetadata metadata;
  metadata[kFormatKey] = kFormatName;
  metadata[kVersionKey] = std::to_string(kPackFormat);
  metadata[kLibraryKey] = contents.library_version;
  metadata[kProvenanceKey] = dump_json(contents.provenance);
  Json choices = Json::array();
  for (const TuningEntry& entry : contents.choices) choices.push_back(entry.to_json());
  metadata[kChoicesKey] = dump_json(choices);
  for (const PackedKernel& kernel : contents.kernels) {
    Json json = kernel.record.to_json();
    json["sha256"] = sha256_hex(kernel.binary);
    metadata[std::string(kKernelPrefix) + pack_tensor_name(kernel.record)] = dump_json(json);
  }
  metadata[kDigestKey] = digest_of(metadata).hex();
  return metadata;
}

Result<PackManifest> read_manifest(const SafetensorsMetadata& metadata, const std::string& path) {
  FSA_RETURN_IF_ERROR(check_identity(metadata, path));
  PackManifest manifest;
  manifest.library_version = text_of(metadata, kLibraryKey);
  FSA_ASSIGN_OR_RETURN(manifest.provenance, parse_json(text_of(metadata, kProvenanceKey), fmt::format("the provenance of '{}'", path)));
  FSA_ASSIGN_OR_RETURN(manifest.choices, read_choices(text_of(metadata, kChoicesKey), path));
  FSA_RETURN_IF_ERROR(read_kernels(metadata, path, manifest));
  return manifest;
}

}  // namespace fsa
