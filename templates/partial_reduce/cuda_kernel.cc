#include "templates/partial_reduce/cuda_kernel.h"

#include <fmt/format.h>

#include <algorithm>

#include "templates/block_index/index_sizes.h"

namespace fsa::partial_reduce {

const FieldTable<Config>& Cuda::config_fields() {
  static const FieldTable<Config> fields{{"warps", &Config::warps},
                                         {"passes", &Config::passes},
                                         {"loads", &Config::loads},
                                         {"blocks", &Config::blocks},
                                         {"partial", &Config::partial, partial_names()}};
  return fields;
}

Config Cuda::default_config(const Problem& p, const Target&) {
  Config c;
  c.partial = static_cast<Partial>(p.partial);
  if (c.partial == Partial::kF32) c.loads = 4;
  // A load is a lane's share of a row, three pieces: fewer warps with more in flight each.
  if (c.partial == Partial::kI12) c.passes = 1, c.loads = p.head_dim_v > 64 ? 4 : 2, c.blocks = 5;
  return c;
}

std::vector<Tunable<Config>> Cuda::tunables(const Problem& p, const Target&) {
  const auto& f = config_fields();
  if (static_cast<Partial>(p.partial) == Partial::kI12) {
    return {{f[0], {4, 8}}, {f[1], {1, 2}}, {f[2], {2, 3, 4}}, {f[3], {3, 4, 5, 6}}};
  }
  return {{f[0], {4, 8}}, {f[1], {1, 2, 4}}, {f[2], {4, 8, 16}}, {f[3], {4, 6, 8}}};
}

std::string Cuda::invalid_reason(const Problem& p, const Config& c, const Target& target) {
  if (c.partial != static_cast<Partial>(p.partial)) return "partial is not the element type of the partial outputs";
  if (c.partial == Partial::kI12 && !packs12(p.head_dim_v))
    return fmt::format("i12 partials need head_dim_v 64 or 128, not {}", p.head_dim_v);
  if (c.warps < 1 || c.warps > 16) return fmt::format("warps is {}, not 1 to 16", c.warps);
  if (c.passes < 1 || c.passes > 8) return fmt::format("passes is {}, not 1 to 8", c.passes);
  if (c.loads < 1 || c.loads > 16) return fmt::format("loads is {}, not 1 to 16", c.loads);
  if (c.blocks < 1 || c.threads() * c.blocks > target.cuda.max_threads_per_sm)
    return fmt::format("{} blocks of {} threads exceed a multiprocessor", c.blocks, c.threads());
  const int cap = cuda::register_cap(c.threads(), c.blocks, target);
  if (resources(p, c).registers > cap) return fmt::format("its loads in flight need {} registers of {}", resources(p, c).registers, cap);
  return {};
}

Resources Cuda::resources(const Problem& p, const Config& c) {
  const int columns = c.lane_columns(p.head_dim_v);  // sums, and for each load words and a weight
  const int piece = c.partial == Partial::kF32 ? 8 : 4;
  // Packed words outnumber all else; found by compiling, as is what any kernel of them takes.
  const int packed = columns + std::max(16 + c.loads * columns * 3 / 8, 52);
  return {.threads = c.threads(),
          .scratch_bytes = static_cast<std::size_t>(c.smem_bytes(shape(p))),
          .registers = c.partial == Partial::kI12 ? packed : 24 + columns + c.loads * (piece + 1)};
}

std::vector<TensorSpec> Cuda::tensors(const Problem& p, const Config& c) {
  const int partial = static_cast<int>(c.partial);
  std::vector<TensorSpec> list{cuda::partial_o_tensor(p, partial, Access::kRead), cuda::partial_lse_tensor(p, partial, Access::kRead),
                               cuda::entry_scale_tensor(p, partial, Access::kRead), block_index::entry_position_tensor(p, Access::kRead)};
  for (TensorSpec& spec : output_tensors(p)) list.push_back(std::move(spec));
  return list;
}

std::vector<Launch> Cuda::launches(const Problem& p, const Config& c) {
  const Resources r = resources(p, c);
  const std::int64_t rows = p.heads_kv * p.total_q * p.group;
  return {cuda::launch("kernel_entry", cuda::ceil_div64(rows, std::int64_t{c.warps} * c.rows(shape(p))), r.threads, r.scratch_bytes)};
}

Params Cuda::pack(const Problem& p, const Config&, std::span<const TensorView> t) {
  Params params{.partial_o = t[0].data,
                .partial_lse = cuda::pointer<const float>(t[1]),
                .entry_scale = cuda::pointer<const float>(t[2]),
                .entry_position = cuda::pointer<const int>(t[3])};
  pack_outputs(p, t.subspan(4), params);
  return params;
}

}  // namespace fsa::partial_reduce
