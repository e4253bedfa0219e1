#include "runtime/c_api/c_error.h"

#include <fmt/format.h>

#include <array>
#include <iterator>
#include <string>

namespace fsa::c_api {
namespace {

constexpr std::array<ErrorKind, 11> kKinds{
    ErrorKind::kInvalidArgument, ErrorKind::kUnsupported, ErrorKind::kNotFound, ErrorKind::kUnavailable,
    ErrorKind::kCompile,         ErrorKind::kDevice,      ErrorKind::kIo,       ErrorKind::kCorrupt,
    ErrorKind::kTimeout,         ErrorKind::kCancelled,   ErrorKind::kInternal};

/// The message of this thread's last failure: `text`, or `literal` where making a text failed.
struct LastError {
  std::string text;
  const char* literal = nullptr;
};
thread_local LastError last_error;

fsa_status status_of(ErrorKind kind) noexcept {
  for (std::size_t i = 0; i < kKinds.size(); ++i)
    if (kKinds[i] == kind) return static_cast<fsa_status>(i + 1);
  return FSA_INTERNAL;
}

}  // namespace

fsa_status fail_out_of_memory() noexcept {
  last_error.literal = "out of host memory";
  return FSA_UNAVAILABLE;
}

fsa_status fail(const Error& error) noexcept try {
  last_error.text = error.message();
  last_error.literal = nullptr;
  return status_of(error.kind);
} catch (...) {
  return fail_out_of_memory();
}

fsa_status fail_unexpectedly(const char* what) noexcept try {
  return fail(make_error(ErrorKind::kInternal,
                         {.given = fmt::format("the library met an unexpected exception: {}", what), .remedy = "please report it"}));
} catch (...) {
  return fail_out_of_memory();
}

Error null_argument(std::string_view name) {
  return make_error(ErrorKind::kInvalidArgument,
                    {.given = fmt::format("{} is a null pointer", name), .supported = fmt::format("a valid {}", name)});
}

}  // namespace fsa::c_api

using fsa::c_api::kKinds;
using fsa::c_api::last_error;

const char* fsa_last_error_message(void) { return last_error.literal ? last_error.literal : last_error.text.c_str(); }

const char* fsa_status_name(fsa_status status) {
  const auto number = static_cast<std::size_t>(status);
  if (number == 0) return "ok";
  return number <= std::size(kKinds) ? fsa::to_string(kKinds[number - 1]).data() : "unknown";  // to_string gives literals
}
