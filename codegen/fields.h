#pragma once
// Owns field tables: the one list of an aggregate's members that JSON, generated source and messages are made from.
#include <concepts>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "codegen/base/json.h"
#include "fsa/base/result.h"

namespace fsa {

/// One enumerator: its value, its name in JSON and its spelling in generated source.
struct EnumName {
  std::int64_t value;
  std::string_view json;
  std::string_view cpp;
};

/// How a field's value is spelt: an integer, a real number, or one of a list of enumerators.
struct FieldKind {
  bool real = false;
  std::vector<EnumName> enum_names;  ///< empty for numbers
};

/// One number or enum member of `Owner`. Values travel as double while erased: exact for every integer below 2^53.
template <class Owner>
class Field {
 public:
  template <class Member>
  Field(std::string_view name, Member Owner::* member, std::vector<EnumName> enum_names = {})
      : name_(name) {
    static_assert(std::is_arithmetic_v<Member> || std::is_enum_v<Member>, "a field is a number or an enum");
    if constexpr (std::is_enum_v<Member>) {
      get_ = [member](const Owner& o) { return static_cast<double>(static_cast<std::int64_t>(o.*member)); };
      set_ = [member](Owner& o, double v) { o.*member = static_cast<Member>(static_cast<std::int64_t>(v)); };
    } else {
      get_ = [member](const Owner& o) { return static_cast<double>(o.*member); };
      set_ = [member](Owner& o, double v) { o.*member = static_cast<Member>(v); };
    }
    kind_ = {std::is_floating_point_v<Member>, std::move(enum_names)};
  }

  /// A base's field, as a field of what derives from it.
  template <class Base>
    requires(std::derived_from<Owner, Base> && !std::same_as<Owner, Base>)
  Field(const Field<Base>& base)
      : name_(base.name()),
        kind_(base.kind()),
        get_([base](const Owner& o) { return base.get(o); }),
        set_([base](Owner& o, double v) { base.set(o, v); }) {}

  std::string_view name() const { return name_; }
  const FieldKind& kind() const { return kind_; }
  double get(const Owner& o) const { return get_(o); }
  void set(Owner& o, double v) const { set_(o, v); }

 private:
  std::string_view name_;
  FieldKind kind_;
  std::function<double(const Owner&)> get_;
  std::function<void(Owner&, double)> set_;
};

template <class Owner>
using FieldTable = std::vector<Field<Owner>>;

namespace detail {
/// A field value as JSON: the enumerator's name where there is one, else the number.
Json field_to_json(const FieldKind& kind, double value);
/// The inverse; an unknown enumerator or a non-integer is an error that names `field` and the legal spellings.
Result<double> field_from_json(const FieldKind& kind, const Json& value, std::string_view field);
/// The value as it stands in generated source.
std::string field_to_cpp(const FieldKind& kind, double value);
Error unknown_field(std::string_view what, std::string_view field, const std::vector<std::string_view>& known);
Error not_an_object(std::string_view what, const Json& value);
}  // namespace detail

/// The names, in declaration order.
template <class Owner>
std::vector<std::string_view> field_names(const FieldTable<Owner>& fields) {
  std::vector<std::string_view> names;
  for (const auto& f : fields) names.push_back(f.name());
  return names;
}

template <class Owner>
Json to_json(const FieldTable<Owner>& fields, const Owner& owner) {
  Json json = Json::object();
  for (const auto& f : fields) json[std::string(f.name())] = detail::field_to_json(f.kind(), f.get(owner));
  return json;
}

/// Reads an aggregate. A missing member keeps its default (older files stay readable); an unknown one is an error.
/// `what` names the aggregate in messages, e.g. "config of selected_block_major".
template <class Owner>
Result<Owner> from_json(const FieldTable<Owner>& fields, const Json& json, std::string_view what) {
  if (!json.is_object()) return detail::not_an_object(what, json);
  Owner owner{};
  for (const auto& [key, value] : json.items()) {
    const Field<Owner>* found = nullptr;
    for (const auto& f : fields)
      if (f.name() == key) found = &f;
    if (!found) {
      std::vector<std::string_view> known;
      for (const auto& f : fields) known.push_back(f.name());
      return detail::unknown_field(what, key, known);
    }
    FSA_ASSIGN_OR_RETURN(const double number, detail::field_from_json(found->kind(), value, key));
    found->set(owner, number);
  }
  return owner;
}

/// ".rows = 64, .partial = Partial::kF16": the designated initialisers of generated source, in declaration order.
template <class Owner>
std::string to_initializers(const FieldTable<Owner>& fields, const Owner& owner) {
  std::string text;
  for (const auto& f : fields) {
    if (!text.empty()) text += ", ";
    text += '.';
    text += f.name();
    text += " = ";
    text += detail::field_to_cpp(f.kind(), f.get(owner));
  }
  return text;
}

/// The values as the 32-bit words that a CPU kernel's `Constants` aggregate is made of, in declaration order.
template <class Owner>
std::vector<std::uint32_t> to_words(const FieldTable<Owner>& fields, const Owner& owner) {
  std::vector<std::uint32_t> words;
  for (const auto& f : fields) words.push_back(static_cast<std::uint32_t>(static_cast<std::int32_t>(f.get(owner))));
  return words;
}

}  // namespace fsa
