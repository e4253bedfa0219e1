#include "runtime/tensor_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>

namespace fsa {
namespace {

constexpr std::size_t kRowAlignment = 16;  // kernels move rows in 16-byte pieces
constexpr std::size_t kWorkspaceAlignment = 256;
constexpr std::int64_t kLargestSpan = std::int64_t{64} << 30;  // bytes: kernels number a tensor's 16-byte pieces in 32 bits

Error bad_tensor(std::string_view name, std::string given, std::string supported, std::string remedy = {}) {
  return make_error(ErrorKind::kInvalidArgument, {.given = fmt::format("{} {}", name, given), .supported = std::move(supported), .remedy = std::move(remedy)});
}

std::string describe(const TensorSpec& spec) { return fmt::format("{} [{}]", to_string(spec.dtype), fmt::join(spec.shape, ", ")); }

bool same_shape(const TensorSpec& spec, const TensorView& t) {
  if (t.rank != static_cast<int>(spec.shape.size())) return false;
  for (int i = 0; i < t.rank; ++i)
    if (t.shape[i] != spec.shape[i]) return false;
  return true;
}

/// Rows and heads of a tensor lie within kLargestSpan.
Result<void> check_span(const TensorSpec& spec, const TensorView& t) {
  double elements = 0;  // not an integer: strides may be anything
  for (int i : {0, 1})
    if (t.shape[i] > 1) elements += static_cast<double>(t.shape[i] - 1) * static_cast<double>(t.stride[i]);
  const double bytes = elements * static_cast<double>(size_of(t.dtype));
  if (bytes < static_cast<double>(kLargestSpan)) return {};
  return bad_tensor(spec.name, fmt::format("spans {:.1f} GiB from its first row to its last", bytes / (1 << 30)),
                    fmt::format("tensors of up to {} GiB", kLargestSpan >> 30), "copy it to a contiguous tensor, or pass fewer sequences at a time");
}

Result<void> check_strides(const TensorSpec& spec, const TensorView& t) {
  if (spec.layout == TensorLayout::kPacked) {
    if (t.is_contiguous()) return {};
    return bad_tensor(spec.name, "is not contiguous", "packed rows", "copy it to a contiguous tensor");
  }
  if (t.shape[2] > 1 && t.stride[2] != 1)
    return bad_tensor(spec.name, fmt::format("has stride {} in its last dimension", t.stride[2]), "stride 1", "make the head dimension contiguous");
  if (spec.layout == TensorLayout::kScalars) {
    if (t.stride[0] >= 0 && t.stride[1] >= 0) return {};
    return bad_tensor(spec.name, fmt::format("has strides {} and {}", t.stride[0], t.stride[1]), "strides of 0 and up", "copy it to a contiguous tensor");
  }
  for (int i : {0, 1})
    if (t.shape[i] > 1 && (t.stride[i] < 0 || t.stride[i] * size_of(t.dtype) % kRowAlignment))
      return bad_tensor(spec.name, fmt::format("has a stride of {} elements in dimension {}", t.stride[i], i),
                        fmt::format("non-negative multiples of {} elements", kRowAlignment / size_of(t.dtype)), "copy it to a contiguous tensor");
  return check_span(spec, t);
}

Result<void> check_address(const TensorSpec& spec, const TensorView& t) {
  if (t.num_elements() == 0) return {};
  if (!t.data) return bad_tensor(spec.name, "is a null pointer", fmt::format("a pointer to {}", describe(spec)));
  const std::size_t alignment = spec.layout == TensorLayout::kRows ? kRowAlignment : size_of(t.dtype);
  if (reinterpret_cast<std::uintptr_t>(t.data) % alignment == 0) return {};
  return bad_tensor(spec.name, fmt::format("is at address {}, which is misaligned", fmt::ptr(t.data)), fmt::format("{}-byte aligned pointers", alignment),
                    "allocate the tensor with an aligned allocator, or copy it");
}

Result<void> check_one_cu(std::string_view name, std::span<const int> cu, std::string_view total_name, std::int64_t total) {
  if (cu.empty() || cu.front() != 0) return bad_tensor(name, fmt::format("starts at {}", cu.empty() ? -1 : cu.front()), "prefix sums that start at 0");
  for (std::size_t b = 1; b < cu.size(); ++b)
    if (cu[b] < cu[b - 1])
      return bad_tensor(name, fmt::format("decreases from {} to {} at entry {}", cu[b - 1], cu[b], b), "prefix sums that never decrease");
  if (cu.back() == total) return {};
  return bad_tensor(name, fmt::format("ends at {}, but {} is {}", cu.back(), total_name, total), "prefix sums that end at the number of rows");
}

}  // namespace

Result<void> check_tensor(const TensorSpec& spec, const TensorView& tensor) {
  if (tensor.dtype != spec.dtype || !same_shape(spec, tensor))
    return bad_tensor(spec.name, fmt::format("is {}", tensor.describe()), fmt::format("{} for this plan", describe(spec)), "pass that, or make a plan for these sizes");
  FSA_RETURN_IF_ERROR(check_strides(spec, tensor));
  return check_address(spec, tensor);
}

Result<void> check_workspace(std::size_t needed, Workspace workspace) {
  if (needed == 0) return {};
  if (workspace.bytes < needed)
    return bad_tensor("workspace", fmt::format("has {} bytes", workspace.bytes), fmt::format("at least {} bytes", needed), "allocate plan.workspace_bytes()");
  if (!workspace.data) return bad_tensor("workspace", "is a null pointer", fmt::format("{} bytes of memory of the plan's device", needed));
  if (reinterpret_cast<std::uintptr_t>(workspace.data) % kWorkspaceAlignment == 0) return {};
  return bad_tensor("workspace", fmt::format("is at address {}, which is misaligned", fmt::ptr(workspace.data)),
                    fmt::format("{}-byte aligned pointers", kWorkspaceAlignment));
}

Result<void> check_cu_k(std::span<const int> cu_k, std::int64_t total_k) { return check_one_cu("cu_k", cu_k, "total_k", total_k); }

Result<void> check_cu_seqlens(std::span<const int> cu_q, std::span<const int> cu_k, std::int64_t total_q, std::int64_t total_k) {
  FSA_RETURN_IF_ERROR(check_one_cu("cu_q", cu_q, "total_q", total_q));
  FSA_RETURN_IF_ERROR(check_one_cu("cu_k", cu_k, "total_k", total_k));
  for (std::size_t b = 1; b < cu_q.size(); ++b) {
    const int len_q = cu_q[b] - cu_q[b - 1], len_k = cu_k[b] - cu_k[b - 1];
    if (len_q > len_k)
      return bad_tensor("cu_q", fmt::format("gives sequence {} {} queries but cu_k gives it {} keys", b - 1, len_q, len_k),
                        "at most as many queries as keys", "queries are the last tokens of their sequence: pass the keys of all of them");
  }
  return {};
}

}  // namespace fsa
