#pragma once
// Owns tunables: the legal values of a config's members, and the enumeration of their product.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "codegen/fields.h"

namespace fsa {

/// One member of a Config and the values the tuner may give it.
template <class Config>
struct Tunable {
  Field<Config> field;
  std::vector<std::int64_t> values;
};

/// Every combination of the tunables' values, laid over `base`, for which `is_legal` holds. The last tunable varies
/// fastest, so the order is stable across runs and machines: it is the tie-break of the tuner.
template <class Config>
std::vector<Config> enumerate(const std::vector<Tunable<Config>>& tunables, const Config& base, const std::function<bool(const Config&)>& is_legal) {
  std::vector<Config> configs{base};
  for (const auto& tunable : tunables) {
    std::vector<Config> extended;
    for (const Config& c : configs)
      for (std::int64_t value : tunable.values) {
        extended.push_back(c);
        tunable.field.set(extended.back(), static_cast<double>(value));
      }
    configs = std::move(extended);
  }
  std::erase_if(configs, [&](const Config& c) { return !is_legal(c); });
  return configs;
}

}  // namespace fsa
