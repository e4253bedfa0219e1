#include "codegen/template_store.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace fsa {
namespace {

namespace fs = std::filesystem;

TemplateStore sample(const std::string& leaf = "int leaf;\n") {
  return TemplateStore({{"a/kernel.cuh", "#include \"shared.h\"\n#include <standard>\n"},
                        {"shared.h", "#include \"cuda/leaf.cuh\"\n#include \"shared.h\"\n"},
                        {"cuda/leaf.cuh", leaf},
                        {"unrelated.h", "int unrelated;\n"},
                        {"broken.cuh", "#include \"missing.h\"\n"}},
                       {});
}

TEST(TemplateStore, TheClosureIsWhatAFileIncludesAndNoMore) {
  const auto store = sample();
  const auto closure = store.closure("a/kernel.cuh");
  ASSERT_TRUE(closure) << closure.error().message();
  std::vector<std::string> paths;
  for (const auto& [path, text] : *closure) paths.push_back(path);
  EXPECT_EQ(paths, (std::vector<std::string>{"a/kernel.cuh", "cuda/leaf.cuh", "shared.h"}));
}

TEST(TemplateStore, AMissingIncludeNamesFileAndIncluder) {
  const auto store = sample();
  const auto closure = store.closure("broken.cuh");
  ASSERT_FALSE(closure);
  EXPECT_EQ(closure.error().kind, ErrorKind::kNotFound);
  EXPECT_NE(closure.error().given.find("missing.h"), std::string::npos);
  EXPECT_NE(closure.error().given.find("broken.cuh"), std::string::npos);
}

TEST(TemplateStore, TheDigestFollowsTheClosureAlone) {
  const Digest digest = *sample().closure_digest("a/kernel.cuh");
  EXPECT_EQ(*sample().closure_digest("a/kernel.cuh"), digest);
  EXPECT_NE(*sample("int changed;\n").closure_digest("a/kernel.cuh"), digest);
  auto texts = sample().texts();
  texts["unrelated.h"] = "int other;\n";
  EXPECT_EQ(*TemplateStore(texts, {}).closure_digest("a/kernel.cuh"), digest);
}

TEST(TemplateStore, AFamilyWithoutBitcodeHasNone) { EXPECT_TRUE(sample().bitcode("a").empty()); }

TEST(TemplateStore, AFolderIsReadWithItsSubfolders) {
  std::string name = (fs::temp_directory_path() / "fsa_templates_XXXXXX").string();
  ASSERT_NE(mkdtemp(name.data()), nullptr);
  fs::create_directories(fs::path(name) / "demo");
  std::ofstream(fs::path(name) / "demo/kernel.cuh") << "#include \"strides.h\"\n";
  std::ofstream(fs::path(name) / "strides.h") << "int strides;\n";
  std::ofstream(fs::path(name) / "README.md") << "not a template\n";
  const auto store = TemplateStore::from_directory(name);
  fs::remove_all(name);
  ASSERT_TRUE(store) << store.error().message();
  EXPECT_EQ(store->directory(), name);
  EXPECT_EQ(store->texts().size(), 2u);
  EXPECT_EQ(store->texts().at("strides.h"), "int strides;\n");
  EXPECT_TRUE(store->closure("demo/kernel.cuh"));
}

TEST(TemplateStore, AFolderThatDoesNotExistNamesTheVariable) {
  const auto store = TemplateStore::from_directory("/no/such/folder");
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().kind, ErrorKind::kNotFound);
  EXPECT_NE(store.error().given.find("FSA_TEMPLATE_DIR"), std::string::npos);
  EXPECT_NE(store.error().remedy.find("unset"), std::string::npos);
}

}  // namespace
}  // namespace fsa
