#pragma once
// Owns MemberReader: reading the members of an untrusted JSON object by name and type, with the first fault kept.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/base/json.h"
#include "fsa/base/result.h"

namespace fsa {

/// Every getter returns a usable value; after the last one, fault() says what was missing or of the wrong type first.
class MemberReader {
 public:
  /// `json` must outlive the reader; anything but an object makes every required member missing.
  explicit MemberReader(const Json& json) : json_(json) {
    if (!json.is_object()) note("it is not a JSON object");
  }

  std::string text(const char* name) { return read<std::string>(name, true, {}, &Json::is_string, "a string"); }
  std::string text_or_empty(const char* name) { return read<std::string>(name, false, {}, &Json::is_string, "a string"); }
  std::int64_t integer(const char* name) { return read<std::int64_t>(name, true, 0, &Json::is_number_integer, "an integer"); }
  std::int64_t integer_or(const char* name, std::int64_t other) {
    return read<std::int64_t>(name, false, other, &Json::is_number_integer, "an integer");
  }
  double number_or(const char* name, double other) { return read<double>(name, false, other, &Json::is_number, "a number"); }
  Json object(const char* name) { return read<Json>(name, true, Json::object(), &Json::is_object, "an object"); }
  Json object_or_empty(const char* name) { return read<Json>(name, false, Json::object(), &Json::is_object, "an object"); }
  std::vector<std::string> texts(const char* name) { return read_texts(name, true); }
  std::vector<std::string> texts_or_none(const char* name) { return read_texts(name, false); }

  const std::string& fault() const { return fault_; }

 private:
  void note(std::string fault) {
    if (fault_.empty()) fault_ = std::move(fault);
  }

  const Json* member(const char* name, bool required) {
    const auto it = json_.is_object() ? json_.find(name) : json_.end();
    if (it != json_.end()) return &*it;
    if (required) note(std::string("'") + name + "' is missing");
    return nullptr;
  }

  template <class T>
  T read(const char* name, bool required, T other, bool (Json::*is_type)() const noexcept, const char* type) {
    const Json* value = member(name, required);
    if (value && (value->*is_type)()) return value->get<T>();
    if (value) note(std::string("'") + name + "' is not " + type);
    return other;
  }

  std::vector<std::string> read_texts(const char* name, bool required) {
    std::vector<std::string> list;
    const Json items = read<Json>(name, required, Json::array(), &Json::is_array, "a list");
    for (const Json& item : items) {
      if (item.is_string())
        list.push_back(item.get<std::string>());
      else
        note(std::string("'") + name + "' is not a list of strings");
    }
    return list;
  }

  const Json& json_;
  std::string fault_;
};

}  // namespace fsa
