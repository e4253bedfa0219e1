#include "templates/shared_attention/cuda_kernel.h"

#include <fmt/format.h>

#include <limits>

#include "templates/cuda/host_kernel.h"
#include "templates/shared_blocks/cuda_kernel.h"

namespace fsa::shared_attention {
namespace {

/// Thread blocks of several tiles bring the next one's rows while they attend one; but enough of them come first: of a large Hopper's 132
/// multiprocessors none is to be idle for long.
constexpr std::int64_t kManyBlocks = 4 * 132;

/// Registers that a warpgroup's lanes need beyond those it has, if it does.
std::string short_of_registers(const SelectedShape& s) {
  const cuda::RangeConfig range = Config{}.range(s);
  const int needed = range.attending_registers(range_shape(s)) + Config::kOfMembers, held = range.consumer_registers();
  return needed > held ? fmt::format("a warpgroup needs about {} registers of {}", needed, held) : std::string();
}

std::string short_of_memory(const SelectedShape& s, const Config& c, const Target& target) {
  if (cuda::fits_shared_memory(static_cast<std::size_t>(c.smem_bytes(s)), 1, target)) return {};
  return fmt::format("{} bytes of shared memory exceed a multiprocessor", c.smem_bytes(s));
}

std::int64_t all_tiles(const SelectedProblem& p) { return p.heads_kv * shared_blocks::tiles(p); }

}  // namespace

Result<void> check(const SelectedProblem& p, const Target& target) {
  FSA_RETURN_IF_ERROR(shared_blocks::check(p, target));
  if (target.arch != "sm_90a") return unsupported(fmt::format("{}, which has no wgmma", target.arch), "sm_90a");
  if (p.cells() > std::numeric_limits<std::int32_t>::max() / p.block_size - 1)
    return unsupported(fmt::format("total_k {} in {} sequences", p.total_k, p.num_seqs), "fewer than 2^31 keys in whole blocks");
  if (p.total_q > (std::numeric_limits<std::int32_t>::max() - 4096) / p.group)
    return unsupported(fmt::format("total_q {} x group {}", p.total_q, p.group), "fewer than 2^31 query rows of a kv head");
  const SelectedShape s = selected_shape(p);
  std::string reason = short_of_registers(s);
  if (reason.empty()) reason = short_of_memory(s, {.stages = 2}, target);
  if (reason.empty()) return {};
  return unsupported(fmt::format("block_size {} with head dims {} and {}: {}", p.block_size, p.head_dim, p.head_dim_v, reason),
                     "smaller blocks or heads");
}

const FieldTable<Config>& Cuda::config_fields() {
  static const FieldTable<Config> fields{{"stages", &Config::stages}, {"tiles", &Config::tiles}, {"pingpong", &Config::pingpong}};
  return fields;
}

Config Cuda::default_config(const Problem& p, const Target& target) {
  Config c{.stages = 4};
  while (c.stages > 2 && !short_of_memory(selected_shape(p), c, target).empty()) --c.stages;
  while (c.tiles > 1 && all_tiles(p) / c.tiles < kManyBlocks) c.tiles /= 2;
  return c;
}

std::vector<Tunable<Config>> Cuda::tunables(const Problem& p, const Target& target) {
  const Config c = default_config(p, target);
  return {{config_fields()[0], {2, 3, 4}}, {config_fields()[1], cuda::values_with({1, 4, 8}, c.tiles)}, {config_fields()[2], {0, 1}}};
}

std::string Cuda::invalid_reason(const Problem& p, const Config& c, const Target& target) {
  if (target.arch != "sm_90a") return fmt::format("{} has no wgmma: sm_90a has", target.arch);
  if (c.stages < 2 || c.stages > 8) return fmt::format("stages is {}, not 2 to 8", c.stages);
  if (c.tiles < 1 || c.tiles > 64) return fmt::format("tiles is {}, not 1 to 64", c.tiles);
  if (c.pingpong < 0 || c.pingpong > 1) return fmt::format("pingpong is {}, not 0 or 1", c.pingpong);
  if (std::string reason = short_of_registers(selected_shape(p)); !reason.empty()) return reason;
  return short_of_memory(selected_shape(p), c, target);
}

Resources Cuda::resources(const Problem& p, const Config& c) {
  return {.threads = c.threads(),
          .scratch_bytes = static_cast<std::size_t>(c.smem_bytes(selected_shape(p))),
          .registers = 65536 / c.threads() / 8 * 8};
}

std::vector<TensorSpec> Cuda::tensors(const Problem& p, const Config& c) {
  const SelectedShape s = selected_shape(p);
  const std::int64_t heads_q = std::int64_t{p.heads_kv} * p.group, blocks = p.heads_kv * (p.cells() + 1);
  return {cuda::query_tensor(p),
          cuda::key_tensor(p),
          cuda::value_tensor(p),
          cuda::sequences_tensor(p, "cu_q"),
          cuda::sequences_tensor(p, "cu_k"),
          shared_blocks::steps_tensor(p, Access::kRead),
          shared_blocks::count_tensor(p, Access::kRead),
          {"shared_o", Access::kWrite, DType::kF16, {p.total_q, heads_q, p.head_dim_v}},
          {"shared_unit", Access::kWrite, DType::kF32, {heads_q, p.total_q}},
          {"shared_lse", Access::kWrite, DType::kF32, {heads_q, p.total_q}},
          {"block_k_tiles", Access::kWrite, DType::kI32, {blocks, c.range(s).k_bytes(range_shape(s)) / 4}},
          {"block_v_tiles", Access::kWrite, DType::kI32, {blocks, c.range(s).v_bytes(range_shape(s)) / 4}},
          {"block_v_fields", Access::kWrite, DType::kI32, {blocks}}};
}

std::vector<Launch> Cuda::launches(const Problem& p, const Config& c) {
  const Resources r = resources(p, c);
  return {cuda::launch("kernel_entry_prepare", p.total_q > 0 ? 2 * p.heads_kv * p.cells() : 0, c.threads(), 0),
          cuda::launch("kernel_entry_run", cuda::ceil_div64(all_tiles(p), c.tiles), c.threads(), r.scratch_bytes)};
}

Params Cuda::pack(const Problem& p, const Config&, std::span<const TensorView> t) {
  const auto cells = static_cast<int>(p.cells());
  return {.range = {.q = t[0].data,
                    .k = t[1].data,
                    .v = t[2].data,
                    .cu_q = cuda::pointer<const int>(t[3]),
                    .cu_k = cuda::pointer<const int>(t[4]),
                    .cu_rows = cuda::pointer<const int>(t[4]),
                    .o = t[7].data,
                    .lse = cuda::pointer<float>(t[9]),
                    .o_unit = cuda::pointer<float>(t[8]),
                    .q_stride = cuda::row_strides(t[0]),
                    .k_stride = cuda::row_strides(t[1]),
                    .v_stride = cuda::row_strides(t[2]),
                    .o_stride = cuda::row_strides(t[7]),
                    .total_q = static_cast<int>(p.total_q),
                    .total_k = static_cast<int>(p.total_k),
                    .total_rows = cells * p.block_size,
                    .num_seqs = p.num_seqs,
                    .heads_kv = p.heads_kv,
                    .kernel_size = 0,
                    .stride = 0,
                    .window = 0,
                    .scale = p.scale,
                    .k_tiles = cuda::pointer<unsigned char>(t[10]),
                    .v_tiles = cuda::pointer<unsigned char>(t[11]),
                    .v_fields = cuda::pointer<int>(t[12])},
          .shared_steps = cuda::pointer<const int>(t[5]),
          .shared_count = cuda::pointer<const int>(t[6]),
          .cells = cells,
          .tiles = static_cast<int>(shared_blocks::tiles(p))};
}

}  // namespace fsa::shared_attention
