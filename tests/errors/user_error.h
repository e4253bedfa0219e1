#pragma once
// Owns the check that an error helps: it has the kind, says what was given and what is supported, and is no internal one.
#include <gtest/gtest.h>

#include <string>

#include "fsa/base/result.h"

namespace fsa::test {

/// Expects an error of `kind` whose message holds every one of `parts`.
template <class T>
void expect_user_error(const Result<T>& result, ErrorKind kind, std::initializer_list<std::string_view> parts) {
  ASSERT_FALSE(result.ok());
  const Error& error = result.error();
  EXPECT_EQ(to_string(error.kind), to_string(kind)) << error.message();
  EXPECT_FALSE(error.given.empty());
  EXPECT_FALSE(error.supported.empty() && error.remedy.empty()) << error.message();
  for (const std::string_view part : parts)
    EXPECT_NE(error.message().find(part), std::string::npos) << "'" << part << "' is not in: " << error.message();
}

}  // namespace fsa::test
