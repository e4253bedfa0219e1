#include "cache/tuning_entry.h"

#include <fmt/format.h>

#include <cmath>
#include <ctime>
#include <limits>
#include <utility>

#include "cache/json_members.h"
#include "cache/json_text.h"

namespace fsa {
namespace {

Json measurement_json(const TuningMeasurement& m) {
  return {
      {"seconds", m.seconds}, {"default_seconds", m.default_seconds}, {"runner_up_seconds", m.runner_up_seconds}, {"samples", m.samples}};
}

TuningMeasurement read_measurement(MemberReader& m) {
  return {.seconds = m.number_or("seconds", 0),
          .default_seconds = m.number_or("default_seconds", 0),
          .runner_up_seconds = m.number_or("runner_up_seconds", 0),
          .samples = static_cast<int>(m.integer_or("samples", 0))};
}

Json provenance_json(const TuningProvenance& p) {
  return {{"device_name", p.device_name}, {"driver", p.driver}, {"date", p.date}, {"library", p.library}};
}

TuningProvenance read_provenance(MemberReader& m) {
  return {.device_name = m.text_or_empty("device_name"),
          .driver = m.text_or_empty("driver"),
          .date = m.text_or_empty("date"),
          .library = m.text_or_empty("library")};
}

/// What is wrong with the versions, or empty after filling `families`.
std::string read_families(const Json& json, std::map<std::string, int>& families) {
  for (const auto& [name, version] : json.items()) {
    if (!version.is_number_integer()) return fmt::format("the version of family '{}' is not an integer", name);
    families[name] = version.get<int>();
  }
  return {};
}

/// What the types alone do not rule out, or empty.
std::string value_fault(const TuningEntry& e) {
  const TuningMeasurement& m = e.measurement;
  if (e.key.op.empty()) return "'op' is empty";
  if (e.choice.empty()) return "'choice' is empty";
  for (const double seconds : {m.seconds, m.default_seconds, m.runner_up_seconds})
    if (!std::isfinite(seconds) || seconds < 0) return "a measurement is not a positive number of seconds";
  return {};
}

}  // namespace

std::string TuningKey::canonical() const {
  return canonical_json(Json{{"op", op}, {"families", families}, {"device", device}, {"toolchain", toolchain}, {"problem", problem}});
}

Json TuningEntry::to_json() const {
  return {{"op", key.op},         {"problem", key.problem},     {"choice", choice},         {"measurement", measurement_json(measurement)},
          {"device", key.device}, {"toolchain", key.toolchain}, {"families", key.families}, {"provenance", provenance_json(provenance)}};
}

Result<TuningEntry> TuningEntry::parse(const Json& json, std::string_view what) {
  MemberReader m(json);
  TuningEntry entry;
  entry.key.op = m.text("op");
  entry.key.device = m.object("device");
  entry.key.toolchain = m.text("toolchain");
  entry.key.problem = m.object("problem");
  entry.choice = m.object("choice");
  const Json families = m.object("families"), measurement = m.object_or_empty("measurement"), provenance = m.object_or_empty("provenance");
  MemberReader measured(measurement), origin(provenance);
  entry.measurement = read_measurement(measured);
  entry.provenance = read_provenance(origin);
  const std::string versions = read_families(families, entry.key.families);
  for (const std::string& fault : {m.fault(), measured.fault(), origin.fault(), versions, value_fault(entry)})
    if (!fault.empty()) return make_error(ErrorKind::kCorrupt, {.given = fmt::format("{}: {}", what, fault)});
  return entry;
}

std::string utc_timestamp() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text, length};
}

}  // namespace fsa
