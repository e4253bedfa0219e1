#pragma once
// Owns the string metadata of a pack file: what it says about kernels and choices, guarded by a digest over all of it.
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cache/pack.h"
#include "cache/safetensors.h"
#include "fsa/base/result.h"

namespace fsa {

/// The tensor's name of a kernel: "<kernel digest in hex>.<target>".
std::string pack_tensor_name(const KernelRecord& record);

/// The metadata of a pack file.
SafetensorsMetadata write_manifest(const PackContents& contents);

struct PackManifest {
  std::string library_version;
  Json provenance;
  std::vector<TuningEntry> choices;
  struct Kernel {
    KernelRecord record;
    std::string sha256;
  };
  std::map<std::string, Kernel, std::less<>> kernels;  ///< by tensor name
};

/// Checks format, version and the manifest's own digest, and reads it. Errors as Pack::open().
Result<PackManifest> read_manifest(const SafetensorsMetadata& metadata, const std::string& path);

Error corrupt_pack(const std::string& path, std::string_view fault);

}  // namespace fsa
