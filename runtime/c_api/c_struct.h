#pragma once
// Owns the reading and writing of the C interface's structs, whose first member says how much of them the caller knows.
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <type_traits>

#include "runtime/c_api/c_error.h"

namespace fsa::c_api {

inline Error wrong_size(std::string_view name, std::size_t size, std::size_t known) {
  return make_error(ErrorKind::kInvalidArgument,
                    {.given = fmt::format("{}.size is {}", name, size),
                     .supported = fmt::format("sizeof the struct, {} in this version, the rest zero before it is filled in", known),
                     .remedy = "set the member `size` to sizeof the struct"});
}

/// A caller's options, null for none; what an older caller does not know is zero. Members of a newer header than this
/// library's have to be zero, as what they ask for would be passed over in silence.
template <class Struct>
Result<Struct> read_struct(const Struct* given, std::string_view name) {
  static_assert(std::is_trivially_copyable_v<Struct> && offsetof(Struct, size) == 0);
  Struct known{};
  if (!given) return known;
  if (given->size < sizeof(std::size_t)) return wrong_size(name, given->size, sizeof(Struct));
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  if (given->size > sizeof(Struct) && std::any_of(bytes + sizeof(Struct), bytes + given->size, [](unsigned char b) { return b != 0; }))
    return make_error(ErrorKind::kUnsupported, {.given = fmt::format("{} sets a member that this library does not know", name),
                                                .supported = fmt::format("the {} bytes of fsa {}", sizeof(Struct), fsa_version()),
                                                .remedy = "leave newer members zero, or use the library that the header came with"});
  std::memcpy(&known, given, std::min(given->size, sizeof(Struct)));
  return known;
}

/// Fills in what the caller knows of a struct and leaves its size.
template <class Struct>
Result<void> write_struct(Struct value, Struct* out, std::string_view name) {
  static_assert(std::is_trivially_copyable_v<Struct> && offsetof(Struct, size) == 0);
  if (!out) return null_argument(name);
  if (out->size < sizeof(std::size_t)) return wrong_size(name, out->size, sizeof(Struct));
  value.size = out->size;
  std::memcpy(out, &value, std::min(out->size, sizeof(Struct)));
  return {};
}

}  // namespace fsa::c_api
