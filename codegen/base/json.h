#pragma once
// Owns the JSON type used for configs, problems and cache files: field order is kept, so dumps are stable and readable.
#include <nlohmann/json.hpp>

namespace fsa {
using Json = nlohmann::ordered_json;
}  // namespace fsa
