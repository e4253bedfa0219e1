#pragma once
// Owns the handles of the C interface: what stands behind fsa_engine and fsa_plan, and the mark that tells them from other memory.
#include <cstdint>
#include <string>
#include <vector>

#include "fsa/engine.h"
#include "runtime/c_api/c_error.h"

struct fsa_engine {
  static constexpr std::uint64_t kMark = 0x656e67696e656673;
  volatile std::uint64_t mark = kMark;
  fsa::Engine engine;
  std::string device, device_name, target;
  DLDevice place{};

  explicit fsa_engine(fsa::Engine opened);
  ~fsa_engine() { mark = 0; }
};

struct fsa_plan {
  static constexpr std::uint64_t kMark = 0x706c616e2d667361;
  volatile std::uint64_t mark = kMark;
  fsa::Plan plan;
  DLDevice place{};
  std::string op, report_text, report_json;
  std::vector<DLDataType> dtypes;

  fsa_plan(fsa::Plan bound, DLDevice device);
  ~fsa_plan() { mark = 0; }
};

namespace fsa::c_api {

/// A handle that is null, of another kind, or destroyed (as far as its memory still tells) is kInvalidArgument.
template <class Handle>
Result<void> check_handle(const Handle* handle, std::string_view name) {
  if (!handle) return null_argument(name);
  if (handle->mark == Handle::kMark) [[likely]]
    return {};
  return make_error(ErrorKind::kInvalidArgument, {.given = std::string(name) + " is no live handle",
                                                  .supported = "what a create function returned and no destroy function was given"});
}

}  // namespace fsa::c_api
