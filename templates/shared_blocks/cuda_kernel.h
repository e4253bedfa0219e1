#pragma once
// Owns the host description of the CUDA kernel of shared_blocks, and the tensors that it leaves to shared_reduce.
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/kernel_facts.h"
#include "codegen/tunable.h"
#include "templates/selected_problem.h"
#include "templates/shared_blocks/config.h"
#include "templates/shared_blocks/params.h"

namespace fsa::shared_blocks {

/// What is unsupported beside what no kernel of selected attention supports: targets without wgmma, groups of more rows than a unit has,
/// more rows of blocks than an int counts, more blocks of a tile than shared memory holds.
Result<void> check(const SelectedProblem& problem, const Target& target);
/// Tiles of queries per kv head.
std::int64_t tiles(const SelectedProblem& problem);
TensorSpec steps_tensor(const SelectedProblem& problem, Access access);
TensorSpec count_tensor(const SelectedProblem& problem, Access access);
TensorSpec next_tile_tensor(Access access);
/// "block_v_tiles" and "block_v_fields": v_tiles and v_fields of RangeParams, by rows of cells.
std::vector<TensorSpec> layout_tensors(const SelectedProblem& problem, Access access);

struct Cuda {
  using Config = shared_blocks::Config;
  using Problem = SelectedProblem;
  static constexpr std::string_view kConfigType = "shared_blocks::Config";
  static constexpr std::array<std::string_view, 1> kEntries{"run"};

  static const FieldTable<Config>& config_fields();
  static Config default_config(const Problem& problem, const Target& target);
  static std::vector<Tunable<Config>> tunables(const Problem& problem, const Target& target);
  static std::string invalid_reason(const Problem& problem, const Config& config, const Target& target);
  static Resources resources(const Problem& problem, const Config& config);
  static std::vector<TensorSpec> tensors(const Problem& problem, const Config& config);
  static std::vector<Launch> launches(const Problem& problem, const Config& config);
  static Params pack(const Problem& problem, const Config& config, std::span<const TensorView> tensors);
};

}  // namespace fsa::shared_blocks
