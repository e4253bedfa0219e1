#include "codegen/generate.h"

#include <fmt/format.h>

namespace fsa {

std::vector<std::string> entry_symbols(std::span<const std::string_view> entries) {
  std::vector<std::string> symbols;
  for (std::string_view entry : entries) symbols.push_back(entries.size() == 1 ? "kernel_entry" : fmt::format("kernel_entry_{}", entry));
  return symbols;
}

std::string generate_cuda(const CudaSourceParts& parts) {
  std::string text = fmt::format(
      "#include \"{0}/kernel.cuh\"\n"
      "using namespace fsa;\n"
      "constexpr {0}::Shape kShape{{{1}}};\n"
      "constexpr {2} kConfig{{{3}}};\n",
      parts.family, parts.shape_initializers, parts.config_type, parts.config_initializers);
  for (std::size_t i = 0; i < parts.entries.size(); ++i)
    text += fmt::format(
        "extern \"C\" __global__ __launch_bounds__(kConfig.threads(), kConfig.min_blocks())\n"
        "void {1}(const __grid_constant__ {0}::Params p) {{ {0}::{2}<kShape, kConfig>(p); }}\n",
        parts.family, parts.symbols[i], parts.entries[i]);
  return text;
}

}  // namespace fsa
