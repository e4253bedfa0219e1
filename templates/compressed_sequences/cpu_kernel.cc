#include "templates/compressed_sequences/cpu_kernel.h"

namespace fsa::compressed_sequences {

const FieldTable<CpuConfig>& Cpu::config_fields() {
  static const FieldTable<CpuConfig> fields;
  return fields;
}

CpuConfig Cpu::default_config(const Problem&, const Target&) { return {}; }

std::vector<Tunable<CpuConfig>> Cpu::tunables(const Problem&, const Target&) { return {}; }

std::string Cpu::invalid_reason(const Problem&, const CpuConfig&, const Target&) { return {}; }

Resources Cpu::resources(const Problem&, const CpuConfig&) { return {.threads = 1, .scratch_bytes = 0, .registers = 0}; }

std::vector<TensorSpec> Cpu::tensors(const Problem& p, const CpuConfig&) { return compressed_sequences::tensors(p); }

std::vector<Launch> Cpu::launches(const Problem&, const CpuConfig&) { return {{.grid = {1, 1, 1}, .scratch_bytes = 0}}; }

Params Cpu::pack(const Problem& p, const CpuConfig&, std::span<const TensorView> t) { return compressed_sequences::pack(p, t); }

}  // namespace fsa::compressed_sequences
