#include "cache/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

namespace fsa {
namespace {

constexpr auto kReplace = nlohmann::json::error_handler_t::replace;

/// Watches a parse for what the grammar allows and this library does not.
class ParseWatch {
 public:
  template <class J>
  bool see(int depth, typename J::parse_event_t event, const J& parsed) {
    using Event = typename J::parse_event_t;
    if (depth > kMaxJsonDepth) note(fmt::format("it nests deeper than {} levels", kMaxJsonDepth));
    if (event == Event::object_start) keys_.emplace_back();
    if (event == Event::object_end && !keys_.empty()) keys_.pop_back();
    if (event == Event::key) see_key(parsed.template get_ref<const std::string&>());
    return fault_.empty();
  }
  const std::string& fault() const { return fault_; }

 private:
  void see_key(const std::string& key) {
    if (!keys_.empty() && !keys_.back().insert(key).second) note(fmt::format("the key '{}' stands twice in one object", key));
  }
  void note(std::string fault) {
    if (fault_.empty()) fault_ = std::move(fault);
  }

  std::vector<std::set<std::string>> keys_;
  std::string fault_;
};

Error not_json(std::string_view what, std::string_view why) {
  return make_error(ErrorKind::kCorrupt, {.given = fmt::format("{} holds no valid JSON: {}", what, why)});
}

/// "[json.exception.parse_error.101] parse error at ..." without the library's own tag.
std::string_view plain(std::string_view message) {
  const auto end = message.find("] ");
  return message.starts_with('[') && end != std::string_view::npos ? message.substr(end + 2) : message;
}

template <class J>
Result<J> parse(std::string_view text, std::string_view what) {
  ParseWatch watch;
  try {
    J json = J::parse(text, [&](int depth, typename J::parse_event_t event, J& parsed) { return watch.see<J>(depth, event, parsed); });
    if (!watch.fault().empty()) return not_json(what, watch.fault());
    return json;
  } catch (const nlohmann::json::exception& e) {
    return not_json(what, plain(e.what()));
  }
}

}  // namespace

Result<Json> parse_json(std::string_view text, std::string_view what) { return parse<Json>(text, what); }

Result<nlohmann::json> parse_sorted_json(std::string_view text, std::string_view what) { return parse<nlohmann::json>(text, what); }

std::string dump_json(const Json& json) { return json.dump(-1, ' ', false, kReplace); }

std::string canonical_json(const Json& json) { return nlohmann::json(json).dump(-1, ' ', false, kReplace); }

bool equal_json(const Json& a, const Json& b) {
  if (a.is_object() && b.is_object()) {
    if (a.size() != b.size()) return false;
    for (auto it = a.begin(); it != a.end(); ++it)
      if (const auto other = b.find(it.key()); other == b.end() || !equal_json(*it, *other)) return false;
    return true;
  }
  if (a.is_array() && b.is_array()) return std::equal(a.begin(), a.end(), b.begin(), b.end(), equal_json);
  return a == b;
}

}  // namespace fsa
