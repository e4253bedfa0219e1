#include "tools/fsa/exit_code.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace fsa::cli {
namespace {

constexpr ErrorKind kKinds[] = {ErrorKind::kInvalidArgument, ErrorKind::kUnsupported, ErrorKind::kNotFound, ErrorKind::kUnavailable,
                                ErrorKind::kCompile,         ErrorKind::kDevice,      ErrorKind::kIo,       ErrorKind::kCorrupt,
                                ErrorKind::kTimeout,         ErrorKind::kCancelled,   ErrorKind::kInternal};

TEST(ExitCode, EveryKindOfErrorHasACodeOfItsOwnThatIsDocumented) {
  std::set<int> codes;
  for (const ErrorKind kind : kKinds) {
    codes.insert(exit_code(kind));
    EXPECT_TRUE(std::ranges::any_of(exit_codes(), [&](const ExitCode& e) { return e.code == exit_code(kind); })) << to_string(kind);
  }
  EXPECT_EQ(codes.size(), std::size(kKinds));
  EXPECT_FALSE(codes.contains(kOk));
  EXPECT_FALSE(codes.contains(kCheckFailed));
}

TEST(ExitCode, HelpListsTheWholeTable) {
  for (const ExitCode& e : exit_codes()) EXPECT_NE(exit_code_help().find(e.meaning), std::string::npos);
}

}  // namespace
}  // namespace fsa::cli
