#pragma once
// Owns the bytes of one file of the artifact store: a header, metadata, payload and a checksum over all of them.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/base/digest.h"
#include "codegen/base/json.h"
#include "fsa/base/result.h"

namespace fsa {

/// What the store keeps under a digest.
struct Artifact {
  std::vector<std::byte> payload;
  Json metadata;  ///< small: KernelRecord::to_json(), typically
};

/// Part of every file name, so that versions of the library that differ in it share a folder without seeing each other's files.
inline constexpr std::uint32_t kArtifactFormat = 1;

/// The file's bytes, in a string because they are appended piece by piece.
std::string encode_artifact(const Digest& key, std::span<const std::byte> payload, const Json& metadata);

/// The inverse. kCorrupt says what is wrong: truncated, foreign, stored under another key, or a failed checksum.
Result<Artifact> decode_artifact(const Digest& key, std::span<const std::byte> file, const std::string& path);

}  // namespace fsa
