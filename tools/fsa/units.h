#pragma once
// Owns how numbers are read from the command line and written for people.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fsa/base/result.h"

namespace fsa::cli {

/// "8192", "8k" (8192), "1m" (1048576), comma separated. `flag` names the culprit in errors.
Result<std::vector<std::int64_t>> parse_counts(std::string_view text, std::string_view flag);

/// The parts between commas.
std::vector<std::string> split_commas(std::string_view text);

/// 65536 -> "64k", 1000 -> "1000".
std::string format_count(std::int64_t count);

/// "1.23 ms", "45.6 us", "2.00 s".
std::string format_seconds(double seconds);

/// "1.5 MiB".
std::string format_bytes(double bytes);

}  // namespace fsa::cli
