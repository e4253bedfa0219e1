#include "templates/select_blocks/cuda_kernel.h"

#include <fmt/format.h>

#include <algorithm>

#include "templates/cuda/host_kernel.h"
#include "templates/select_blocks/tensors.h"

namespace fsa::select_blocks {
namespace {

/// Registers a lane needs: its keys, sums and products, the queries or the next keys under way, and addresses. With wgmma candidates
/// are thinned out in the registers of sums and products.
int registers(const Shape& s, const Config& c) {
  if (c.wgmma()) return c.columns(s) / 2 + std::max(c.tokens / 2 * std::min(3, s.group + 1), c.capacity(s) + 16) + 40;
  return c.warp_keys() * c.columns(s) / 64 + c.warp_rows() * c.warp_keys() / 16 + c.warp_rows() / 4 + 60;
}

/// Most candidates of a query: a lane holds a 32nd of them.
constexpr int kMostCandidates = 256;

/// Most heads of a group that stay in shared memory.
constexpr int kMostHeads = 64;

/// Most heads of a group with wgmma: more leave too few queries to a thread block.
constexpr int kMostWgmmaHeads = 32;

std::string tile_reason(const Shape& s, const Config& c) {
  if (c.tokens < 16 || c.tokens > 128 || c.warps_m < 1 || c.tokens % (16 * c.warps_m) != 0)
    return fmt::format("{} queries are not 16 to 128, or no multiple of 16 for each of {} warps", c.tokens, c.warps_m);
  if (c.keys < 16 || c.keys > 256 || c.warps_n < 1 || c.keys % (16 * c.warps_n) != 0)
    return fmt::format("{} keys are not 16 to 256, or no multiple of 16 for each of {} warps", c.keys, c.warps_n);
  if (c.warps_m * c.warps_n > 16) return fmt::format("{} x {} warps, not 1 to 16", c.warps_m, c.warps_n);
  if (c.tokens > c.threads()) return fmt::format("{} queries exceed {} threads", c.tokens, c.threads());
  if (c.capacity(s) > kMostCandidates) return fmt::format("{} candidates of a query exceed {}", c.capacity(s), kMostCandidates);
  return {};
}

/// What wgmma needs; its rows are keys, for a key then stays in registers for all heads.
std::string wgmma_reason(const Shape& s, const Config& c, const Target& target) {
  if (target.arch != "sm_90a") return fmt::format("wgmma is an instruction of sm_90a, not of {}", target.arch);
  if (c.keys != 64 || c.warps_m != 1 || c.warps_n != 4)
    return fmt::format("{} keys, {} x {} warps: a warpgroup of 1 x 4 warps multiplies 64", c.keys, c.warps_m, c.warps_n);
  if (c.tokens != 16 && c.tokens != 32 && c.tokens != 64) return fmt::format("{} queries, not 16, 32 or 64 with wgmma", c.tokens);
  if (s.group > kMostWgmmaHeads) return fmt::format("a group of {} heads exceeds {}", s.group, kMostWgmmaHeads);
  if (c.q_buffers != s.group || c.k_buffers != 0)
    return fmt::format("q_buffers is {} and k_buffers {}: wgmma has all {} heads in shared memory and the keys in registers", c.q_buffers,
                       c.k_buffers, s.group);
  if (c.keys % s.keys_per_block() != 0 || s.span() > c.keys)
    return fmt::format("blocks of {} keys, or keys of {} strides, do not fit a step of {} keys", s.keys_per_block(), s.span(), c.keys);
  if (s.blocks_per_tile(c.keys) % c.scorers() != 0)
    return fmt::format("{} blocks of a step do not divide among the {} threads of a query", s.blocks_per_tile(c.keys), c.scorers());
  return {};
}

std::string buffer_reason(const Shape& s, const Config& c) {
  if (c.k_buffers < 1 || c.k_buffers > 2) return fmt::format("k_buffers is {}, not 1 or 2", c.k_buffers);
  if (c.q_buffers > kMostHeads) return fmt::format("q_buffers is {}, not up to {}", c.q_buffers, kMostHeads);
  if (c.q_buffers == s.group) return {};
  if (c.q_buffers < 2 || c.q_buffers > s.group) return fmt::format("q_buffers is {}, not 2 to the group of {}", c.q_buffers, s.group);
  return c.k_buffers == 1 ? std::string() : "queries that are read again leave no use for a second key buffer";
}

std::string fit_reason(const Shape& s, const Config& c, const Target& target) {
  if (c.blocks < 1 || c.threads() * c.blocks > target.cuda.max_threads_per_sm)
    return fmt::format("{} blocks of {} threads exceed a multiprocessor", c.blocks, c.threads());
  const int needed = registers(s, c), cap = cuda::register_cap(c.threads(), c.blocks, target);
  if (needed > cap) return fmt::format("it needs about {} registers of {}", needed, cap);
  const auto bytes = static_cast<std::size_t>(c.smem_bytes(s));
  if (!cuda::fits_shared_memory(bytes, c.blocks, target))
    return fmt::format("{} blocks of {} bytes of shared memory exceed a multiprocessor", c.blocks, bytes);
  return {};
}

/// From 8 warps of 32 x 16 tiles, 10 % faster on an H200 than 32 x 32, to fewer queries and narrower tiles; the last fits every
/// problem on every target.
constexpr Config kPreferred[] = {{.tokens = 32, .keys = 128, .warps_m = 1, .warps_n = 8, .k_buffers = 1},
                                 {.tokens = 64, .keys = 128, .warps_m = 2, .warps_n = 4, .k_buffers = 2},
                                 {.tokens = 64, .keys = 128, .warps_m = 2, .warps_n = 4, .k_buffers = 1},
                                 {.tokens = 32, .keys = 128, .warps_m = 2, .warps_n = 4, .k_buffers = 2},
                                 {.tokens = 32, .keys = 128, .warps_m = 2, .warps_n = 4, .k_buffers = 1},
                                 {.tokens = 32, .keys = 64, .warps_m = 2, .warps_n = 2, .k_buffers = 1},
                                 {.tokens = 16, .keys = 256, .warps_m = 1, .warps_n = 8, .k_buffers = 1},
                                 {.tokens = 16, .keys = 128, .warps_m = 1, .warps_n = 4, .k_buffers = 1},
                                 {.tokens = 16, .keys = 64, .warps_m = 1, .warps_n = 4, .k_buffers = 1},
                                 {.tokens = 16, .keys = 32, .warps_m = 1, .warps_n = 2, .k_buffers = 1}};

/// Fewer queries, where shared memory does not hold the whole group twice: two thread blocks per multiprocessor with half the queries
/// each are a fifth faster than one (8 heads of 128 on an H200).
constexpr Config wgmma_config(int tokens, int blocks) {
  return {.tokens = tokens, .keys = 64, .warps_m = 1, .warps_n = 4, .k_buffers = 0, .blocks = blocks, .mma = cuda::Mma::kWarpgroup};
}
constexpr Config kPreferredWgmma[] = {wgmma_config(64, 3), wgmma_config(64, 2), wgmma_config(32, 2), wgmma_config(16, 2),
                                      wgmma_config(16, 1)};

/// Fewer queries per thread block where sequences have few, or where the blocks would leave multiprocessors without one.
int most_tokens(const Problem& p) {
  constexpr std::int64_t kManyBlocks = 128;
  const std::int64_t mean = p.num_seqs > 0 ? (p.total_q + p.num_seqs - 1) / p.num_seqs : 0;
  int tokens = 64;
  while (tokens > 16 && (mean <= tokens / 2 || p.total_q / tokens * p.heads_kv < kManyBlocks)) tokens /= 2;
  return tokens;
}

/// The values that wgmma has of its own are offered where it is.
std::vector<std::int64_t> with_wgmma(std::vector<std::int64_t> values, std::int64_t value, const Target& target) {
  if (target.arch == "sm_90a") values.push_back(value);
  return values;
}

}  // namespace

const FieldTable<Config>& Cuda::config_fields() {
  static const FieldTable<Config> fields{{"tokens", &Config::tokens},       {"keys", &Config::keys},
                                         {"warps_m", &Config::warps_m},     {"warps_n", &Config::warps_n},
                                         {"q_buffers", &Config::q_buffers}, {"k_buffers", &Config::k_buffers},
                                         {"blocks", &Config::blocks},       {"mma", &Config::mma, cuda::mma_names()}};
  return fields;
}

/// wgmma where there is one that fits. Else the first that fits, of those with the most products per byte loaded; a group whose
/// queries do not fit even so is read again at every step.
Config Cuda::default_config(const Problem& p, const Target& target) {
  const int most = most_tokens(p);
  for (Config c : kPreferredWgmma) {
    c.q_buffers = p.group;
    if (most >= 64 && invalid_reason(p, c, target).empty()) return c;
  }
  for (const int q_buffers : {p.group, 2})
    for (Config c : kPreferred) {
      c.q_buffers = q_buffers;
      if (c.tokens <= most && invalid_reason(p, c, target).empty()) return c;
    }
  return {.tokens = 16, .keys = 32, .warps_m = 1, .warps_n = 2, .q_buffers = std::min(2, p.group), .k_buffers = 1, .blocks = 1};
}

std::vector<Tunable<Config>> Cuda::tunables(const Problem& p, const Target& target) {
  const auto& f = config_fields();
  const Config c = default_config(p, target);
  return {{f[0], cuda::values_with({16, 32, 64}, c.tokens)},
          {f[1], cuda::values_with({64, 128, 256}, c.keys)},
          {f[2], cuda::values_with({1, 2, 4}, c.warps_m)},
          {f[3], cuda::values_with({2, 4, 8}, c.warps_n)},
          {f[4], cuda::values_with({std::min(3, p.group), p.group}, c.q_buffers)},
          {f[5], cuda::values_with(with_wgmma({1, 2}, 0, target), c.k_buffers)},
          {f[6], {1, 2, 3}},
          {f[7], with_wgmma({0}, 1, target)}};
}

std::string Cuda::invalid_reason(const Problem& p, const Config& c, const Target& target) {
  const Shape s = p.shape();
  if (std::string reason = tile_reason(s, c); !reason.empty()) return reason;
  if (std::string reason = c.wgmma() ? wgmma_reason(s, c, target) : buffer_reason(s, c); !reason.empty()) return reason;
  return fit_reason(s, c, target);
}

Resources Cuda::resources(const Problem& p, const Config& c) {
  const Shape s = p.shape();
  return {.threads = c.threads(), .scratch_bytes = static_cast<std::size_t>(c.smem_bytes(s)), .registers = registers(s, c)};
}

std::vector<TensorSpec> Cuda::tensors(const Problem& p, const Config&) { return tensor_specs(p); }

std::vector<Launch> Cuda::launches(const Problem& p, const Config& c) {
  const std::int64_t tiles = p.total_q / c.tokens + p.num_seqs;
  return {cuda::launch("kernel_entry", tiles * p.heads_kv, c.threads(), static_cast<std::size_t>(c.smem_bytes(p.shape())))};
}

Params Cuda::pack(const Problem& p, const Config&, std::span<const TensorView> t) { return pack_params(p, t); }

}  // namespace fsa::select_blocks
