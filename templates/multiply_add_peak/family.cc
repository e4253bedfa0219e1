#include "templates/multiply_add_peak/family.h"

#include <fmt/format.h>

#include "templates/cpu/tile_choice.h"

namespace fsa {

using namespace multiply_add_peak;
using Cpu = MultiplyAddPeakFamily::Cpu;

const FieldTable<PeakProblem>& MultiplyAddPeakFamily::problem_fields() {
  static const FieldTable<PeakProblem> fields{{"math", &PeakProblem::math, cpu::math_names()}, {"items", &PeakProblem::items}, {"steps", &PeakProblem::steps}};
  return fields;
}

const FieldTable<Shape>& MultiplyAddPeakFamily::shape_fields() {
  static const FieldTable<Shape> fields{{"math", &Shape::math, cpu::math_names()}};
  return fields;
}

Result<void> MultiplyAddPeakFamily::check(const Problem& p, const Target& target) {
  if (target.backend != Backend::kCpu) return make_error(ErrorKind::kUnsupported, {.given = "multiply_add_peak on " + target.to_string(), .supported = "CPUs"});
  if (p.math == cpu::Math::kBF16Dot && !target.cpu.bf16_dot)
    return make_error(ErrorKind::kUnsupported, {.given = "the bf16 dot-product peak of " + target.to_string(), .supported = "x86-64-v4+avx512bf16"});
  if (p.items < 1 || p.steps < kStepUnit || p.steps % kStepUnit)
    return make_error(ErrorKind::kUnsupported, {.given = fmt::format("items is {} and steps is {}", p.items, p.steps),
                                                .supported = fmt::format("one item and up, steps in multiples of {}", kStepUnit)});
  return {};
}

Work MultiplyAddPeakFamily::work(const Problem& p) {
  const double per_step = 2.0 * cpu::kLanes * cpu::per_word(p.math);
  return {.flops = per_step * static_cast<double>(p.steps) * p.items, .bytes = 4.0 * p.items};
}

const FieldTable<CpuConfig>& Cpu::config_fields() {
  static const FieldTable<CpuConfig> fields{{"accumulators", &CpuConfig::accumulators}};
  return fields;
}

CpuConfig Cpu::default_config(const Problem&, const Target& target) { return {.accumulators = target.cpu.level >= 4 ? 12 : 6}; }

std::vector<Tunable<CpuConfig>> Cpu::tunables(const Problem&, const Target&) { return {{config_fields()[0], {4, 6, 8, 12, 16, 24}}}; }

std::string Cpu::invalid_reason(const Problem&, const Config& c, const Target& target) {
  if (c.accumulators < 1 || c.accumulators > kMostAccumulators || kStepUnit % c.accumulators)
    return fmt::format("accumulators is {}, not a divisor of {} up to {}", c.accumulators, kStepUnit, kMostAccumulators);
  const int registers = cpu::tile_registers(c.accumulators, 1, target.cpu);
  if (registers > target.cpu.vector_registers()) return fmt::format("{} accumulators take {} vector registers", c.accumulators, registers);
  return {};
}

Resources Cpu::resources(const Problem&, const Config& c) { return {.threads = 1, .scratch_bytes = 0, .registers = c.accumulators + 2}; }

std::vector<TensorSpec> Cpu::tensors(const Problem& p, const Config&) { return {{"sums", Access::kWrite, DType::kF32, {p.items}}}; }

std::vector<Launch> Cpu::launches(const Problem& p, const Config&) { return {{.grid = {static_cast<std::uint32_t>(p.items), 1, 1}, .scratch_bytes = 0}}; }

Params Cpu::pack(const Problem& p, const Config&, std::span<const TensorView> x) {
  // 2^-5 in either format: products and their sums are exact far beyond any sensible number of steps.
  constexpr unsigned kF32 = 0x3d000000, kBF16Pair = 0x3d003d00;
  const unsigned word = p.math == cpu::Math::kBF16Dot ? kBF16Pair : kF32;
  return {.sums = static_cast<float*>(x[0].data), .steps = p.steps, .a = word, .b = word};
}

}  // namespace fsa
