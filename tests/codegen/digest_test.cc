#include "codegen/base/digest.h"

#include <gtest/gtest.h>

#include <string>

namespace fsa {
namespace {

std::string sha256_of(const std::string& text) { return sha256_hex(std::as_bytes(std::span(text))); }

TEST(Digest, Sha256IsTheStandardOne) {
  // FIPS 180-4 examples.
  EXPECT_EQ(sha256_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digest, HexSurvivesTheRoundTrip) {
  const Digest digest = DigestBuilder().field("some text").field(-7).finish();
  EXPECT_EQ(digest.hex().size(), 32u);
  const auto back = Digest::parse(digest.hex());
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, digest);
}

TEST(Digest, WhatIsNoDigestIsRefused) {
  const std::string good = Digest{}.hex();
  for (const char* lead : {"", "00", "g", " ", "-", "+"}) {
    const std::string bad = std::string(lead) + good.substr(1);
    EXPECT_FALSE(Digest::parse(bad)) << bad;
  }
}

TEST(Digest, FieldsDoNotRunIntoEachOther) {
  const Digest digest = DigestBuilder().field("ab").field("c").finish();
  EXPECT_NE(digest, DigestBuilder().field("a").field("bc").finish());
  EXPECT_NE(digest, DigestBuilder().field("abc").finish());
  EXPECT_NE(digest, DigestBuilder().field("ab").field("c").field("").finish());
  EXPECT_EQ(digest, DigestBuilder().field("ab").field("c").finish());
}

TEST(Digest, NumbersDiffer) { EXPECT_NE(DigestBuilder().field(1).finish(), DigestBuilder().field(-1).finish()); }

}  // namespace
}  // namespace fsa
