#include "codegen/ptxas_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace fsa {
namespace {

/// The integer that stands right before `unit`, as in "880 bytes stack frame"; none where `unit` does not occur.
std::optional<int> number_before(std::string_view line, std::string_view unit) {
  const auto end = line.find(unit);
  if (end == std::string_view::npos) return std::nullopt;
  auto begin = end;
  while (begin > 0 && line[begin - 1] >= '0' && line[begin - 1] <= '9') --begin;
  int value = 0;
  if (std::from_chars(line.data() + begin, line.data() + end, value).ec != std::errc{}) return std::nullopt;
  return value;
}

void raise(int& maximum, std::optional<int> value) {
  if (value) maximum = std::max(maximum, *value);
}

/// The front end writes "file(line): warning #n", ptxas "ptxas warning : " and, for lost speed, an info line.
bool is_warning(std::string_view line) {
  return line.find(": warning #") != std::string_view::npos || line.starts_with("ptxas warning") ||
         line.find("Potential Performance Loss") != std::string_view::npos;
}

/// "ptxas info    : Used 40 registers, used 1 barriers, 800 bytes cumulative stack size, 256 bytes smem, 364 bytes cmem[0]"
void read_usage(std::string_view line, CompileReport& report) {
  raise(report.registers, number_before(line, " registers"));
  raise(report.stack_bytes, number_before(line, " bytes cumulative stack size"));
  raise(report.static_smem_bytes, number_before(line, " bytes smem"));
}

/// "880 bytes stack frame, 1688 bytes spill stores, 1712 bytes spill loads"
void read_frame(std::string_view line, CompileReport& report) {
  raise(report.stack_bytes, number_before(line, " bytes stack frame"));
  report.spill_bytes += number_before(line, " bytes spill stores").value_or(0) + number_before(line, " bytes spill loads").value_or(0);
}

void read_line(std::string_view line, CompileReport& report) {
  if (is_warning(line))
    report.warnings.emplace_back(line);  // repeats the numbers of the info lines: not to be counted twice
  else if (line.find(" bytes stack frame") != std::string_view::npos)
    read_frame(line, report);
  else if (line.find(": Used ") != std::string_view::npos)
    read_usage(line, report);
}

}  // namespace

CompileReport parse_ptxas_report(std::string_view log) {
  CompileReport report;
  while (!log.empty()) {
    const auto end = std::min(log.find('\n'), log.size());
    read_line(log.substr(0, end), report);
    log.remove_prefix(std::min(end + 1, log.size()));
  }
  return report;
}

std::string performance_flaw(const CompileReport& report) {
  if (report.spill_bytes > 0) return fmt::format("{} bytes of registers are spilled", report.spill_bytes);
  for (const std::string& warning : report.warnings)
    if (warning.find("instructions are serialized") != std::string::npos || warning.find("'setmaxnreg' ignored") != std::string::npos)
      return warning;
  return {};
}

}  // namespace fsa
