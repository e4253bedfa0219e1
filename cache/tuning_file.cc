#include "cache/tuning_file.h"

#include <fmt/format.h>

#include <unordered_map>
#include <utility>

#include "cache/json_text.h"

namespace fsa {
namespace {

Error damaged(const std::string& path, std::string fault) {
  return make_error(ErrorKind::kCorrupt, {.given = fmt::format("the tuning cache '{}' is damaged: {}", path, fault),
                                          .remedy = "repair the file, or move it away and run 'fsa tune' again"});
}

Error from_the_future(const std::string& path, const Json& schema) {
  return make_error(
      ErrorKind::kUnsupported,
      {.given = fmt::format("the tuning cache '{}' has schema {}, written by a later version of this library; it is left as it is", path,
                            dump_json(schema)),
       .supported = fmt::format("schema {}", kTuningSchema),
       .remedy = "update this library, or set FSA_CACHE_DIR to another folder"});
}

/// "entry 3 of '/path/tuning.json' (selected_attention)"
std::string name_of(const Json& entry, std::size_t position, const std::string& path) {
  const bool named = entry.is_object() && entry.contains("op") && entry["op"].is_string();
  return fmt::format("entry {} of '{}'{}", position + 1, path, named ? " (" + entry["op"].get<std::string>() + ")" : "");
}

void append_entry(std::string& text, const Json& entry) {
  if (!entry.is_object() || entry.empty()) {
    text += "    " + dump_json(entry);
    return;
  }
  text += "    {";
  const char* separator = "\n";
  for (const auto& [name, value] : entry.items()) {
    text += fmt::format("{}      {}: {}", separator, dump_json(name), dump_json(value));
    separator = ",\n";
  }
  text += "\n    }";
}

void append_entries(std::string& text, const Json& entries) {
  text += "[";
  const char* separator = "\n";
  for (const Json& entry : entries) {
    text += separator;
    append_entry(text, entry);
    separator = ",\n";
  }
  text += entries.empty() ? "]" : "\n  ]";
}

/// Canonical key -> position. An unreadable entry has no key; of equal keys the last counts.
std::unordered_map<std::string, std::size_t> positions(const Json& entries) {
  std::unordered_map<std::string, std::size_t> map;
  for (std::size_t i = 0; i < entries.size(); ++i)
    if (const auto entry = TuningEntry::parse(entries[i], "")) map[entry->key.canonical()] = i;
  return map;
}

std::string date_of(const Json& entry) {
  const auto parsed = TuningEntry::parse(entry, "");
  return parsed ? parsed->provenance.date : std::string();
}

}  // namespace

Json empty_tuning_document() {
  return {{"about", "fsa tuning cache: the fastest configurations measured on this machine"},
          {"schema", kTuningSchema},
          {"entries", Json::array()}};
}

Result<Json> parse_tuning_document(std::string_view text, const std::string& path) {
  auto document = parse_json(text, "it");
  if (!document) return damaged(path, document.error().given);
  if (!document->is_object() || !document->contains("schema") || !(*document)["schema"].is_number_integer())
    return damaged(path, "it states no schema");
  const Json& schema = (*document)["schema"];
  if (schema > kTuningSchema) return from_the_future(path, schema);
  if (schema < 1) return damaged(path, "its schema is less than 1");
  if (!document->contains("entries") || !(*document)["entries"].is_array()) return damaged(path, "it has no list of entries");
  return std::move(document).value();
}

std::string tuning_document_text(const Json& document) {
  std::string text = "{";
  const char* separator = "\n";
  for (const auto& [name, value] : document.items()) {
    text += fmt::format("{}  {}: ", separator, dump_json(name));
    if (name == "entries")
      append_entries(text, value);
    else
      text += dump_json(value);
    separator = ",\n";
  }
  return text + "\n}\n";
}

TuningEntries read_tuning_entries(const Json& document, const std::string& path) {
  TuningEntries result;
  const Json& list = document["entries"];
  for (std::size_t i = 0; i < list.size(); ++i) {
    auto entry = TuningEntry::parse(list[i], name_of(list[i], i, path));
    if (entry)
      result.entries.push_back(std::move(entry).value());
    else
      result.warnings.push_back(entry.error().given + "; it is skipped and kept in the file");
  }
  return result;
}

void merge_tuning_entries(Json& document, std::span<const TuningEntry> entries) {
  Json& list = document["entries"];
  auto known = positions(list);
  for (const TuningEntry& entry : entries) {
    const auto [it, added] = known.try_emplace(entry.key.canonical(), list.size());
    if (added)
      list.push_back(entry.to_json());
    else if (date_of(list[it->second]) <= entry.provenance.date)
      list[it->second] = entry.to_json();
  }
}

}  // namespace fsa
