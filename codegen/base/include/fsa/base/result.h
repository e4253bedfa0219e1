#pragma once
// Owns Result<T>: a value or an Error.
#include <cassert>
#include <optional>
#include <utility>
#include <variant>

#include "fsa/base/error.h"

namespace fsa {

/// A value of type T, or the Error that kept it from being made. `if (!r) return r.error();` is the idiom.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  /// Precondition: ok().
  T& value() & { assert(ok()); return *std::get_if<0>(&state_); }
  const T& value() const& { assert(ok()); return *std::get_if<0>(&state_); }
  T&& value() && { assert(ok()); return std::move(*std::get_if<0>(&state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  /// Precondition: !ok().
  const Error& error() const { assert(!ok()); return *std::get_if<1>(&state_); }

 private:
  std::variant<T, Error> state_;
};

/// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return ok(); }
  /// Precondition: !ok().
  const Error& error() const { assert(!ok()); return *error_; }

 private:
  std::optional<Error> error_;
};

}  // namespace fsa

/// Returns the error of `expression` (a Result) from the enclosing function, if it holds one.
#define FSA_RETURN_IF_ERROR(expression)                                  \
  do {                                                                   \
    if (auto fsa_result = (expression); !fsa_result) return fsa_result.error(); \
  } while (false)

/// Declares `lhs` from the value of `expression` (a Result) or returns its error from the enclosing function.
#define FSA_ASSIGN_OR_RETURN(lhs, expression) FSA_ASSIGN_OR_RETURN_IMPL_(FSA_CONCAT_(fsa_result_, __LINE__), lhs, expression)
#define FSA_ASSIGN_OR_RETURN_IMPL_(tmp, lhs, expression) \
  auto tmp = (expression);                               \
  if (!tmp) return tmp.error();                          \
  lhs = std::move(tmp).value()
#define FSA_CONCAT_(a, b) FSA_CONCAT_IMPL_(a, b)
#define FSA_CONCAT_IMPL_(a, b) a##b
