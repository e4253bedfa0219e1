#pragma once
// Owns the exit codes of the fsa command: one for each kind of error, the same for every subcommand.
#include <span>
#include <string>
#include <string_view>

#include "fsa/base/error.h"

namespace fsa::cli {

inline constexpr int kOk = 0;
inline constexpr int kUsage = 2;        ///< a flag or argument that the command line parser rejects
inline constexpr int kCheckFailed = 5;  ///< a result is outside its tolerance
inline constexpr int kInterrupted = 130;

struct ExitCode {
  int code;
  std::string_view meaning;
};

/// Every exit code with its meaning, ascending.
std::span<const ExitCode> exit_codes();

/// The code of an error.
int exit_code(ErrorKind kind);

/// The table as a paragraph for --help.
std::string exit_code_help();

}  // namespace fsa::cli
