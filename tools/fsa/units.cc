#include "tools/fsa/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>

namespace fsa::cli {
namespace {

constexpr std::int64_t kKilo = 1024, kMega = 1024 * 1024;

std::int64_t unit_of(std::string_view suffix) {
  if (suffix.empty()) return 1;
  if (suffix == "k" || suffix == "K") return kKilo;
  return suffix == "m" || suffix == "M" ? kMega : 0;
}

Result<std::int64_t> parse_count(std::string_view text, std::string_view flag) {
  std::int64_t count = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::int64_t unit = unit_of(text.substr(static_cast<std::size_t>(end - text.data())));
  // cu_q and cu_k are 32-bit.
  if (ec == std::errc() && count > 0 && unit > 0 && count <= std::numeric_limits<std::int32_t>::max() / unit) return count * unit;
  return make_error(ErrorKind::kInvalidArgument, {.given = fmt::format("{} has the entry '{}'", flag, text),
                                                  .supported = "1 to 2147483647, with k for 1024 and m for 1048576: 8k,32k"});
}

}  // namespace

std::vector<std::string> split_commas(std::string_view text) {
  std::vector<std::string> parts;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t comma = std::min(text.find(',', start), text.size());
    parts.emplace_back(text.substr(start, comma - start));
    start = comma + 1;
  }
  return parts;
}

Result<std::vector<std::int64_t>> parse_counts(std::string_view text, std::string_view flag) {
  std::vector<std::int64_t> counts;
  for (const std::string& part : split_commas(text)) {
    FSA_ASSIGN_OR_RETURN(const std::int64_t count, parse_count(part, flag));
    counts.push_back(count);
  }
  return counts;
}

std::string format_count(std::int64_t count) {
  if (count >= kMega && count % kMega == 0) return fmt::format("{}m", count / kMega);
  if (count >= kKilo && count % kKilo == 0) return fmt::format("{}k", count / kKilo);
  return fmt::format("{}", count);
}

std::string format_seconds(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.3g} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.3g} ms", seconds * 1e3);
  return fmt::format("{:.3g} s", seconds);
}

std::string format_bytes(double bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < kUnits.size(); ++unit) bytes /= 1024;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

}  // namespace fsa::cli
