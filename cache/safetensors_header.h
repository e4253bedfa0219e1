#pragma once
// Owns the JSON header of a safetensors file: its text from tensors, and the checked tensors from its text.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cache/safetensors.h"

namespace fsa {

/// A header's tensor: where its bytes lie, relative to the end of the header.
struct SafetensorsEntry {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;
};

struct SafetensorsHeader {
  SafetensorsMetadata metadata;
  std::vector<SafetensorsEntry> entries;  ///< by begin, covering [0, data_bytes) without gap or overlap
};

/// Longer headers are rejected before they are read, as other readers of the format do.
inline constexpr std::uint64_t kMaxSafetensorsHeader = 100'000'000;

/// Checks everything that can be checked without the data. `path` is for messages.
Result<SafetensorsHeader> parse_safetensors_header(std::string_view text, std::uint64_t data_bytes, const std::string& path);

/// The header for tensors stored in the given order, padded with spaces so that the data starts at a multiple of 64.
Result<std::string> safetensors_header_text(std::span<const SafetensorsTensor> tensors, const SafetensorsMetadata& metadata);

/// product(shape) * element bytes; false when it passes 2^63 or an extent is negative.
bool safetensors_bytes(std::string_view dtype, std::span<const std::int64_t> shape, std::uint64_t& bytes);

}  // namespace fsa
