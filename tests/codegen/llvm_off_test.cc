#include <gtest/gtest.h>

#include "codegen/llvm_compiler.h"

namespace fsa {
namespace {

TEST(LlvmCompiler, ABuildWithoutLlvmSaysWhatToDoInstead) {
  const auto compiler = make_llvm_compiler(std::make_shared<const TemplateStore>(
      std::map<std::string, std::string, std::less<>>{}, std::map<std::string, std::span<const std::byte>, std::less<>>{}));
  ASSERT_FALSE(compiler.ok());
  EXPECT_EQ(compiler.error().kind, ErrorKind::kUnavailable);
  EXPECT_NE(compiler.error().remedy.find("pack"), std::string::npos);
}

}  // namespace
}  // namespace fsa
