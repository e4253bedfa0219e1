#include "codegen/fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace fsa::detail {

namespace {

const EnumName* find_enumerator(const FieldKind& kind, double value) {
  for (const EnumName& n : kind.enum_names)
    if (static_cast<double>(n.value) == value) return &n;
  return nullptr;
}

Error wrong_value(std::string_view field, const Json& value, std::string supported) {
  return make_error(ErrorKind::kInvalidArgument, {.given = fmt::format("{} is {}", field, value.dump()), .supported = std::move(supported)});
}

}  // namespace

Json field_to_json(const FieldKind& kind, double value) {
  if (const EnumName* n = find_enumerator(kind, value)) return std::string(n->json);
  if (kind.real) return value;
  return static_cast<std::int64_t>(value);
}

Result<double> field_from_json(const FieldKind& kind, const Json& value, std::string_view field) {
  if (kind.real) return value.is_number() ? Result<double>(value.get<double>()) : wrong_value(field, value, "a number");
  if (kind.enum_names.empty())
    return value.is_number_integer() ? Result<double>(static_cast<double>(value.get<std::int64_t>())) : wrong_value(field, value, "an integer");
  std::vector<std::string_view> spellings;
  for (const EnumName& n : kind.enum_names) {
    if (value.is_string() && value.get_ref<const std::string&>() == n.json) return static_cast<double>(n.value);
    spellings.push_back(n.json);
  }
  return wrong_value(field, value, fmt::format("{}", fmt::join(spellings, ", ")));
}

std::string field_to_cpp(const FieldKind& kind, double value) {
  if (const EnumName* n = find_enumerator(kind, value)) return std::string(n->cpp);
  if (kind.real) return fmt::format("{}", value);
  return std::to_string(static_cast<std::int64_t>(value));
}

Error unknown_field(std::string_view what, std::string_view field, const std::vector<std::string_view>& known) {
  return make_error(ErrorKind::kInvalidArgument,
                    {.given = fmt::format("the {} has a field '{}'", what, field), .supported = fmt::format("{}", fmt::join(known, ", "))});
}

Error not_an_object(std::string_view what, const Json& value) {
  return make_error(ErrorKind::kInvalidArgument,
                    {.given = fmt::format("the {} is {}", what, value.dump()), .supported = "a JSON object of named fields"});
}

}  // namespace fsa::detail
