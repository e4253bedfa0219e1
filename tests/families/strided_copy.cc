#include "tests/families/strided_copy.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "tests/support/device_memory.h"

namespace fsa::test {
namespace {

/// Strides in multiples of 8 elements: 16 bytes of the smallest type.
void set_strides(TensorView& view, Layout layout) {
  const std::int64_t tokens = view.shape[0], heads = view.shape[1], dim = view.shape[2];
  constexpr std::int64_t kFarElements = std::int64_t{1} << 31;
  view.stride = {heads * dim, dim, 1, 0};
  if (layout == Layout::kPadded) view.stride = {heads * (dim + 8) + 24, dim + 8, 1, 0};
  if (layout == Layout::kHeadMajor) view.stride = {dim, tokens * dim + 16, 1, 0};
  if (layout == Layout::kFar) view.stride[0] = (kFarElements / std::max<std::int64_t>(1, tokens - 2) + 8) / 8 * 8;
}

}  // namespace

StridedCopy::StridedCopy(const TensorView& packed, Layout layout, bool copy) : view_(packed), layout_(layout) {
  set_strides(view_, layout);
  const std::size_t bytes = std::max<std::size_t>(extent_bytes(view_), 16);
  // Pages that nobody touches cost nothing: what makes offsets past 2^31 testable on small machines.
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  view_.data = base == MAP_FAILED ? nullptr : base;
  if (base == MAP_FAILED) return;
  memory_ = std::shared_ptr<void>(base, [bytes](void* p) { munmap(p, bytes); });
  if (layout != Layout::kFar) std::memset(base, 0xff, bytes);
  if (!copy) return;
  const std::size_t element = size_of(view_.dtype), row = static_cast<std::size_t>(view_.shape[2]) * element;
  for (std::int64_t t = 0; t < view_.shape[0]; ++t)
    for (std::int64_t h = 0; h < view_.shape[1]; ++h)
      std::memcpy(static_cast<char*>(base) + (t * view_.stride[0] + h * view_.stride[1]) * element,
                  static_cast<const char*>(packed.data) + (t * packed.stride[0] + h * packed.stride[1]) * element, row);
}

const unsigned char* StridedCopy::row(std::int64_t token, std::int64_t head) const {
  const std::int64_t offset = (token * view_.stride[0] + head * view_.stride[1]) * static_cast<std::int64_t>(size_of(view_.dtype));
  return static_cast<const unsigned char*>(view_.data) + offset;
}

bool StridedCopy::same_rows(const StridedCopy& other, std::int64_t first, std::int64_t last) const {
  for (std::int64_t t = first; t < last; ++t)
    for (std::int64_t h = 0; h < view_.shape[1]; ++h)
      if (std::memcmp(row(t, h), other.row(t, h), row_bytes()) != 0) return false;
  return true;
}

bool StridedCopy::rows_hold(unsigned char byte, std::int64_t first, std::int64_t last) const {
  for (std::int64_t t = first; t < last; ++t)
    for (std::int64_t h = 0; h < view_.shape[1]; ++h)
      if (!std::all_of(row(t, h), row(t, h) + row_bytes(), [byte](unsigned char b) { return b == byte; })) return false;
  return true;
}

bool StridedCopy::gaps_hold(unsigned char byte) const {
  if (layout_ == Layout::kFar || view_.num_elements() == 0) return true;
  const std::size_t element = size_of(view_.dtype), row = static_cast<std::size_t>(view_.shape[2]) * element;
  const auto* bytes = static_cast<const unsigned char*>(view_.data);
  std::vector<bool> covered(extent_bytes(view_), false);
  for (std::int64_t t = 0; t < view_.shape[0]; ++t)
    for (std::int64_t h = 0; h < view_.shape[1]; ++h)
      std::fill_n(covered.begin() + static_cast<std::ptrdiff_t>((t * view_.stride[0] + h * view_.stride[1]) * element), row, true);
  for (std::size_t i = 0; i < covered.size(); ++i)
    if (!covered[i] && bytes[i] != byte) return false;
  return true;
}

}  // namespace fsa::test
