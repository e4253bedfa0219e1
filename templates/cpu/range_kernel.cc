#include "templates/cpu/range_kernel.h"

#include <fmt/format.h>

#include <algorithm>

#include "templates/cpu/tile_choice.h"

namespace fsa::cpu {
namespace {

constexpr int kMostTokens = 16384;

/// About 512 rows: their states still fit a second-level cache, and a block of keys is shared by enough of them to pay for
/// its packing. Fewer where that would leave fewer than eight work items.
int default_tokens(const RangeProblem& p) {
  int tokens = std::clamp(512 / p.group, 32, 512);
  while (tokens > 1 && (p.total_q + tokens - 1) / tokens * p.heads_kv < 8) tokens /= 2;
  return tokens;
}

std::size_t scratch_bytes(const RangeProblem& p, const RangeConfig& c) {
  return static_cast<std::size_t>(range_scratch(range_shape(p), c).end) * sizeof(float);
}

}  // namespace

const FieldTable<RangeConfig>& RangeKernels::config_fields() {
  static const FieldTable<Config> fields{{"math", &Config::math, math_names()},
                                         {"mr", &Config::mr},
                                         {"nr", &Config::nr},
                                         {"keys", &Config::keys},
                                         {"tokens", &Config::tokens}};
  return fields;
}

RangeConfig RangeKernels::default_config(const RangeProblem& p, const Target& target) {
  const TileSize tile = default_tile(target);
  return {.math = Math::kF32, .mr = tile.mr, .nr = tile.nr, .keys = 64, .tokens = default_tokens(p)};
}

std::vector<Tunable<RangeConfig>> RangeKernels::tunables(const RangeProblem& p, const Target& target) {
  const auto& f = config_fields();
  const RangeConfig base = default_config(p, target);
  const TileValues tiles = tile_values(target);
  // A quarter or four times the tokens measured within 4 % of the default.
  return {{f[0], math_values(p.element, target)}, {f[1], tiles.mr}, {f[2], tiles.nr}, {f[3], {64, 128}}, {f[4], {base.tokens}}};
}

std::string RangeKernels::invalid_reason(const RangeProblem& p, const RangeConfig& c, const Target& target) {
  if (c.keys < 16 || c.keys > kMaxKeyVectors * kLanes || c.keys % kLanes)
    return fmt::format("keys is {}, not a multiple of {} up to {}", c.keys, kLanes, kMaxKeyVectors * kLanes);
  if (c.tokens < 1 || c.tokens > kMostTokens) return fmt::format("tokens is {}, not 1 to {}", c.tokens, kMostTokens);
  return tile_invalid_reason(p.element, c.math, c.mr, c.nr, target);
}

Resources RangeKernels::resources(const RangeProblem& p, const RangeConfig& c) {
  return {.threads = 1, .scratch_bytes = scratch_bytes(p, c), .registers = c.mr * c.nr + c.nr + 1};
}

std::vector<Launch> RangeKernels::launches(const RangeProblem& p, const RangeConfig& c) {
  const std::int64_t items = (p.total_q + c.tokens - 1) / c.tokens * p.heads_kv;
  return {{.grid = {static_cast<std::uint32_t>(items), 1, 1}, .scratch_bytes = scratch_bytes(p, c)}};
}

}  // namespace fsa::cpu
