#pragma once
// Owns what the tests of the C interface share: an engine, a plan, tensors that fit it, and the check of a refusal.
#include <gtest/gtest.h>

#include <array>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "fsa/fsa_c.h"

namespace fsa::test {

/// `status` and this thread's message hold the refusal: the kind, and every one of `parts`.
void expect_refusal(fsa_status status, fsa_status expected, std::initializer_list<std::string_view> parts);

/// The CPU engine of this process, without a cache folder; null where the machine or the build lacks what it takes.
fsa_engine* cpu_engine();

/// Two sequences of 24 and 40 tokens, f32, 4 query heads, 2 kv heads, head_dim 64, blocks of 32, topk 4.
std::string small_problem();

struct OwnedTensor {
  std::vector<std::int64_t> shape, strides;  // strides may stay empty: packed
  std::vector<float> floats;
  std::vector<std::int32_t> ints;
  DLTensor dl{};

  OwnedTensor(std::vector<std::int64_t> dims, bool is_int);
  OwnedTensor(const OwnedTensor&) = delete;
  void set_strides(std::vector<std::int64_t> values);
};

/// Memory for a plan's workspace, aligned as forward wants it.
struct OwnedWorkspace {
  std::vector<char> memory;
  void* data = nullptr;
  std::size_t bytes = 0;

  /// As much as `plan` asks for.
  void fit(const fsa_plan* plan);
};

class CForward : public testing::Test {
 protected:
  CForward();
  ~CForward() override;
  void SetUp() override;

  fsa_status forward() const { return fsa_plan_forward(plan, order.data(), count, workspace, bytes, nullptr); }
  /// The call is refused as an invalid argument and no output was written.
  void expect_refused(std::initializer_list<std::string_view> parts);

  fsa_plan* plan = nullptr;
  OwnedTensor q, k, v, blocks, cu_q, cu_k, o, lse;
  std::array<const DLTensor*, 8> order;
  std::size_t count = 8;
  OwnedWorkspace memory;
  void* workspace = nullptr;
  std::size_t bytes = 0;
};

}  // namespace fsa::test
