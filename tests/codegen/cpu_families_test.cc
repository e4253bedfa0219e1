// Every family's CPU kernel goes through the compiler and the linker for every CPU target, whether or not this machine runs it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cctype>

#include "codegen/llvm_compiler.h"
#include "runtime/device/object_loader.h"
#include "templates/embedded.h"
#include "templates/families.h"
#include "templates/selected_problem.h"

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

class CpuFamilies : public testing::TestWithParam<Case> {
 protected:
  static Json selected(Element element, int head_dim, int group) {
    return to_json(selected_problem_fields(), {.element = element,
                                               .head_dim = head_dim,
                                               .head_dim_v = head_dim,
                                               .group = group,
                                               .block_size = 64,
                                               .topk = 16,
                                               .heads_kv = 2,
                                               .num_seqs = 1,
                                               .total_q = 4096,
                                               .total_k = 4096,
                                               .scale = 0.1f});
  }
  /// Problems of selected attention, and the defaults of families that measure something else.
  static std::vector<Json> problems() {
    std::vector<Json> all{Json::object()};
    for (const Element element : {Element::kBF16, Element::kF16, Element::kF32})
      for (const auto& [head_dim, group] : {std::pair{128, 4}, std::pair{64, 1}}) all.push_back(selected(element, head_dim, group));
    return all;
  }
};

TEST_P(CpuFamilies, CompileAndLinkForTheTarget) {
  const Kernel& kernel = *find_family(GetParam().family)->cpu;
  const Target target = Target::parse(GetParam().target).value();
  const auto compiler = make_llvm_compiler(embedded_templates()).value();
  const auto loader = make_object_loader().value();
  int compiled = 0;
  for (const Json& p : problems()) {
    if (!kernel.check(p, target)) continue;
    const Specialization s = kernel.specialize(p, kernel.default_config(p, target), target);
    const auto binary = compiler->compile(s);
    ASSERT_TRUE(binary.ok()) << binary.error().message();
    const auto loaded = loader->load(binary->bytes, s.symbols);
    ASSERT_TRUE(loaded.ok()) << s.name() << ": " << loaded.error().message();
    EXPECT_EQ((*loaded)->entries().size(), s.symbols.size());
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
