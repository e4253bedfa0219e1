#include "fsa/base/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "fsa/base/dtype.h"
#include "fsa/base/tensor_view.h"

namespace fsa {
namespace {

Result<int> half(int number) {
  if (number % 2)
    return make_error(ErrorKind::kInvalidArgument,
                      {.given = std::to_string(number) + " is odd", .supported = "even numbers", .remedy = "add one"});
  return number / 2;
}

Result<int> quarter(int number) {
  FSA_ASSIGN_OR_RETURN(const int first, half(number));
  FSA_ASSIGN_OR_RETURN(const int second, half(first));
  return second;
}

Result<void> check_quarter(int number) {
  FSA_RETURN_IF_ERROR(quarter(number));
  return {};
}

TEST(Result, HoldsAValueOrAnError) {
  EXPECT_TRUE(half(4).ok());
  EXPECT_EQ(*half(4), 2);
  ASSERT_FALSE(half(3));
  EXPECT_EQ(half(3).error().kind, ErrorKind::kInvalidArgument);
}

TEST(Result, ErrorsTravelUpUnchanged) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(6).error().given, "3 is odd");
  EXPECT_TRUE(check_quarter(8));
  EXPECT_EQ(check_quarter(7).error().given, "7 is odd");
}

TEST(Result, MovesValuesThatCannotBeCopied) {
  const auto make = []() -> Result<std::unique_ptr<int>> { return std::make_unique<int>(5); };
  const auto take = [&]() -> Result<int> {
    FSA_ASSIGN_OR_RETURN(const std::unique_ptr<int> pointer, make());
    return *pointer;
  };
  EXPECT_EQ(*take(), 5);
}

TEST(Error, TheMessageHoldsWhatWasGivenWhatIsSupportedAndTheRemedy) {
  EXPECT_EQ(half(3).error().message(), "3 is odd; supported: even numbers; to mend it: add one");
  EXPECT_EQ(make_error(ErrorKind::kIo, {.given = "disk full"}).message(), "disk full");
}

TEST(Error, KnowsWhereItWasMade) { EXPECT_NE(std::string(half(3).error().where.file_name()).find("result_test.cc"), std::string::npos); }

TEST(DType, NamesSurviveTheRoundTripAndSafetensorsSpellingsAreKnown) {
  for (DType d : {DType::kBF16, DType::kF16, DType::kF32, DType::kI32}) EXPECT_EQ(*parse_dtype(to_string(d)), d);
  EXPECT_EQ(*parse_dtype("BF16"), DType::kBF16);
  EXPECT_EQ(*parse_dtype("I32"), DType::kI32);
  const auto unknown = parse_dtype("f64");
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().given.find("f64"), std::string::npos);
}

TEST(TensorView, StridesOfAContiguousViewArePacked) {
  const auto view = TensorView::contiguous(nullptr, DType::kBF16, {5, 3, 8});
  EXPECT_EQ(view.stride[0], 24);
  EXPECT_EQ(view.stride[1], 8);
  EXPECT_EQ(view.stride[2], 1);
  EXPECT_EQ(view.num_elements(), 120);
  EXPECT_TRUE(view.is_contiguous());
  EXPECT_EQ(view.describe(), "bf16 [5, 3, 8]");
}

TEST(TensorView, ExtentsOfOneMayHaveAnyStride) {
  auto view = TensorView::contiguous(nullptr, DType::kF32, {5, 1, 8});
  view.stride[1] = 999;
  EXPECT_TRUE(view.is_contiguous());
  view.stride[0] = 16;
  EXPECT_FALSE(view.is_contiguous());
}

}  // namespace
}  // namespace fsa
