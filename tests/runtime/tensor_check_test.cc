#include "runtime/tensor_check.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace fsa {
namespace {

const TensorSpec kRows{"q", Access::kRead, DType::kBF16, {4, 2, 16}, TensorLayout::kRows};

alignas(256) unsigned char memory[4096];

TensorView rows_view() { return TensorView::contiguous(memory, DType::kBF16, {4, 2, 16}); }

void expect_refused(const Result<void>& result, const std::string& word) {
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_NE(result.error().message().find(word), std::string::npos) << result.error().message();
  EXPECT_FALSE(result.error().supported.empty());
}

TEST(TensorCheck, TheStatedTensorIsAccepted) { EXPECT_TRUE(check_tensor(kRows, rows_view()).ok()); }

TEST(TensorCheck, FreeTokenAndHeadStridesAreAccepted) {
  TensorView view = rows_view();
  view.stride = {64, 24, 1, 0};
  EXPECT_TRUE(check_tensor(kRows, view).ok());
}

TEST(TensorCheck, AWrongDtypeNamesBothTypes) {
  TensorView view = rows_view();
  view.dtype = DType::kF16;
  expect_refused(check_tensor(kRows, view), "bf16 [4, 2, 16]");
}

TEST(TensorCheck, AWrongShapeIsRefused) { expect_refused(check_tensor(kRows, TensorView::contiguous(memory, DType::kBF16, {4, 2, 8})), "[4, 2, 8]"); }

TEST(TensorCheck, AStridedLastDimensionIsRefused) {
  TensorView view = rows_view();
  view.stride[2] = 2;
  expect_refused(check_tensor(kRows, view), "last dimension");
}

TEST(TensorCheck, AStrideThatBreaksAlignmentIsRefused) {
  TensorView view = rows_view();
  view.stride[0] = 33;
  expect_refused(check_tensor(kRows, view), "33");
}

TEST(TensorCheck, RowsThatAreFurtherApartThanKernelsCountAreRefused) {
  TensorView view = rows_view();
  view.stride[0] = std::int64_t{1} << 33;  // 3 * 16 GiB
  EXPECT_TRUE(check_tensor(kRows, view).ok());
  view.stride[0] = std::int64_t{1} << 34;
  expect_refused(check_tensor(kRows, view), "spans 96.0 GiB");
  view.stride[0] = std::int64_t{1} << 62;  // more than 64 bits count in bytes
  expect_refused(check_tensor(kRows, view), "spans");
}

TEST(TensorCheck, ANullPointerIsRefused) {
  TensorView view = rows_view();
  view.data = nullptr;
  expect_refused(check_tensor(kRows, view), "null");
}

TEST(TensorCheck, AMisalignedPointerIsRefused) {
  TensorView view = rows_view();
  view.data = memory + 2;
  expect_refused(check_tensor(kRows, view), "misaligned");
}

TEST(TensorCheck, AnEmptyTensorMayBeNull) {
  const TensorSpec empty{"q", Access::kRead, DType::kBF16, {0, 2, 16}};
  EXPECT_TRUE(check_tensor(empty, TensorView::contiguous(nullptr, DType::kBF16, {0, 2, 16})).ok());
}

TEST(TensorCheck, IndicesMustBePacked) {
  const TensorSpec indices{"block_indices", Access::kRead, DType::kI32, {1, 4, 2}};
  TensorView view = TensorView::contiguous(memory, DType::kI32, {1, 4, 2});
  EXPECT_TRUE(check_tensor(indices, view).ok());
  view.stride[1] = 4;
  expect_refused(check_tensor(indices, view), "contiguous");
}

TEST(TensorCheck, ScalarsMayBeBroadcastAndNeedTheirElementsAlignmentOnly) {
  const TensorSpec gates{"gates", Access::kRead, DType::kBF16, {4, 2, 3}, TensorLayout::kScalars};
  TensorView view = TensorView::contiguous(memory + 2, DType::kBF16, {4, 2, 3});
  EXPECT_TRUE(check_tensor(gates, view).ok());
  view.stride = {3, 0, 1, 0};
  EXPECT_TRUE(check_tensor(gates, view).ok());
  view.stride = {-3, 0, 1, 0};
  expect_refused(check_tensor(gates, view), "-3");
  view.stride = {6, 3, 2, 0};
  expect_refused(check_tensor(gates, view), "last dimension");
}

TEST(TensorCheck, AWorkspaceTooSmallNamesBothSizes) {
  expect_refused(check_workspace(1024, {memory, 512}), "1024");
  EXPECT_TRUE(check_workspace(1024, {memory, 1024}).ok());
}

TEST(TensorCheck, AWorkspaceMayBeNullOnlyWhenNothingIsNeeded) {
  EXPECT_TRUE(check_workspace(0, {}).ok());
  expect_refused(check_workspace(16, {nullptr, 4096}), "null");
}

TEST(TensorCheck, AMisalignedWorkspaceIsRefused) { expect_refused(check_workspace(16, {memory + 16, 1024}), "misaligned"); }

Result<void> lengths(std::vector<int> q, std::vector<int> k) { return check_cu_seqlens(q, k, 10, 20); }

TEST(CuSeqlens, SoundOnesAreAcceptedEmptySequencesIncluded) { EXPECT_TRUE(lengths({0, 0, 4, 10}, {0, 0, 4, 20}).ok()); }
TEST(CuSeqlens, OnesThatStartElsewhereAreRefused) { expect_refused(lengths({1, 10}, {0, 20}), "starts at 1"); }
TEST(CuSeqlens, DecreasingOnesAreRefused) { expect_refused(lengths({0, 6, 4, 10}, {0, 6, 12, 20}), "decreases from 6 to 4"); }
TEST(CuSeqlens, OverrunningOnesAreRefused) { expect_refused(lengths({0, 11}, {0, 20}), "ends at 11"); }
TEST(CuSeqlens, KeysThatFallShortAreRefused) { expect_refused(lengths({0, 10}, {0, 19}), "ends at 19"); }
TEST(CuSeqlens, MoreQueriesThanKeysAreRefused) { expect_refused(lengths({0, 8, 10}, {0, 7, 20}), "8 queries"); }

}  // namespace
}  // namespace fsa
