#pragma once
// Owns the error value that every fallible call of the library returns; nothing in the library throws across its API.
#include <source_location>
#include <string>
#include <string_view>

#include "fsa/base/export.h"

namespace fsa {

/// Who has to act on an error. Everything but kInternal can be mended outside the library.
enum class ErrorKind {
  kInvalidArgument,  ///< the caller passed something inconsistent: wrong shape, dtype, pointer, option
  kUnsupported,      ///< consistent, but no kernel of this library covers it
  kNotFound,         ///< a file, preset, cache entry or packed kernel does not exist
  kUnavailable,      ///< no device, driver, compiler or permission on this machine
  kCompile,          ///< a compiler rejected generated source
  kDevice,           ///< the device reported a failure at run time
  kIo,               ///< reading or writing a file failed
  kCorrupt,          ///< data was read but fails its checksum or format
  kTimeout,          ///< a time limit passed
  kCancelled,        ///< the user interrupted
  kInternal,         ///< an invariant of the library is broken: please report it
};

/// Returns the kind's stable lower-case name, e.g. "invalid_argument".
FSA_API std::string_view to_string(ErrorKind kind);

/// What went wrong, in the user's terms.
struct FSA_API Error {
  ErrorKind kind = ErrorKind::kInternal;
  std::string given;      ///< what was asked or found: "head_dim is 20"
  std::string supported;  ///< what would have worked: "multiples of 8 from 16 to 256"; may be empty
  std::string remedy;     ///< what to do now: "pad q and k with zero columns to 24"; may be empty
  std::source_location where = std::source_location::current();

  /// One line: "given; supported: ...; to mend it: ...".
  std::string message() const;
};

/// The three sentences of an error; separate from Error so that call sites read as named fields.
struct ErrorText {
  std::string given;
  std::string supported = {};
  std::string remedy = {};
};

/// Makes an error. The only place that does, so that one breakpoint here sees every failure.
FSA_API Error make_error(ErrorKind kind, ErrorText text, std::source_location where = std::source_location::current());

}  // namespace fsa
