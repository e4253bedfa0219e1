#include "cache/artifact_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cache/json_text.h"

namespace fsa {
namespace {

// magic, format (u32), metadata bytes (u32), payload bytes (u64), key; little-endian. Then metadata, payload, and the
// SHA-256 of everything before it in hex: one checksum at the end also guards the header, and any truncation breaks it.
constexpr std::string_view kMagic = "FSA-ARTF";
constexpr std::size_t kFormatAt = 8, kMetadataSizeAt = 12, kPayloadSizeAt = 16, kKeyAt = 24;
constexpr std::size_t kHeaderBytes = 40;
constexpr std::size_t kChecksumBytes = 64;

using Bytes = std::span<const std::byte>;

std::string_view text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

void append_number(std::string& out, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

std::uint64_t number_at(Bytes file, std::size_t offset, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) value |= std::to_integer<std::uint64_t>(file[offset + i]) << (8 * i);
  return value;
}

/// Why the file's header cannot be `key`'s, or empty.
std::string header_fault(const Digest& key, Bytes file) {
  if (file.size() < kHeaderBytes + kChecksumBytes) return "it is truncated";
  if (text_of(file.first(kMagic.size())) != kMagic) return "it is not an artifact file";
  if (number_at(file, kFormatAt, 4) != kArtifactFormat) return "it is of another format version";
  const std::uint64_t rest = file.size() - kHeaderBytes - kChecksumBytes;
  const std::uint64_t metadata = number_at(file, kMetadataSizeAt, 4), payload = number_at(file, kPayloadSizeAt, 8);
  if (metadata > rest || payload != rest - metadata) return "its length is not the one it states";
  if (!std::ranges::equal(file.subspan(kKeyAt, key.bytes.size()), std::as_bytes(std::span(key.bytes)))) return "it belongs to another key";
  if (sha256_hex(file.first(file.size() - kChecksumBytes)) != text_of(file.last(kChecksumBytes))) return "its checksum does not match";
  return {};
}

}  // namespace

std::string encode_artifact(const Digest& key, Bytes payload, const Json& metadata) {
  const std::string text = dump_json(metadata);
  std::string out;
  out.reserve(kHeaderBytes + text.size() + payload.size() + kChecksumBytes);
  out += kMagic;
  append_number(out, kArtifactFormat, 4);
  append_number(out, text.size(), 4);
  append_number(out, payload.size(), 8);
  out += text_of(std::as_bytes(std::span(key.bytes)));
  out += text;
  out += text_of(payload);
  return out += sha256_hex(std::as_bytes(std::span(out)));
}

Result<Artifact> decode_artifact(const Digest& key, Bytes file, const std::string& path) {
  if (const std::string fault = header_fault(key, file); !fault.empty())
    return make_error(ErrorKind::kCorrupt, {.given = fmt::format("the cached artifact '{}' is damaged: {}", path, fault)});
  const std::size_t metadata_bytes = number_at(file, kMetadataSizeAt, 4);
  const Bytes payload = file.subspan(kHeaderBytes + metadata_bytes, number_at(file, kPayloadSizeAt, 8));
  FSA_ASSIGN_OR_RETURN(Json metadata, parse_json(text_of(file.subspan(kHeaderBytes, metadata_bytes)), path));
  return Artifact{{payload.begin(), payload.end()}, std::move(metadata)};
}

}  // namespace fsa
