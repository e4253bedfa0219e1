#include "tests/layering/layering.h"

#include <gtest/gtest.h>

namespace fsa::test {
namespace {

/// The number of rules that a tree with this one file (and a few innocent ones) breaks.
std::size_t breaks(const std::string& path, const std::string& text) {
  SourceTree tree{{"codegen/target.h", "#include <string>\n"},
                  {"templates/strides.h", ""},
                  {"templates/cuda/mma.cuh", ""},
                  {"templates/selected_problem.h", "#include \"codegen/target.h\"\n"},
                  {"cache/pack.h", ""},
                  {"tuner/space.h", ""},
                  {"runtime/chain.h", ""},
                  {"codegen/base/include/fsa/base/error.h", "#include <string>\n"}};
  EXPECT_TRUE(broken_rules(tree).empty());
  tree[path] = text;
  return broken_rules(tree).size();
}

TEST(Layering, TheSourcesKeepTheRules) {
  const auto sources = read_sources(FSA_SOURCE_DIR);
  EXPECT_GT(sources.size(), 100u) << "the sources were not found";
  for (const std::string& sentence : broken_rules(sources)) ADD_FAILURE() << sentence;
}

TEST(Layering, LowerLayersMustNotSeeHigherOnes) {
  EXPECT_EQ(breaks("codegen/a.cc", "#include \"templates/selected_problem.h\"\n"), 1u);
  EXPECT_EQ(breaks("cache/a.cc", "#include \"runtime/chain.h\"\n"), 1u);
  EXPECT_EQ(breaks("tuner/a.cc", "#include \"fsa/engine.h\"\n"), 1u);
  EXPECT_EQ(breaks("runtime/a.cc", "  # include \"tools/fsa/command.h\"\n"), 1u);
  EXPECT_EQ(breaks("tools/a.cc", "#include \"tests/support/lab.h\"\n"), 1u);
}

TEST(Layering, PeersMustNotSeeEachOther) {
  EXPECT_EQ(breaks("tuner/a.cc", "#include \"cache/pack.h\"\n"), 1u);
  EXPECT_EQ(breaks("cache/a.h", "#include \"templates/selected_problem.h\"\n"), 1u);
  EXPECT_EQ(breaks("templates/a.cc", "#include \"tuner/space.h\"\n"), 1u);
}

TEST(Layering, HigherLayersMaySeeLowerOnes) {
  EXPECT_EQ(breaks("runtime/a.cc", "#include \"cache/pack.h\"\n#include \"tuner/space.h\"\n#include \"fsa/base/error.h\"\n"), 0u);
  EXPECT_EQ(breaks("tools/a.cc", "#include \"runtime/chain.h\"\n#include <iostream>\n#include <CLI/CLI.hpp>\n"), 0u);
}

TEST(Layering, DeviceFilesMustNotLeaveTheTemplates) {
  EXPECT_EQ(breaks("templates/a/kernel.cuh", "#include \"codegen/target.h\"\n"), 1u);
  EXPECT_EQ(breaks("templates/a/kernel.cuh", "#include <cuda_bf16.h>\n"), 1u);
  EXPECT_EQ(breaks("templates/a/kernel.cpu.cc", "#include \"templates/strides.h\"\n"), 1u);
  EXPECT_EQ(breaks("templates/a/config.h", "#include \"fsa/base/error.h\"\n"), 1u);
  EXPECT_EQ(breaks("templates/a/kernel.cuh", "#include \"strides.h\"\n#include \"cuda/mma.cuh\"\n"), 0u);
}

TEST(Layering, WhatADeviceFileIncludesIsADeviceFile) { EXPECT_EQ(breaks("templates/a/params.h", "#include \"selected_problem.h\"\n"), 1u); }

TEST(Layering, CudaHeadersStayInTheirFiles) {
  EXPECT_EQ(breaks("runtime/engine.cc", "#include <cuda.h>\n"), 1u);
  EXPECT_EQ(breaks("codegen/compiler.h", "#include <nvrtc.h>\n"), 1u);
  EXPECT_EQ(breaks("tests/a_test.cc", "#include <cuda_runtime.h>\n"), 1u);
  EXPECT_EQ(breaks("codegen/nvrtc_library.cc", "#include <nvrtc.h>\n"), 0u);
  EXPECT_EQ(breaks("runtime/device/cuda_driver.cc", "#include <cuda.h>\n"), 0u);
  EXPECT_EQ(breaks("runtime/device/device.cc", "#include \"runtime/device/cuda_device.h\"\n"), 0u);
}

TEST(Layering, LlvmHeadersStayInTheirFiles) {
  EXPECT_EQ(breaks("runtime/engine.cc", "#include <llvm/IR/Module.h>\n"), 1u);
  EXPECT_EQ(breaks("codegen/compiler.h", "#include \"llvm/IR/Module.h\"\n"), 1u);
  EXPECT_EQ(breaks("codegen/llvm_module.cc", "#include <llvm/IR/Module.h>\n"), 0u);
  EXPECT_EQ(breaks("runtime/device/orc_loader.cc", "#include <llvm/ExecutionEngine/Orc/LLJIT.h>\n"), 0u);
}

TEST(Layering, PublicHeadersIncludePublicAndStandardOnes) {
  EXPECT_EQ(breaks("runtime/include/fsa/a.h", "#include <nlohmann/json.hpp>\n"), 1u);
  EXPECT_EQ(breaks("runtime/include/fsa/a.h", "#include <fmt/format.h>\n"), 1u);
  EXPECT_EQ(breaks("runtime/include/fsa/a.h", "#include \"codegen/target.h\"\n"), 1u);
  EXPECT_EQ(breaks("codegen/base/include/fsa/base/a.h", "#include \"fsa/engine.h\"\n"), 1u);
  EXPECT_EQ(breaks("runtime/include/fsa/a.h", "#include <vector>\n#include \"fsa/base/error.h\"\n"), 0u);
}

TEST(Layering, FilesThatAreTooLongAreNamed) {
  EXPECT_EQ(breaks("cache/a.cc", std::string(501, '\n')), 1u);
  EXPECT_EQ(breaks("cache/a.cc", std::string(500, '\n')), 0u);
  EXPECT_EQ(breaks("runtime/include/fsa/a.h", std::string(499, '\n') + std::string(1, '\n')), 0u);
  SourceTree headers{{"runtime/include/fsa/a.h", std::string(500, '\n')}, {"runtime/include/fsa/b.h", std::string(500, '\n')}};
  EXPECT_EQ(broken_rules(headers).size(), 1u);
}

TEST(Layering, TheLibraryMustNotPrint) { EXPECT_EQ(breaks("cache/a.cc", "#include <iostream>\n"), 1u); }

}  // namespace
}  // namespace fsa::test
