#pragma once
// Owns what the CPU kernels of attention may choose from: multiply-add, microkernel tile, and the host's defaults.
#include <fmt/format.h>

#include <string>
#include <vector>

#include "codegen/fields.h"
#include "codegen/target.h"
#include "templates/cpu/tile_layout.h"

namespace fsa::cpu {

inline std::vector<EnumName> math_names() { return {{0, "f32", "cpu::Math::kF32"}, {1, "bf16_dot", "cpu::Math::kBF16Dot"}}; }

/// Multiply-adds worth timing. fp32 comes first and is every default: it keeps P unrounded, and on the Xeons measured
/// vdpbf16ps runs at half the rate of fp32 multiply-adds. Where it is faster the tuner finds out.
inline std::vector<std::int64_t> math_values(Element element, const Target& target) {
  if (target.cpu.bf16_dot && element == Element::kBF16) return {static_cast<int>(Math::kF32), static_cast<int>(Math::kBF16Dot)};
  return {static_cast<int>(Math::kF32)};
}

/// Vector registers that the microkernel keeps: its sums, a row of B, and one word of A where it cannot be a memory operand.
inline int tile_registers(int mr, int nr, const CpuFeatures& cpu) {
  const int per_vector = kLanes * 4 / cpu.vector_bytes();
  return (mr * nr + nr) * per_vector + 1;
}

/// Why a microkernel tile is not legal; empty when it is.
inline std::string tile_invalid_reason(Element element, Math math, int mr, int nr, const Target& target) {
  if (math == Math::kBF16Dot && element != Element::kBF16) return "math bf16_dot needs bf16 inputs";
  if (math == Math::kBF16Dot && !target.cpu.bf16_dot) return "math bf16_dot needs avx512_bf16";
  if (mr < 1 || mr > kMaxRows || kTileRows % mr) return fmt::format("mr is {}, not a divisor of {} up to {}", mr, kTileRows, kMaxRows);
  if (nr < 1 || nr > kMaxWidth) return fmt::format("nr is {}, not 1 to {}", nr, kMaxWidth);
  const int registers = tile_registers(mr, nr, target.cpu);
  if (registers > target.cpu.vector_registers())
    return fmt::format("a {}x{} tile takes {} vector registers of {}", mr, nr, registers, target.cpu.vector_registers());
  return {};
}

struct TileSize {
  int mr, nr;
};
struct TileValues {
  std::vector<std::int64_t> mr, nr;
};

/// Tiles worth timing: 4x4, 8x2 and 4x2 with 32 registers, 6x1 and 4x1 with 16; others measured within 3 % of the best of these.
inline TileValues tile_values(const Target& target) {
  if (target.cpu.level >= 4) return {.mr = {4, 8}, .nr = {4, 2}};
  return {.mr = {6, 4}, .nr = {1}};
}

inline TileSize default_tile(const Target& target) { return target.cpu.level >= 4 ? TileSize{4, 4} : TileSize{6, 1}; }

}  // namespace fsa::cpu
