#pragma once
// Owns the way from untrusted text to JSON and back without exceptions.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "codegen/base/json.h"
#include "fsa/base/result.h"

namespace fsa {

/// Nesting that no file of this library comes near; deeper text is rejected, because writing JSON out again recurses.
inline constexpr int kMaxJsonDepth = 32;

/// Parses `text`, keeping the order of members. Bad syntax, bad UTF-8, a repeated key or deep nesting is kCorrupt;
/// `what` opens the message, e.g. "/path/tuning.json".
Result<Json> parse_json(std::string_view text, std::string_view what);

/// The same into sorted objects, whose insertion stays fast when a hostile file has millions of keys.
Result<nlohmann::json> parse_sorted_json(std::string_view text, std::string_view what);

/// One line; invalid UTF-8 is replaced and never throws.
std::string dump_json(const Json& json);

/// One line with members sorted by name: equal values give equal text whatever their order.
std::string canonical_json(const Json& json);

/// Equality that ignores the order of members at every depth (operator== of Json does not). Allocates nothing.
bool equal_json(const Json& a, const Json& b);

}  // namespace fsa
