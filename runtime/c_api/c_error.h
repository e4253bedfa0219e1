#pragma once
// Owns the boundary of the C interface: errors become a status and this thread's message, and no exception passes.
#include <exception>
#include <new>
#include <utility>

#include "fsa/base/result.h"
#include "fsa/fsa_c.h"

namespace fsa::c_api {

/// Keeps the error's message for fsa_last_error_message() and returns its status.
fsa_status fail(const Error& error) noexcept;
/// For when there is no memory left to say more.
fsa_status fail_out_of_memory() noexcept;
/// An exception that the library itself should have turned into an Error.
fsa_status fail_unexpectedly(const char* what) noexcept;

Error null_argument(std::string_view name);

/// Runs `body`, which returns a Result<void>.
template <class Body>
fsa_status guarded(Body&& body) noexcept {
  try {
    const Result<void> result = std::forward<Body>(body)();
    return result.ok() ? FSA_OK : fail(result.error());
  } catch (const std::bad_alloc&) {
    return fail_out_of_memory();
  } catch (const std::exception& exception) {
    return fail_unexpectedly(exception.what());
  } catch (...) {
    return fail_unexpectedly("an exception of unknown type");
  }
}

}  // namespace fsa::c_api
