#pragma once
// Owns the timing log: JSON Lines, one per compile, timing call and verification, of every run. Nothing is ever removed.
//
// {"format":1,"key":K,"event":"session","time":T,"identity":{...}}
// {"format":1,"key":K,"event":"compile","time":T,"candidate":{...},"report":{...} | "error":{...}}
// {"format":1,"key":K,"event":"measure","time":T,"rounds":3,"candidates":[...],"samples":[[seconds...] | {"error":{...}},...]}
// {"format":1,"key":K,"event":"verify","time":T,"candidate":{...},"verdict":{...} | "error":{...}}
//
// K is a digest of the identity (problem, device, toolchain): a file may hold many, and lines of another one are kept and
// ignored. T is in Unix seconds. A line that is cut short (a killed run) or damaged is skipped and counted.
#include <string>
#include <string_view>
#include <vector>

#include "codegen/base/json.h"
#include "fsa/base/result.h"

namespace fsa::tuner {

class TuningLog {
 public:
  /// Opens or creates the file, and reads the lines of the same identity. kIo when it cannot be written.
  static Result<TuningLog> open(const std::string& path, const Json& identity);
  TuningLog(TuningLog&& other) noexcept;
  TuningLog& operator=(TuningLog&& other) noexcept;
  ~TuningLog();

  /// Appends `fields` as one line, in one write, so that lines of several processes do not mix. kIo when the disk is full.
  Result<void> append(std::string_view event, const Json& fields);

  /// The lines of this identity that stood in the file when it was opened, oldest first.
  const std::vector<Json>& history() const { return history_; }
  int damaged_lines() const { return damaged_lines_; }

 private:
  TuningLog(int fd, std::string path, std::string key) : fd_(fd), path_(std::move(path)), key_(std::move(key)) {}
  void read_history(std::string_view text);
  Error write_error() const;

  int fd_ = -1;
  std::string path_, key_;
  std::vector<Json> history_;
  int damaged_lines_ = 0;
};

}  // namespace fsa::tuner
