#include "cache/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ranges>
#include <utility>

#include "cache/atomic_file.h"
#include "cache/file.h"
#include "cache/safetensors_header.h"

namespace fsa {
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kAlignment = 64;

std::array<std::byte, kLengthBytes> encode_length(std::uint64_t length) {
  std::array<std::byte, kLengthBytes> bytes;
  for (std::size_t i = 0; i < kLengthBytes; ++i) bytes[i] = static_cast<std::byte>(length >> (8 * i));
  return bytes;
}

std::uint64_t decode_length(std::span<const std::byte, kLengthBytes> bytes) {
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) length |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  return length;
}

Error bad_start(const std::string& path, std::string fault) {
  return make_error(ErrorKind::kCorrupt,
                    {.given = fmt::format("'{}' is not a valid safetensors file: {}", path, fault), .remedy = "write the file again"});
}

Result<std::string> read_header_text(const OpenFile& file, const std::string& path) {
  std::array<std::byte, kLengthBytes> prefix{};
  if (file.size < kLengthBytes) return bad_start(path, fmt::format("it has {} bytes, fewer than its header length takes", file.size));
  FSA_RETURN_IF_ERROR(read_exactly(file.fd, prefix, path));
  const std::uint64_t length = decode_length(prefix);
  if (length > file.size - kLengthBytes || length > kMaxSafetensorsHeader)
    return bad_start(path, fmt::format("its header length is {} but the file has {} bytes (headers: at most {})", length, file.size,
                                       kMaxSafetensorsHeader));
  std::string text(length, '\0');
  FSA_RETURN_IF_ERROR(read_exactly(file.fd, std::as_writable_bytes(std::span(text)), path));
  return text;
}

Result<std::shared_ptr<std::byte>> read_data(const OpenFile& file, std::uint64_t bytes, const std::string& path) {
  const std::size_t rounded = (bytes + kAlignment) / kAlignment * kAlignment;  // never 0
  std::shared_ptr<std::byte> data(static_cast<std::byte*>(std::aligned_alloc(kAlignment, rounded)), [](std::byte* p) { std::free(p); });
  if (!data) return make_error(ErrorKind::kIo, {.given = fmt::format("no memory for the {} bytes of '{}'", bytes, path)});
  FSA_RETURN_IF_ERROR(read_exactly(file.fd, {data.get(), static_cast<std::size_t>(bytes)}, path));
  return data;
}

}  // namespace

Result<SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  FSA_ASSIGN_OR_RETURN(const OpenFile source, open_regular_file(path));
  FSA_ASSIGN_OR_RETURN(const std::string text, read_header_text(source, path));
  const std::uint64_t data_bytes = source.size - kLengthBytes - text.size();
  FSA_ASSIGN_OR_RETURN(SafetensorsHeader header, parse_safetensors_header(text, data_bytes, path));
  FSA_ASSIGN_OR_RETURN(const std::shared_ptr<std::byte> data, read_data(source, data_bytes, path));

  SafetensorsFile file;
  file.path_ = path;
  file.metadata_ = std::move(header.metadata);
  file.data_ = data;
  for (SafetensorsEntry& e : header.entries) {
    file.index_[e.name] = file.tensors_.size();
    const std::span<const std::byte> bytes(data.get() + e.begin, e.end - e.begin);
    file.tensors_.push_back({std::move(e.name), std::move(e.dtype), std::move(e.shape), bytes});
  }
  return file;
}

const SafetensorsTensor* SafetensorsFile::find(std::string_view name) const {
  const auto it = index_.find(name);
  return it == index_.end() ? nullptr : &tensors_[it->second];
}

Result<const SafetensorsTensor*> SafetensorsFile::get(std::string_view name) const {
  if (const SafetensorsTensor* tensor = find(name)) return tensor;
  return make_error(ErrorKind::kNotFound, {.given = fmt::format("'{}' has no tensor '{}'", path_, name),
                                           .supported = fmt::format("{}", fmt::join(index_ | std::views::keys, ", "))});
}

Result<void> write_safetensors(const std::string& path, std::span<const SafetensorsTensor> tensors, const SafetensorsMetadata& metadata) {
  std::vector<SafetensorsTensor> sorted(tensors.begin(), tensors.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return safetensors_element_bytes(a.dtype) > safetensors_element_bytes(b.dtype); });
  FSA_ASSIGN_OR_RETURN(const std::string header, safetensors_header_text(sorted, metadata));
  const auto length = encode_length(header.size());
  std::vector<std::span<const std::byte>> parts{length, std::as_bytes(std::span(header))};
  for (const SafetensorsTensor& tensor : sorted) parts.push_back(tensor.data);
  return write_file_atomically(path, parts, FileMode::kShared);
}

}  // namespace fsa
