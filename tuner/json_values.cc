#include "tuner/json_values.h"

#include <array>
#include <limits>

#include <fmt/format.h>

namespace fsa::tuner {

namespace {

constexpr std::array kKinds{ErrorKind::kInvalidArgument, ErrorKind::kUnsupported, ErrorKind::kNotFound, ErrorKind::kUnavailable,
                            ErrorKind::kCompile,         ErrorKind::kDevice,      ErrorKind::kIo,       ErrorKind::kCorrupt,
                            ErrorKind::kTimeout,         ErrorKind::kCancelled,   ErrorKind::kInternal};

ErrorKind kind_from_string(std::string_view name) {
  for (ErrorKind kind : kKinds)
    if (to_string(kind) == name) return kind;
  return ErrorKind::kInternal;
}

/// A member that may be missing or of another type.
template <class T>
T member_or(const Json& json, const char* name, T fallback) {
  const auto it = json.is_object() ? json.find(name) : json.end();
  if (it == json.end()) return fallback;
  if constexpr (std::is_same_v<T, std::string>)
    return it->is_string() ? it->template get<T>() : fallback;
  else
    return it->is_number() ? it->template get<T>() : fallback;
}

}  // namespace

Error malformed(std::string_view what, const Json& json, std::string supported) {
  return make_error(ErrorKind::kCorrupt,
                    {.given = fmt::format("{} reads {}", what, to_line(json).substr(0, 200)), .supported = std::move(supported)});
}

std::string to_line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Result<Json> parse_line(std::string_view line) {
  Json json = Json::parse(line, nullptr, false);
  if (json.is_discarded())
    return make_error(ErrorKind::kCorrupt,
                      {.given = fmt::format("'{}' is not JSON", line.substr(0, 200)), .supported = "one JSON object per line"});
  return json;
}

Json to_json(const Error& error) {
  return {{"kind", to_string(error.kind)}, {"given", error.given}, {"supported", error.supported}, {"remedy", error.remedy}};
}

Error error_from_json(const Json& json) {
  return make_error(kind_from_string(member_or<std::string>(json, "kind", "internal")),
                    {.given = member_or<std::string>(json, "given", "an error without a description"),
                     .supported = member_or<std::string>(json, "supported", ""),
                     .remedy = member_or<std::string>(json, "remedy", "")});
}

Json to_json(const CompileReport& report) {
  return {{"seconds", report.seconds},
          {"registers", report.registers},
          {"spill_bytes", report.spill_bytes},
          {"stack_bytes", report.stack_bytes},
          {"static_smem_bytes", report.static_smem_bytes},
          {"warnings", report.warnings}};
}

Result<CompileReport> report_from_json(const Json& json) {
  if (!json.is_object()) return malformed("a compile report", json, "a JSON object");
  CompileReport report;
  report.seconds = member_or(json, "seconds", report.seconds);
  report.registers = member_or(json, "registers", report.registers);
  report.spill_bytes = member_or(json, "spill_bytes", report.spill_bytes);
  report.stack_bytes = member_or(json, "stack_bytes", report.stack_bytes);
  report.static_smem_bytes = member_or(json, "static_smem_bytes", report.static_smem_bytes);
  if (const auto it = json.find("warnings"); it != json.end() && it->is_array())
    for (const Json& w : *it)
      if (w.is_string()) report.warnings.push_back(w.get<std::string>());
  return report;
}

Json to_json(const Samples& samples) {
  if (!samples) return Json{{"error", to_json(samples.error())}};
  return Json(*samples);
}

Samples samples_from_json(const Json& json) {
  if (json.is_object() && json.contains("error")) return error_from_json(json["error"]);
  if (!json.is_array() || json.empty()) return malformed("a candidate's samples", json, "a non-empty array of seconds");
  std::vector<double> seconds;
  for (const Json& s : json) {
    if (!s.is_number()) return malformed("a candidate's samples", json, "a non-empty array of seconds");
    seconds.push_back(s.get<double>());
  }
  return seconds;
}

Json to_json(const Verdict& verdict) { return {{"error", verdict.error}, {"tolerance", verdict.tolerance}}; }

Result<Verdict> verdict_from_json(const Json& json) {
  if (!json.is_object() || !json.contains("tolerance")) return malformed("a verdict", json, R"({"error": e, "tolerance": t})");
  return Verdict{.error = member_or(json, "error", std::numeric_limits<double>::quiet_NaN()),
                 .tolerance = member_or(json, "tolerance", 0.0)};
}

}  // namespace fsa::tuner
