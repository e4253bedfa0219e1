#include "tests/support/device_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

namespace fsa::test {
namespace {

constexpr std::size_t kLarge = std::size_t{64} << 20;

std::size_t round_up(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) / unit * unit; }

/// Calls `copy(byte offset, bytes)` for the whole extent, or for each row of a large one.
Result<void> for_each_piece(const TensorView& view, const std::function<Result<void>(std::size_t, std::size_t)>& copy) {
  if (view.num_elements() == 0) return {};
  if (extent_bytes(view) <= kLarge || view.is_contiguous()) return copy(0, extent_bytes(view));
  const std::size_t element = size_of(view.dtype);
  for (std::int64_t i = 0; i < view.shape[0]; ++i)
    for (std::int64_t j = 0; j < view.shape[1]; ++j)
      FSA_RETURN_IF_ERROR(copy(static_cast<std::size_t>(i * view.stride[0] + j * view.stride[1]) * element,
                               static_cast<std::size_t>(view.shape[2]) * element));
  return {};
}

}  // namespace

std::size_t extent_bytes(const TensorView& view) {
  if (view.num_elements() == 0) return 0;
  std::int64_t last = 0;
  for (int i = 0; i < view.rank; ++i) last += (view.shape[i] - 1) * view.stride[i];
  return static_cast<std::size_t>(last + 1) * size_of(view.dtype);
}

Result<DeviceMemory> DeviceMemory::allocate(const Device& device, std::size_t bytes, std::size_t alignment) {
  DeviceMemory memory;
  memory.size_ = bytes;
  if (device.target().backend == Backend::kCuda) {
    FSA_ASSIGN_OR_RETURN(std::unique_ptr<Buffer> buffer, device.allocate(std::max(bytes, alignment)));
    memory.data_ = buffer->data();
    memory.owner_ = std::move(buffer);
    return memory;
  }
  const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE)), body = round_up(round_up(bytes, alignment), page),
                    total = body + 2 * page;
  void* base = mmap(nullptr, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return make_error(ErrorKind::kUnavailable, {.given = "no address space for " + std::to_string(total) + " bytes"});
  memory.owner_ = std::shared_ptr<void>(base, [total](void* p) { munmap(p, total); });
  std::byte* first = static_cast<std::byte*>(base) + page;
  if (body > 0 && mprotect(first, body, PROT_READ | PROT_WRITE) != 0) return make_error(ErrorKind::kInternal, {.given = "mprotect failed"});
  memory.data_ = first + body - round_up(bytes, alignment);
  return memory;
}

Result<void> upload(const Device& device, const TensorView& host, void* destination) {
  return for_each_piece(host, [&](std::size_t offset, std::size_t bytes) {
    return device.copy_to_device(static_cast<std::byte*>(destination) + offset, static_cast<const std::byte*>(host.data) + offset, bytes);
  });
}

Result<void> download(const Device& device, const void* source, const TensorView& host) {
  return for_each_piece(host, [&](std::size_t offset, std::size_t bytes) {
    return device.copy_to_host(static_cast<std::byte*>(host.data) + offset, static_cast<const std::byte*>(source) + offset, bytes);
  });
}

}  // namespace fsa::test
