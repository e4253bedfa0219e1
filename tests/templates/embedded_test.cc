#include "templates/embedded.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "templates/families.h"

namespace fsa {
namespace {

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(EmbeddedTemplates, TextsAreThoseOfTheSourceTree) {
  const auto store = embedded_templates();
  EXPECT_TRUE(store->directory().empty());
#if FSA_TEST_TEXTS
  ASSERT_TRUE(store->texts().contains("selected_shape.h"));
#else
  EXPECT_TRUE(store->texts().empty());
#endif
  for (const auto& [path, text] : store->texts()) EXPECT_EQ(text, read(std::filesystem::path(FSA_TEST_TEMPLATES) / path)) << path;
}

TEST(EmbeddedTemplates, EveryCpuKernelHasBitcodeInBuildsWithLlvm) {
  const auto store = embedded_templates();
  for (const Family& family : all_families()) {
    if (!family.cpu) continue;
    const auto bitcode = store->bitcode(family.name);
#if FSA_TEST_WITH_LLVM
    ASSERT_GT(bitcode.size(), 4u) << family.name;
    EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(bitcode.data()), 4), "BC\xC0\xDE") << family.name;
    const std::string_view bytes(reinterpret_cast<const char*>(bitcode.data()), bitcode.size());
    EXPECT_EQ(bytes.find(FSA_TEST_TEMPLATES), std::string_view::npos) << family.name << " holds a path of the build machine";
#else
    EXPECT_TRUE(bitcode.empty()) << family.name;
#endif
  }
}

TEST(EmbeddedTemplates, EveryKernelFindsAllItIncludes) {
  const auto store = embedded_templates();
  for (const Family& family : all_families())
    for (const auto& [kernel, file] : {std::pair{family.cuda.get(), "/kernel.cuh"}, std::pair{family.cpu.get(), "/kernel.cpu.cc"}}) {
      if (!kernel || store->texts().empty()) continue;
      const auto closure = store->closure(std::string(family.name) + file);
      EXPECT_TRUE(closure.ok()) << closure.error().message();
    }
}

}  // namespace
}  // namespace fsa
