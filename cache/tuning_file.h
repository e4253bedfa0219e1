#pragma once
// Owns the text of tuning.json: its schema version, its layout, and merging entries without losing anyone else's.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cache/tuning_entry.h"
#include "codegen/base/json.h"
#include "fsa/base/result.h"

namespace fsa {

inline constexpr int kTuningSchema = 1;

/// A document without entries.
Json empty_tuning_document();

/// The document in `text`. Not JSON, or without "schema" and "entries", is kCorrupt; a schema of a later library is
/// kUnsupported, and the file must then be left alone. `path` is for messages.
Result<Json> parse_tuning_document(std::string_view text, const std::string& path);

/// One member of an entry per line: a person reads it, and a diff shows what changed.
std::string tuning_document_text(const Json& document);

struct TuningEntries {
  std::vector<TuningEntry> entries;
  std::vector<std::string> warnings;  ///< one sentence per entry that was skipped, naming it and the reason
};
/// The readable entries of a document, in order.
TuningEntries read_tuning_entries(const Json& document, const std::string& path);

/// Puts each entry in the place of the one with the same key unless that one has a later date, else at the end. Everything
/// else in the document stays as it is: other devices, members this library does not know, entries it cannot read.
void merge_tuning_entries(Json& document, std::span<const TuningEntry> entries);

}  // namespace fsa
