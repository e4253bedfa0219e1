// Every family's CPU kernel goes through the compiler and the linker for every CPU target, whether or not this machine runs it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cctype>

#include "codegen/llvm_compiler.h"
#include "runtime/device/object_loader.h"
#include "templates/embedded.h"
#include "templates/families.h"
#include "tests/families/problems/problems.h"

namespace fsa {
namespace {

struct Case {
  std::string family;
  std::string target;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Family& family : all_families())
    for (const char* target : {"x86-64-v3", "x86-64-v4", "x86-64-v4+avx512bf16"})
      if (family.cpu) all.push_back({std::string(family.name), target});
  return all;
}

class CpuFamilies : public testing::TestWithParam<Case> {};

TEST_P(CpuFamilies, CompileAndLinkForTheTarget) {
  const Kernel& kernel = *find_family(GetParam().family)->cpu;
  const Target target = Target::parse(GetParam().target).value();
  const auto compiler = make_llvm_compiler(embedded_templates()).value();
  const auto loader = make_object_loader().value();
  int compiled = 0;
  for (const Json& p : test::family_problems(GetParam().family, Backend::kCpu).compiled) {
    const Specialization s = kernel.specialize(p, kernel.default_config(p, target), target);
    const auto binary = compiler->compile(s);
    ASSERT_TRUE(binary.ok()) << binary.error().message();
    const auto loaded = loader->load(binary->bytes, s.symbols);
    ASSERT_TRUE(loaded.ok()) << s.name() << ": " << loaded.error().message();
    EXPECT_EQ((*loaded)->entries().size(), s.symbols.size());
    EXPECT_LE(binary->report.seconds, 2.0) << s.name();  // the goal is 250 ms on an idle core; the bound leaves room for busy ones
    RecordProperty(fmt::format("kernel{}", compiled++),
                   fmt::format("{}: {:.0f} ms, {} bytes, frame {}", s.name(), 1e3 * binary->report.seconds, binary->bytes.size(),
                               binary->report.stack_bytes));
  }
  EXPECT_GE(compiled, 1);
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.family + "_" + info.param.target;
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}
INSTANTIATE_TEST_SUITE_P(All, CpuFamilies, testing::ValuesIn(cases()), case_name);

}  // namespace
}  // namespace fsa
