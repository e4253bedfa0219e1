#include "templates/block_index/cuda_kernel.h"

#include <fmt/format.h>

#include "templates/block_index/index_sizes.h"

namespace fsa::block_index {
namespace {

/// How the queries are cut into segments and chunks.
struct Segmentation {
  std::int64_t segment_tokens, segments, chunk_segments, chunks;
};

/// Segments long enough that the counts [Hkv, S, C] stay within about the size of the index, Hkv * Tq * T.
Segmentation segmentation(const SelectedProblem& p, const Config& c) {
  const std::int64_t tokens = std::max<std::int64_t>(c.segment_tokens, power_of_two_above(cuda::ceil_div64(p.cells(), p.topk)));
  const std::int64_t segments = std::max<std::int64_t>(1, cuda::ceil_div64(p.total_q, tokens));
  const std::int64_t chunk = std::clamp<std::int64_t>(chunk_tokens(p, c.chunk_mib) / tokens, 1, segments);
  return {.segment_tokens = tokens, .segments = segments, .chunk_segments = chunk, .chunks = cuda::ceil_div64(segments, chunk)};
}

std::int64_t tiles(const SelectedProblem& p, const Config& c) { return cuda::ceil_div64(p.cells(), c.tile_cells()); }

std::int64_t scratch_words(const SelectedProblem& p, const Config& c) {
  const Segmentation s = segmentation(p, c);
  return p.heads_kv * (p.cells() * (s.segments + 1) + tiles(p, c) * (1 + s.chunks));
}

}  // namespace

const FieldTable<Config>& Cuda::config_fields() {
  static const FieldTable<Config> fields{
      {"warps", &Config::warps}, {"segment_tokens", &Config::segment_tokens}, {"chunk_mib", &Config::chunk_mib}};
  return fields;
}

Config Cuda::default_config(const Problem& p, const Target&) {
  // Enough thread blocks for every multiprocessor come before few counts.
  Config c;
  while (c.segment_tokens > 64 && p.total_q * p.heads_kv < 1024 * c.segment_tokens) c.segment_tokens /= 2;
  return c;
}

std::vector<Tunable<Config>> Cuda::tunables(const Problem&, const Target&) {
  return {{config_fields()[0], {4, 8, 16}}, {config_fields()[1], {64, 128, 256, 512}}, {config_fields()[2], {32, 64}}};
}

std::string Cuda::invalid_reason(const Problem&, const Config& c, const Target&) {
  if (c.warps != 4 && c.warps != 8 && c.warps != 16) return fmt::format("warps is {}, not 4, 8 or 16", c.warps);
  if (c.segment_tokens < 32 || c.segment_tokens > 4096 || (c.segment_tokens & (c.segment_tokens - 1)) != 0)
    return fmt::format("segment_tokens is {}, not a power of two from 32 to 4096", c.segment_tokens);
  if (c.chunk_mib < Config::kLeastChunkMib || c.chunk_mib > 1024)
    return fmt::format("chunk_mib is {}, not {} to 1024", c.chunk_mib, Config::kLeastChunkMib);
  return {};
}

Resources Cuda::resources(const Problem& p, const Config& c) {
  return {.threads = c.threads(),
          .scratch_bytes = static_cast<std::size_t>(Config::fill_bytes(selected_shape(p), static_cast<int>(p.cells()))),
          .registers = 48};
}

std::vector<TensorSpec> Cuda::tensors(const Problem& p, const Config& c) {
  return {cuda::block_indices_tensor(p),
          cuda::sequences_tensor(p, "cu_q"),
          cuda::sequences_tensor(p, "cu_k"),
          {"segment_counts", Access::kWrite, DType::kI32, {scratch_words(p, c)}},
          cell_offset_tensor(p, Access::kWrite),
          entry_token_tensor(p, Access::kWrite),
          entry_position_tensor(p, Access::kWrite),
          work_items_tensor(p, Access::kWrite),
          work_count_tensor(Access::kWrite)};
}

std::vector<Launch> Cuda::launches(const Problem& p, const Config& c) {
  const Segmentation s = segmentation(p, c);
  const std::int64_t groups = p.heads_kv * cuda::ceil_div64(p.cells(), 32);
  const std::int64_t scans = std::max<std::int64_t>(1, p.heads_kv * s.chunks * tiles(p, c));
  const auto cells = static_cast<int>(p.cells());
  // Each of the scans waits for the launch ahead at once, fill when it has marked its first step.
  return {cuda::launch("kernel_entry_histogram", p.heads_kv * s.segments, c.threads(),
                       static_cast<std::size_t>(Config::histogram_bytes(selected_shape(p), cells))),
          cuda::early(cuda::launch("kernel_entry_scan_segments", groups, c.threads(), 0)),
          cuda::early(cuda::launch("kernel_entry_scan_cells", scans, c.threads(), 0)),
          cuda::early(cuda::launch("kernel_entry_fill", p.heads_kv * s.segments, c.threads(), resources(p, c).scratch_bytes))};
}

Params Cuda::pack(const Problem& p, const Config& c, std::span<const TensorView> t) {
  const Segmentation s = segmentation(p, c);
  return {.block_indices = cuda::pointer<const int>(t[0]),
          .cu_q = cuda::pointer<const int>(t[1]),
          .cu_k = cuda::pointer<const int>(t[2]),
          .segment_counts = cuda::pointer<int>(t[3]),
          .cell_offset = cuda::pointer<int>(t[4]),
          .entry_token = cuda::pointer<int>(t[5]),
          .entry_position = cuda::pointer<int>(t[6]),
          .work_items = cuda::pointer<int>(t[7]),
          .work_count = cuda::pointer<int>(t[8]),
          .total_q = static_cast<int>(p.total_q),
          .total_k = static_cast<int>(p.total_k),
          .num_seqs = p.num_seqs,
          .heads_kv = p.heads_kv,
          .cells = static_cast<int>(p.cells()),
          .segments = static_cast<int>(s.segments),
          .segment_tokens = static_cast<int>(s.segment_tokens),
          .item_tokens = item_tokens(p),
          .chunk_segments = static_cast<int>(s.chunk_segments)};
}

}  // namespace fsa::block_index
