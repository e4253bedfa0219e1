#include "templates/compress_kv/cuda_kernel.h"

#include <fmt/format.h>

#include "templates/cuda/host_kernel.h"

namespace fsa::compress_kv {
namespace {

bool is_linear(const Problem& p) { return p.mode == Mode::kLinear; }

/// Registers a lane needs: its sums, the operands of a product (ptxas loads those of w ahead) and the addresses of its copies;
/// or the loads in flight.
int registers(const Problem& p, const Config& c) {
  if (!is_linear(p)) return 40 + 5 * c.loads;
  const int copied_rows = ceil_div(c.tile_rows() * c.depth / 8, c.threads());
  const int columns = c.warp_columns(shape(p));
  return c.row_tiles * columns / 2 + columns / 8 + 8 * c.row_tiles + 2 * copied_rows + 56;
}

std::string linear_invalid_reason(const Problem& p, const Config& c, const Target& target) {
  const Shape s = shape(p);
  if (c.row_tiles < 1 || c.row_tiles > 4) return fmt::format("row_tiles is {}, not 1 to 4", c.row_tiles);
  if (c.depth != 32 && c.depth != 64 && c.depth != 128) return fmt::format("depth is {}, not 32, 64 or 128", c.depth);
  if (c.stages < 2 || c.stages > 8) return fmt::format("stages is {}, not 2 to 8", c.stages);
  if (c.threads() % (c.depth / 8) != 0) return fmt::format("{} threads do not copy rows of {} evenly", c.threads(), c.depth);
  const int columns = Config::columns(s), chunks = c.warp_columns(s) / 8;
  if (columns % (16 * c.warps_n) != 0) return fmt::format("{} columns are not {} whole 16-column parts", columns, c.warps_n);
  if (columns % 64 == 0 && chunks % 8 != 0 && 8 % chunks != 0)
    return fmt::format("{} columns of a warp straddle the swizzle's periods of 64", 8 * chunks);
  const auto bytes = static_cast<std::size_t>(c.smem_bytes(s));
  if (!cuda::fits_shared_memory(bytes, c.blocks, target))
    return fmt::format("{} blocks of {} bytes of shared memory exceed a multiprocessor", c.blocks, bytes);
  return {};
}

/// The first legal one of tiles that load little for what they multiply, the most buffers and thread blocks first.
Config default_linear(const Problem& p, const Target& target) {
  Config c;
  for (int stages : {4, 3, 2})
    for (int blocks : {2, 1})
      for (const auto& [warps_m, warps_n, row_tiles] : {std::array{2, 2, 2}, std::array{2, 3, 2}, std::array{4, 1, 1}})
        for (int depth : {64, 32}) {
          c.warps_m = warps_m, c.warps_n = warps_n, c.row_tiles = row_tiles;
          c.depth = depth, c.stages = stages, c.blocks = blocks;
          if (Cuda::invalid_reason(p, c, target).empty()) return c;
        }
  return c;
}

}  // namespace

const FieldTable<Config>& Cuda::config_fields() {
  static const FieldTable<Config> fields{{"warps_m", &Config::warps_m}, {"warps_n", &Config::warps_n}, {"row_tiles", &Config::row_tiles},
                                         {"depth", &Config::depth},     {"stages", &Config::stages},   {"loads", &Config::loads},
                                         {"blocks", &Config::blocks}};
  return fields;
}

Config Cuda::default_config(const Problem& p, const Target& target) {
  if (is_linear(p)) return default_linear(p, target);
  return {.warps_m = 8, .warps_n = 1, .row_tiles = 1, .depth = 32, .stages = 2, .loads = 8, .blocks = 2};
}

std::vector<Tunable<Config>> Cuda::tunables(const Problem& p, const Target& target) {
  const auto& f = config_fields();
  const Config c = default_config(p, target);
  if (!is_linear(p)) return {{f[0], {4, 8}}, {f[5], {4, 8, 16}}, {f[6], {2, 3}}};
  return {{f[0], cuda::values_with({1, 2, 4}, c.warps_m)},   {f[1], cuda::values_with({1, 2, 4}, c.warps_n)},
          {f[2], cuda::values_with({1, 2, 4}, c.row_tiles)}, {f[3], {32, 64}},
          {f[4], cuda::values_with({3, 4}, c.stages)},       {f[6], {1, 2}}};
}

std::string Cuda::invalid_reason(const Problem& p, const Config& c, const Target& target) {
  if (c.warps_m < 1 || c.warps_n < 1 || c.warps_m * c.warps_n > 16) return fmt::format("{} x {} warps, not 1 to 16", c.warps_m, c.warps_n);
  if (!is_linear(p) && c.warps_n != 1) return fmt::format("warps_n is {}, not 1 as in every mode but linear", c.warps_n);
  if (c.loads < 1 || c.loads > 16) return fmt::format("loads is {}, not 1 to 16", c.loads);
  if (c.blocks < 1 || c.threads() * c.blocks > target.cuda.max_threads_per_sm)
    return fmt::format("{} blocks of {} threads exceed a multiprocessor", c.blocks, c.threads());
  if (is_linear(p))
    if (std::string reason = linear_invalid_reason(p, c, target); !reason.empty()) return reason;
  const int needed = registers(p, c), cap = cuda::register_cap(c.threads(), c.blocks, target);
  if (needed > cap) return fmt::format("it needs about {} registers of {}", needed, cap);
  return {};
}

Resources Cuda::resources(const Problem& p, const Config& c) {
  return {.threads = c.threads(), .scratch_bytes = static_cast<std::size_t>(c.smem_bytes(shape(p))), .registers = registers(p, c)};
}

std::vector<TensorSpec> Cuda::tensors(const Problem& p, const Config&) { return compress_kv::tensors(p, position_splits(shape(p))); }

std::vector<Launch> Cuda::launches(const Problem& p, const Config& c) {
  const Resources r = resources(p, c);
  const std::int64_t splits = p.positional ? p.heads_kv * std::int64_t{position_splits(shape(p))} : 0;
  const std::int64_t blocks =
      is_linear(p) ? p.heads_kv * cuda::ceil_div64(p.total_c, c.tile_rows()) : cuda::ceil_div64(p.total_c * p.heads_kv, c.pairs(shape(p)));
  return {cuda::launch("kernel_entry_positions", splits, r.threads, 0),
          cuda::launch("kernel_entry_windows", blocks, r.threads, r.scratch_bytes)};
}

Params Cuda::pack(const Problem& p, const Config&, std::span<const TensorView> t) { return compress_kv::pack(p, t); }

}  // namespace fsa::compress_kv
