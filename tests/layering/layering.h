#pragma once
// Owns the rules of who may include whom, as a function of the source texts alone.
#include <map>
#include <string>
#include <vector>

namespace fsa::test {

/// Path relative to the repository root -> text.
using SourceTree = std::map<std::string, std::string>;

/// Reads every source file (.h .cc .c .cuh .in) of the library's, the tools' and the tests' folders.
SourceTree read_sources(const std::string& root);

/// One sentence for each broken rule, led by the file's path. The rules:
/// - tools and tests -> runtime -> {templates, tuner, cache} -> codegen; the three peers never include each other;
/// - device files (.cuh, kernel.cpu.cc, config and parameter headers, and what those include) include only templates/**;
/// - CUDA headers in codegen/nvrtc_* and runtime/device/cuda_* alone, LLVM's in codegen/llvm_*, codegen/clang_bitcode* and
///   runtime/device/orc_loader*;
/// - public headers include public headers and standard ones, and are below 1,000 lines in all;
/// - the library includes no <iostream>; no host file is longer than 500 lines.
std::vector<std::string> broken_rules(const SourceTree& files);

}  // namespace fsa::test
