#include "fsa/base/error.h"

#include <utility>

namespace fsa {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidArgument: return "invalid_argument";
    case ErrorKind::kUnsupported: return "unsupported";
    case ErrorKind::kNotFound: return "not_found";
    case ErrorKind::kUnavailable: return "unavailable";
    case ErrorKind::kCompile: return "compile";
    case ErrorKind::kDevice: return "device";
    case ErrorKind::kIo: return "io";
    case ErrorKind::kCorrupt: return "corrupt";
    case ErrorKind::kTimeout: return "timeout";
    case ErrorKind::kCancelled: return "cancelled";
    case ErrorKind::kInternal: return "internal";
  }
  return "internal";
}

std::string Error::message() const {
  std::string text = given;
  if (!supported.empty()) text += "; supported: " + supported;
  if (!remedy.empty()) text += "; to mend it: " + remedy;
  return text;
}

Error make_error(ErrorKind kind, ErrorText text, std::source_location where) {
  return Error{kind, std::move(text.given), std::move(text.supported), std::move(text.remedy), where};
}

}  // namespace fsa
