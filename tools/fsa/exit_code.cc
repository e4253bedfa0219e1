#include "tools/fsa/exit_code.h"

#include <fmt/format.h>

#include <array>

namespace fsa::cli {
namespace {

constexpr std::array kExitCodes = {
    ExitCode{kOk, "done"},
    ExitCode{1, "internal error: please report it"},
    ExitCode{kUsage, "bad usage or inconsistent input"},
    ExitCode{3, "consistent, but not supported"},
    ExitCode{4, "this machine lacks a device, driver, compiler or permission"},
    ExitCode{kCheckFailed, "a result is outside its tolerance"},
    ExitCode{6, "a file, preset, cache entry or packed kernel was not found"},
    ExitCode{7, "reading or writing a file failed"},
    ExitCode{8, "a file is corrupt"},
    ExitCode{9, "a compiler rejected generated source"},
    ExitCode{10, "the device failed"},
    ExitCode{11, "a time limit passed"},
    ExitCode{kInterrupted, "interrupted; what was known by then is kept"},
};

}  // namespace

std::span<const ExitCode> exit_codes() { return kExitCodes; }

int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidArgument:
      return kUsage;
    case ErrorKind::kUnsupported:
      return 3;
    case ErrorKind::kUnavailable:
      return 4;
    case ErrorKind::kNotFound:
      return 6;
    case ErrorKind::kIo:
      return 7;
    case ErrorKind::kCorrupt:
      return 8;
    case ErrorKind::kCompile:
      return 9;
    case ErrorKind::kDevice:
      return 10;
    case ErrorKind::kTimeout:
      return 11;
    case ErrorKind::kCancelled:
      return kInterrupted;
    case ErrorKind::kInternal:
      break;
  }
  return 1;
}

std::string exit_code_help() {
  std::string text = "Exit codes:\n";
  for (const ExitCode& e : kExitCodes) text += fmt::format("  {:<4} {}\n", e.code, e.meaning);
  return text;
}

}  // namespace fsa::cli
