#include "templates/reference/numeric.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace fsa::reference {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(Numeric, EverySixteenBitPatternSurvivesTheRoundTrip) {
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    if (std::isnan(from_bf16(bits))) {
      EXPECT_TRUE(std::isnan(from_bf16(to_bf16(from_bf16(bits)))));
    } else {
      ASSERT_EQ(to_bf16(from_bf16(bits)), bits);
    }
    if (std::isnan(from_f16(bits))) {
      EXPECT_TRUE(std::isnan(from_f16(to_f16(from_f16(bits)))));
    } else {
      ASSERT_EQ(to_f16(from_f16(bits)), bits);
    }
  }
}

TEST(Numeric, KnownValuesAreExact) {
  EXPECT_EQ(from_bf16(0x3f80), 1.0f);
  EXPECT_EQ(from_bf16(0xc000), -2.0f);
  EXPECT_EQ(from_f16(0x3c00), 1.0f);
  EXPECT_EQ(from_f16(0x7bff), 65504.0f);
  EXPECT_EQ(from_f16(0x0001), 0x1p-24f);
  EXPECT_EQ(from_f16(0x8400), -0x1p-14f);
  EXPECT_EQ(from_f16(0xfc00), -kInfinity);
}

TEST(Numeric, TiesRoundToEven) {
  EXPECT_EQ(to_bf16(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_EQ(to_bf16(1.0f + 3 * 0x1p-8f), 0x3f82);
  EXPECT_EQ(to_bf16(std::nextafter(1.0f + 0x1p-8f, 2.0f)), 0x3f81);
  EXPECT_EQ(to_f16(1.0f + 0x1p-11f), 0x3c00);
  EXPECT_EQ(to_f16(1.0f + 3 * 0x1p-11f), 0x3c02);
  EXPECT_EQ(to_f16(0x1p-25f), 0x0000);
  EXPECT_EQ(to_f16(3 * 0x1p-25f), 0x0002);
}

TEST(Numeric, ValuesBetweenNeighboursRoundToTheNearer) {
  for (std::uint32_t i = 0; i < 0x7bff; ++i) {
    const float low = from_f16(static_cast<std::uint16_t>(i)), high = from_f16(static_cast<std::uint16_t>(i + 1)),
                middle = low + (high - low) / 2;
    ASSERT_EQ(to_f16(std::nextafter(middle, low)), i);
    ASSERT_EQ(to_f16(std::nextafter(middle, high)), i + 1);
    ASSERT_EQ(to_f16(-std::nextafter(middle, high)), 0x8000u + i + 1);
  }
}

TEST(Numeric, OverflowIsInfiniteAndNanStaysNan) {
  EXPECT_EQ(to_f16(65519.996f), 0x7bff);
  EXPECT_EQ(to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(to_f16(-1e30f), 0xfc00);
  EXPECT_EQ(to_bf16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_TRUE(std::isnan(from_bf16(to_bf16(std::bit_cast<float>(0x7f800001u)))));
  EXPECT_TRUE(std::isnan(from_f16(to_f16(std::bit_cast<float>(0xff800001u)))));
}

TEST(Numeric, ElementsAreStoredAndLoadedInEveryType) {
  std::vector<float> memory(4);
  for (DType dtype : {DType::kBF16, DType::kF16, DType::kF32}) {
    const auto view = TensorView::contiguous(memory.data(), dtype, {4});
    for (int i = 0; i < 4; ++i) store_element(view, i, 0.5f * static_cast<float>(i));
    for (int i = 0; i < 4; ++i) EXPECT_EQ(load_element(view, i), 0.5f * static_cast<float>(i)) << to_string(dtype);
  }
}

}  // namespace
}  // namespace fsa::reference
