#pragma once
// Owns the generation of a specialization's CUDA C++ source and of its entry symbols.
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fsa {

/// What the few lines of generated source consist of.
struct CudaSourceParts {
  std::string_view family;               ///< folder and namespace
  std::string shape_initializers;        ///< ".head_dim = 128, ..."
  std::string_view config_type;          ///< "selected_block_major::Config"
  std::string config_initializers;       ///< ".rows = 64, ..."
  std::span<const std::string_view> entries;   ///< device functions: <family>::<entry><kShape, kConfig>(params)
  std::span<const std::string> symbols;        ///< their extern "C" names, in the same order
};

/// "kernel_entry" for a family of one entry, "kernel_entry_<name>" for each of several.
std::vector<std::string> entry_symbols(std::span<const std::string_view> entries);

/// The translation unit: includes "<family>/kernel.cuh", states shape and config, defines the entry points.
/// Launch bounds come from `Config::threads()` and `Config::min_blocks()`.
std::string generate_cuda(const CudaSourceParts& parts);

}  // namespace fsa
