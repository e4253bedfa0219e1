#pragma once
// Owns TuningEntry: what one tuning run chose for one problem on one device, with its measurements.
#include <map>
#include <string>
#include <string_view>

#include "codegen/base/json.h"
#include "fsa/base/result.h"

namespace fsa {

/// What an entry was tuned for. Equal keys mean that a later entry replaces an earlier one.
struct TuningKey {
  std::string op;                       ///< "selected_attention"
  std::map<std::string, int> families;  ///< name -> version of every family the op can use
  Json device;                          ///< Device::identity()
  std::string toolchain;                ///< Compiler::identity()
  Json problem;                         ///< the features of problem_features.h

  /// One line; equal for equal keys whatever the order of JSON members.
  std::string canonical() const;
};

/// Seconds are medians of interleaved runs; 0 where not measured.
struct TuningMeasurement {
  double seconds = 0;            ///< of the choice
  double default_seconds = 0;    ///< of the default configuration, in the same session
  double runner_up_seconds = 0;  ///< of the best other candidate
  int samples = 0;               ///< runs behind each median
};

/// Where an entry comes from: for people and for telling newer from older, never part of the key.
struct TuningProvenance {
  std::string device_name;
  std::string driver;
  std::string date;     ///< UTC, "2026-01-31T12:00:00Z": compares as text
  std::string library;  ///< name and version
};

struct TuningEntry {
  TuningKey key;
  Json choice;  ///< {"variant": "block_major", "configs": {"block_index": {...}, ...}}; the op's planner gives it meaning
  TuningMeasurement measurement;
  TuningProvenance provenance;

  Json to_json() const;
  /// op, families, device, toolchain, problem and choice are required, the rest takes defaults; kCorrupt names what is
  /// missing or of the wrong type, opening with `what`.
  static Result<TuningEntry> parse(const Json& json, std::string_view what);
};

/// The time now as provenance dates spell it.
std::string utc_timestamp();

}  // namespace fsa
