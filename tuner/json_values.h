#pragma once
// Owns the JSON forms of the values that logs and workers exchange: errors, compile reports, samples, verdicts.
#include <string>
#include <string_view>
#include <vector>

#include "codegen/base/json.h"
#include "codegen/compiler.h"
#include "fsa/base/result.h"
#include "tuner/evaluator.h"

namespace fsa::tuner {

/// kCorrupt: `what` was read but is not of the form `supported`.
Error malformed(std::string_view what, const Json& json, std::string supported);

/// One line of compact JSON; bytes that are not UTF-8 (a compiler's output may hold any) become U+FFFD.
std::string to_line(const Json& json);
/// Parses one line; kCorrupt when it is not JSON.
Result<Json> parse_line(std::string_view line);

/// {"kind","given","supported","remedy"}.
Json to_json(const Error& error);
Error error_from_json(const Json& json);

Json to_json(const CompileReport& report);
Result<CompileReport> report_from_json(const Json& json);

/// [seconds...], or {"error": {...}}.
Json to_json(const Samples& samples);
Samples samples_from_json(const Json& json);

/// {"error","tolerance"}; an error that is not finite is null.
Json to_json(const Verdict& verdict);
Result<Verdict> verdict_from_json(const Json& json);

}  // namespace fsa::tuner
