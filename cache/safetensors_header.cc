#include "cache/safetensors_header.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>
#include <ranges>
#include <set>
#include <utility>

#include "cache/json_text.h"

namespace fsa {
namespace {

using SortedJson = nlohmann::json;

constexpr std::string_view kMetadataKey = "__metadata__";

constexpr std::array<std::pair<std::string_view, std::size_t>, 15> kDTypes{{{"BOOL", 1},
                                                                            {"U8", 1},
                                                                            {"I8", 1},
                                                                            {"F8_E4M3", 1},
                                                                            {"F8_E5M2", 1},
                                                                            {"U16", 2},
                                                                            {"I16", 2},
                                                                            {"F16", 2},
                                                                            {"BF16", 2},
                                                                            {"U32", 4},
                                                                            {"I32", 4},
                                                                            {"F32", 4},
                                                                            {"U64", 8},
                                                                            {"I64", 8},
                                                                            {"F64", 8}}};

std::string known_dtypes() { return fmt::format("{}", fmt::join(kDTypes | std::views::keys, ", ")); }

Error corrupt(const std::string& path, std::string fault, std::string supported = {}) {
  return make_error(ErrorKind::kCorrupt, {.given = fmt::format("'{}' is not a valid safetensors file: {}", path, fault),
                                          .supported = std::move(supported),
                                          .remedy = "write the file again"});
}

/// A list of exact non-negative integers below 2^63; false otherwise.
bool read_integers(const SortedJson& json, std::vector<std::int64_t>& out) {
  if (!json.is_array()) return false;
  for (const SortedJson& item : json) {
    if (!item.is_number_unsigned() || item.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      return false;
    out.push_back(item.get<std::int64_t>());
  }
  return true;
}

/// What is wrong with one tensor's JSON, or empty after filling `entry`.
std::string read_entry(const SortedJson& json, SafetensorsEntry& entry) {
  if (!json.is_object() || !json.contains("dtype") || !json.contains("shape") || !json.contains("data_offsets"))
    return "it lacks dtype, shape or data_offsets";
  if (!json["dtype"].is_string()) return "its dtype is not a string";
  entry.dtype = json["dtype"].get<std::string>();
  std::vector<std::int64_t> offsets;
  if (!read_integers(json["shape"], entry.shape)) return "its shape is not a list of non-negative integers";
  if (!read_integers(json["data_offsets"], offsets) || offsets.size() != 2 || offsets[0] > offsets[1])
    return "its data_offsets are not two ascending non-negative integers";
  entry.begin = static_cast<std::uint64_t>(offsets[0]);
  entry.end = static_cast<std::uint64_t>(offsets[1]);
  return {};
}

std::string size_fault(const SafetensorsEntry& e) {
  std::uint64_t bytes = 0;
  if (!safetensors_bytes(e.dtype, e.shape, bytes)) return "its shape is larger than any memory";
  if (bytes != e.end - e.begin) return fmt::format("its shape needs {} bytes but its data_offsets span {}", bytes, e.end - e.begin);
  return {};
}

Result<SafetensorsEntry> parse_entry(const std::string& name, const SortedJson& json, const std::string& path) {
  SafetensorsEntry entry{.name = name, .dtype = {}, .shape = {}};
  const auto fail = [&](const std::string& fault, std::string supported = {}) {
    return corrupt(path, fmt::format("tensor '{}': {}", name, fault), std::move(supported));
  };
  if (const std::string fault = read_entry(json, entry); !fault.empty()) return fail(fault);
  if (safetensors_element_bytes(entry.dtype) == 0) return fail(fmt::format("its dtype is '{}'", entry.dtype), known_dtypes());
  if (const std::string fault = size_fault(entry); !fault.empty()) return fail(fault);
  return entry;
}

Result<SafetensorsMetadata> parse_metadata(const SortedJson& json, const std::string& path) {
  if (!json.is_object()) return corrupt(path, "__metadata__ is not an object");
  SafetensorsMetadata metadata;
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) return corrupt(path, fmt::format("the metadata '{}' is not a string", key));
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

/// Tensors must cover the data exactly, so that no byte of a file has two meanings or none.
Result<void> check_cover(std::vector<SafetensorsEntry>& entries, std::uint64_t data_bytes, const std::string& path) {
  // Equal begins (empty tensors) sort by end, so that an empty one never looks like an overlap.
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  std::uint64_t covered = 0;
  for (const SafetensorsEntry& e : entries) {
    if (e.end > data_bytes)
      return corrupt(
          path, fmt::format("tensor '{}' ends at byte {} of the data but the file holds {}: it is truncated", e.name, e.end, data_bytes));
    if (e.begin < covered) return corrupt(path, fmt::format("tensor '{}' overlaps the one before it", e.name));
    if (e.begin > covered) return corrupt(path, fmt::format("{} bytes before tensor '{}' belong to no tensor", e.begin - covered, e.name));
    covered = e.end;
  }
  if (covered != data_bytes) return corrupt(path, fmt::format("{} bytes after the last tensor belong to none", data_bytes - covered));
  return {};
}

std::string entry_text(const SafetensorsTensor& tensor, std::uint64_t begin) {
  Json json;
  json["dtype"] = tensor.dtype;
  json["shape"] = tensor.shape;
  json["data_offsets"] = {begin, begin + tensor.data.size()};
  return dump_json(tensor.name) + ":" + dump_json(json);
}

Error bad_tensor(const SafetensorsTensor& tensor, std::string fault, std::string supported = {}) {
  return make_error(ErrorKind::kInvalidArgument,
                    {.given = fmt::format("tensor '{}' cannot be written: {}", tensor.name, fault), .supported = std::move(supported)});
}

Result<void> check_writable(const SafetensorsTensor& tensor, std::set<std::string_view>& names) {
  std::uint64_t bytes = 0;
  if (tensor.name == kMetadataKey || !names.insert(tensor.name).second) return bad_tensor(tensor, "the name is taken");
  if (safetensors_element_bytes(tensor.dtype) == 0)
    return bad_tensor(tensor, fmt::format("its dtype is '{}'", tensor.dtype), known_dtypes());
  if (!safetensors_bytes(tensor.dtype, tensor.shape, bytes) || bytes != tensor.data.size())
    return bad_tensor(tensor, fmt::format("{} bytes of data do not fit its dtype and shape", tensor.data.size()));
  return {};
}

}  // namespace

std::size_t safetensors_element_bytes(std::string_view dtype) {
  for (const auto& [name, bytes] : kDTypes)
    if (name == dtype) return bytes;
  return 0;
}

bool safetensors_bytes(std::string_view dtype, std::span<const std::int64_t> shape, std::uint64_t& bytes) {
  std::int64_t product = static_cast<std::int64_t>(safetensors_element_bytes(dtype));
  // An extent of 0 anywhere makes the tensor empty, however large the others are.
  const bool empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
  for (const std::int64_t extent : shape)
    if (extent < 0 || (!empty && __builtin_mul_overflow(product, extent, &product))) return false;
  bytes = empty ? 0 : static_cast<std::uint64_t>(product);
  return true;
}

Result<SafetensorsHeader> parse_safetensors_header(std::string_view text, std::uint64_t data_bytes, const std::string& path) {
  FSA_ASSIGN_OR_RETURN(const SortedJson json, parse_sorted_json(text, fmt::format("the header of '{}'", path)));
  if (!json.is_object()) return corrupt(path, "the header is not a JSON object");
  SafetensorsHeader header;
  for (const auto& [name, value] : json.items()) {
    if (name == kMetadataKey) {
      FSA_ASSIGN_OR_RETURN(header.metadata, parse_metadata(value, path));
    } else {
      FSA_ASSIGN_OR_RETURN(SafetensorsEntry entry, parse_entry(name, value, path));
      header.entries.push_back(std::move(entry));
    }
  }
  FSA_RETURN_IF_ERROR(check_cover(header.entries, data_bytes, path));
  return header;
}

Result<std::string> safetensors_header_text(std::span<const SafetensorsTensor> tensors, const SafetensorsMetadata& metadata) {
  // Text is joined by hand: inserting thousands of members into one ordered object takes quadratic time.
  std::string text = "{";
  if (!metadata.empty()) text += fmt::format("\"{}\":{}", kMetadataKey, dump_json(Json(metadata)));
  std::set<std::string_view> names;
  std::uint64_t begin = 0;
  for (const SafetensorsTensor& tensor : tensors) {
    FSA_RETURN_IF_ERROR(check_writable(tensor, names));
    if (text.size() > 1) text += ',';
    text += entry_text(tensor, begin);
    begin += tensor.data.size();
  }
  text += "}";
  constexpr std::size_t kLengthBytes = 8, kAlignment = 64;
  text.append((kAlignment - (text.size() + kLengthBytes) % kAlignment) % kAlignment, ' ');
  return text;
}

}  // namespace fsa
