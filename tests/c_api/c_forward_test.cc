// The C interface's forward call: tensors that do not fit are refused with nothing run; a call allocates nothing.
#include <atomic>
#include <cmath>
#include <thread>

#include "tests/c_api/c_fixture.h"
#include "tests/runtime/allocation_counter.h"

namespace fsa::test {
namespace {

/// All keys are alike, so a query's output is the mean of the values it sees: of block 0 of its sequence, up to itself.
void expect_means(const OwnedTensor& v, const OwnedTensor& o) {
  for (int t = 0; t < 64; ++t) {
    const int first = t < 24 ? 0 : 24, last = std::min(t, first + 31);
    for (int h = 0; h < 4; ++h)
      for (int d = 0; d < 64; ++d) {
        double sum = 0;
        for (int p = first; p <= last; ++p) sum += v.floats[static_cast<std::size_t>((p * 2 + h / 2) * 64 + d)];
        ASSERT_NEAR(o.floats[static_cast<std::size_t>((t * 4 + h) * 64 + d)], sum / (last - first + 1), 1e-4) << t << " " << h << " " << d;
      }
  }
}

TEST_F(CForward, ComputesAndValidates) {
  for (std::size_t i = 0; i < blocks.ints.size(); ++i) blocks.ints[i] = i % 4 == 0 ? 0 : -1;
  EXPECT_EQ(fsa_plan_validate(plan, order.data(), count), FSA_OK) << fsa_last_error_message();
  ASSERT_EQ(forward(), FSA_OK) << fsa_last_error_message();
  expect_means(v, o);
}

TEST_F(CForward, TakesStridesAndAByteOffset) {
  for (std::size_t i = 0; i < blocks.ints.size(); ++i) blocks.ints[i] = i % 4 == 0 ? 0 : -1;
  std::vector<float> wide(64 * 160 + 16);  // rows of 2 heads of 80, of which 64 count, behind 16 more floats
  for (int t = 0; t < 64; ++t)
    for (int h = 0; h < 2; ++h)
      for (int d = 0; d < 64; ++d)
        wide[static_cast<std::size_t>(16 + t * 160 + h * 80 + d)] = v.floats[static_cast<std::size_t>((t * 2 + h) * 64 + d)];
  v.dl.data = wide.data();
  v.dl.byte_offset = 16 * sizeof(float);
  v.set_strides({160, 80, 1});
  ASSERT_EQ(forward(), FSA_OK) << fsa_last_error_message();
  expect_means(v, o);
}

TEST_F(CForward, TakesPinnedAndManagedMemoryOnTheCpu) {
  q.dl.device = {kDLCUDAHost, 0};
  k.dl.device = {kDLCUDAManaged, 3};
  EXPECT_EQ(forward(), FSA_OK) << fsa_last_error_message();
}

TEST_F(CForward, AllocatesNothing) {
  ASSERT_EQ(forward(), FSA_OK) << fsa_last_error_message();
  const long before = allocation_count();
  for (int i = 0; i < 20; ++i) ASSERT_EQ(forward(), FSA_OK);
  EXPECT_EQ(allocation_count() - before, 0);
}

TEST_F(CForward, ThreadsShareAPlanWithAWorkspaceEach) {
  for (std::size_t i = 0; i < blocks.ints.size(); ++i) blocks.ints[i] = i % 4 == 0 ? 0 : -1;
  OwnedTensor other_o({64, 4, 64}, false), other_lse({4, 64}, false);
  std::vector<char> other_memory(bytes + 256);
  auto other_order = order;
  other_order[6] = &other_o.dl;
  other_order[7] = &other_lse.dl;
  std::atomic<int> failures{0};
  std::thread other([&] {
    void* mine = other_memory.data() + (256 - reinterpret_cast<std::uintptr_t>(other_memory.data()) % 256);
    for (int i = 0; i < 50; ++i) failures += fsa_plan_forward(plan, other_order.data(), count, mine, bytes, nullptr) != FSA_OK;
  });
  for (int i = 0; i < 50; ++i) failures += forward() != FSA_OK;
  other.join();
  EXPECT_EQ(failures, 0);
  expect_means(v, o);
  expect_means(v, other_o);
}

TEST_F(CForward, TheWrongNumberOfTensors) {
  count = 7;
  expect_refused({"7 tensors", "the 8 of this plan: q, k, v, block_indices, cu_q, cu_k, o, lse"});
  count = 1000;
  expect_refused({"1000 tensors"});
}

TEST_F(CForward, NullPointers) {
  expect_refusal(fsa_plan_forward(plan, nullptr, count, workspace, bytes, nullptr), FSA_INVALID_ARGUMENT, {"tensors is a null pointer"});
  expect_refusal(fsa_plan_forward(nullptr, order.data(), count, workspace, bytes, nullptr), FSA_INVALID_ARGUMENT,
                 {"plan is a null pointer"});
  order[2] = nullptr;
  expect_refused({"v is a null DLTensor"});
  order[2] = &v.dl;
  v.dl.data = nullptr;
  v.dl.byte_offset = 64;
  expect_refused({"v is a null pointer"});
  v.dl.data = v.floats.data();
  v.dl.byte_offset = 0;
  v.dl.shape = nullptr;
  expect_refused({"v has a null shape"});
}

TEST_F(CForward, TensorsOfAnotherDevice) {
  q.dl.device = {kDLCUDA, 1};
  expect_refused({"q is on cuda:1", "on the CPU", "where this plan runs"});
  q.dl.device = {static_cast<DLDeviceType>(8), 0};
  expect_refused({"q is on a device of DLPack type 8"});
}

TEST_F(CForward, ElementTypesThatAreNoneOfThePlans) {
  q.dl.dtype = {kDLBfloat, 16, 1};
  expect_refused({"q is bf16", "f32 [64, 4, 64]"});
  q.dl.dtype = {kDLFloat, 64, 1};
  expect_refused({"q has elements of type float64", "f32 for this plan"});
  q.dl.dtype = {kDLFloat, 32, 4};
  expect_refused({"float32 in 4 lanes"});
  q.dl.dtype = {6, 8, 1};
  expect_refused({"q has elements of type bool"});
  q.dl.dtype = {5, 64, 1};
  expect_refused({"q has elements of type complex64"});
  q.dl.dtype = {kDLFloat, 32, 1};
  cu_q.dl.dtype = {kDLInt, 64, 1};
  expect_refused({"cu_q has elements of type int64", "i32"});
  cu_q.dl.dtype = {kDLUInt, 32, 1};
  expect_refused({"cu_q has elements of type uint32"});
  cu_q.dl.dtype = {77, 32, 1};
  expect_refused({"DLPack code 77"});
}

TEST_F(CForward, ShapesAndRanksThatAreNoneOfThePlans) {
  q.shape[1] = 8;
  expect_refused({"q is f32 [64, 8, 64]", "f32 [64, 4, 64]"});
  q.shape[1] = 4;
  q.dl.ndim = 2;
  expect_refused({"q is f32 [64, 4]"});
  q.dl.ndim = 99;
  expect_refused({"q has 99 dimensions", "3 dimensions"});
  q.dl.ndim = -1;
  expect_refused({"q has -1 dimensions"});
}

TEST_F(CForward, StridesAndAlignmentThatKernelsCannotRead) {
  k.set_strides({128 * 2, 128, 2});
  expect_refused({"k has stride 2 in its last dimension"});
  k.set_strides({130, 64, 1});
  expect_refused({"k has a stride of 130", "multiples of 4 elements"});
  k.dl.strides = nullptr;
  k.dl.byte_offset = 4;
  expect_refused({"k is at address", "misaligned"});
  k.dl.byte_offset = 0;
  blocks.set_strides({512, 8, 1});
  expect_refused({"block_indices is not contiguous"});
}

TEST_F(CForward, SequencesThatAreNone) {
  cu_k.ints[2] = 63;
  expect_refused({"cu_k ends at 63"});
  expect_refusal(fsa_plan_validate(plan, order.data(), count), FSA_INVALID_ARGUMENT, {"cu_k ends at 63"});
}

}  // namespace
}  // namespace fsa::test
