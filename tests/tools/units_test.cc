#include "tools/fsa/units.h"

#include <gtest/gtest.h>

namespace fsa::cli {
namespace {

using Counts = std::vector<std::int64_t>;

TEST(Units, CountsAreCommaSeparatedWithBinaryUnits) {
  EXPECT_EQ(*parse_counts("1,8k,2K,1m", "--seqlen"), (Counts{1, 8192, 2048, 1048576}));
}

TEST(Units, WhatIsNoPositiveCountIsRefusedWithTheFlagsName) {
  for (const char* text : {"", "0", "-1", "8g", "k", "8k,", "1.5k", "8 k", "2147483648", "99999999999999999999", "4096m"}) {
    const auto counts = parse_counts(text, "--seqlen");
    ASSERT_FALSE(counts.ok()) << text;
    EXPECT_EQ(counts.error().kind, ErrorKind::kInvalidArgument);
    EXPECT_NE(counts.error().given.find("--seqlen"), std::string::npos);
  }
}

TEST(Units, FormattedCountsAreReadBackEqual) {
  for (const std::int64_t count : {1, 1000, 1024, 65536, 1048576, 1536}) EXPECT_EQ(*parse_counts(format_count(count), ""), Counts{count});
}

TEST(Units, TimesAndSizesGetAUnitThatFits) {
  EXPECT_EQ(format_seconds(4.56e-5), "45.6 us");
  EXPECT_EQ(format_seconds(0.00123), "1.23 ms");
  EXPECT_EQ(format_seconds(2), "2 s");
  EXPECT_EQ(format_bytes(512), "512 B");
  EXPECT_EQ(format_bytes(1.5 * 1024 * 1024), "1.5 MiB");
}

}  // namespace
}  // namespace fsa::cli
