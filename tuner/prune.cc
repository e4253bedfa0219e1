#include "tuner/prune.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include <fmt/format.h>

namespace fsa::tuner {

namespace {

constexpr int kMaxThreadsPerBlock = 1024;    // CUDA C++ Programming Guide, compute capabilities
constexpr int kMaxRegistersPerThread = 255;  // likewise; registers are granted in eights

std::string cuda_reason(const Resources& r, const CudaLimits& limits) {
  if (r.threads > kMaxThreadsPerBlock) return fmt::format("{} threads per block, {} exist", r.threads, kMaxThreadsPerBlock);
  if (r.scratch_bytes > limits.smem_per_block)
    return fmt::format("{} bytes of shared memory, {} exist", r.scratch_bytes, limits.smem_per_block);
  const int granted = std::min(kMaxRegistersPerThread, limits.registers_per_sm / std::max(r.threads, 1) / 8 * 8);
  if (r.registers > granted) return fmt::format("about {} registers per thread, {} exist", r.registers, granted);
  return {};
}

std::string lower(std::string_view text) {
  std::string lowered(text);
  for (char& c : lowered) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lowered;
}

bool undoes_schedule(std::string_view warning) {
  const std::string text = lower(warning);
  const auto has = [&](std::string_view part) { return text.find(part) != std::string::npos; };
  return (has("wgmma") && has("serializ")) || (has("setmaxnreg") && has("ignored"));
}

}  // namespace

std::string prune_reason(const Resources& resources, const Target& target) {
  if (target.backend == Backend::kCuda) return cuda_reason(resources, target.cuda);
  const int registers = target.cpu.vector_registers();
  return resources.registers > registers ? fmt::format("{} vector registers, {} exist", resources.registers, registers) : std::string();
}

std::string prune_reason(const CompileReport& report) {
  if (report.spill_bytes > 0) return fmt::format("spills {} bytes of registers", report.spill_bytes);
  for (const std::string& warning : report.warnings)
    if (undoes_schedule(warning)) return "the compiler warns: " + warning;
  return {};
}

}  // namespace fsa::tuner
