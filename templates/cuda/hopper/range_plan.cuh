#pragma once
// Owns what the kernels of Hopper's attention over ranges agree on: sizes, and V as tiles in global memory.
#include "cuda/hopper/wgmma.cuh"
#include "cuda/range_config.h"
#include "range_params.h"

namespace fsa::cuda::hopper {

template <RangeShape kShape, RangeConfig kConfig>
struct RangePlan {
  static_assert(kConfig.warps % 4 == 0 && kConfig.row_tiles == 1, "a warpgroup is four warps of 16 rows");
  static_assert(kConfig.keys % 16 == 0 && kConfig.stages >= 2, "a stage is filled while another is read");
  static_assert(kShape.head_dim % 8 == 0 && kShape.head_dim_v % 8 == 0, "rows are read and written in 16-byte pieces");

  static constexpr bool kF16 = kShape.element == Element::kF16, kScaled = kShape.scaled != 0;
  static constexpr Element kOutput = kShape.output;
  static constexpr int kConsumers = kConfig.warps / 4, kRows = kConfig.rows(), kKeys = kConfig.keys, kStages = kConfig.stages;
  static constexpr int kUnitRows = 64;             // rows of a tile that a warpgroup's 64 stand for
  static constexpr bool kMembers = false;          // steps name the queries that see them
  static constexpr bool kRestoresCounter = false;  // the counter of tiles: prepare sets it to 0
  /// Of V, within groups of 32: see TilePieces::permute_columns. Wide outputs leave no registers to store them as f32 then.
  static constexpr bool kPermutesColumns = kShape.head_dim_v % 32 == 0 && kShape.head_dim_v <= 128;
  static constexpr int kLookups = kRows / 32, kCopiers = 128, kFinders = 96, kThreads = kConfig.threads();
  static constexpr int kGroup = kShape.group, kD = kShape.head_dim, kDv = kShape.head_dim_v, kDepth = RangeConfig::k_columns(kShape);
  static constexpr int kStepAlign = RangeConfig::kStepAlign;
  static constexpr int kRowTiles = 1, kKeyTiles = kKeys / 8, kOutputTiles = kDv / 8;
  using QTile = PanelTile<kRows, kDepth>;
  using KTile = PanelTile<kKeys, kDepth>;
  using VTile = PanelTile<kKeys, kDv>;
  static constexpr bool kTakesTurns = kConfig.pingpong != 0, kStreams = kConfig.stream != 0;
  static constexpr bool kHoldsQueries = kConfig.held_registers(kShape) > 0;
  static constexpr int kQBytes = kConfig.q_bytes(kShape), kKBytes = kConfig.k_bytes(kShape), kVBytes = kConfig.v_bytes(kShape);
  static constexpr int kProducerRegisters = RangeConfig::producer_registers(), kConsumerRegisters = kConfig.consumer_registers();
  /// See cuda::RangePlan.
  static constexpr float kHeadroom = 8.0f;
};

/// What is known of a block of V: the exponent field of the power of two that it was multiplied by (0 of f16, which are
/// not), and whether its numbers are finite.
struct TileField {
  int word;

  FSA_DEVICE static TileField of(int exponent, bool finite) { return {exponent | (finite ? 0 : 256)}; }
  FSA_DEVICE int exponent() const { return word & 255; }
  FSA_DEVICE bool is_finite() const { return word < 256; }
};

/// Blocks of kKeys rows that a head's V is laid out as. The last is of zeros: a step may begin at any kStepAlign-th row.
template <class T>
FSA_DEVICE int laid_out_blocks(const RangeParams& p) {
  return ceil_div(p.total_rows, T::kKeys) + 1;
}

/// Row `row` of V as it is laid out: of every head the panels of a PanelTile of all its rows. Further panels are `pitch` bytes
/// apart. Any kStepAlign-th row begins a tile of as many rows as are wanted.
template <class T>
struct LaidOutRows {
  long long pitch, offset;

  FSA_DEVICE LaidOutRows(const RangeParams& p, int head, int row)
      : pitch(static_cast<long long>(laid_out_blocks<T>(p)) * T::kKeys * 128), offset(head * kPanels * pitch + row * 128) {}

  static constexpr int kPanels = ceil_div(T::VTile::kChunks, 8);
};

}  // namespace fsa::cuda::hopper
