// What every kernel family promises, on every target that can be named.
#include "templates/families.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/families/problems/problems.h"

namespace fsa {
namespace {

std::vector<Target> targets(Backend backend) {
  std::vector<Target> list;
  for (const std::string& name : Target::known())
    if (const Target t = Target::parse(name).value(); t.backend == backend) list.push_back(t);
  return list;
}

/// A kernel with a problem and a target it supports.
struct Point {
  const Kernel* kernel;
  Json problem;
  Target target;
};

std::vector<Point> all_points() {
  std::vector<Point> points;
  for (const Family& family : all_families())
    for (Backend backend : {Backend::kCuda, Backend::kCpu}) {
      const Kernel* kernel = family.kernel(backend);
      if (!kernel) continue;
      for (const Json& problem : test::family_problems(family.name, backend).planned)
        for (const Target& target : targets(backend))
          if (test::runs_on(family.name, target)) points.push_back({kernel, problem, target});
    }
  return points;
}

std::string describe(const Point& p) {
  return std::string(p.kernel->family()) + " for " + p.target.to_string() + " on " + p.problem.dump();
}

TEST(Families, HaveDistinctNamesThatFindThem) {
  std::set<std::string_view> names;
  for (const Family& family : all_families()) {
    EXPECT_TRUE(names.insert(family.name).second) << family.name;
    EXPECT_EQ(find_family(family.name), &family);
    EXPECT_TRUE(family.cuda || family.cpu);
    if (family.cuda) {
      EXPECT_EQ(family.cuda->backend(), Backend::kCuda);
    }
    if (family.cpu) {
      EXPECT_EQ(family.cpu->backend(), Backend::kCpu);
    }
  }
  EXPECT_EQ(find_family("no_such_family"), nullptr);
}

TEST(Families, DefaultConfigsAreLegalEverywhere) {
  for (const Point& p : all_points()) {
    SCOPED_TRACE(describe(p));
    ASSERT_TRUE(p.kernel->check(p.problem, p.target)) << p.kernel->check(p.problem, p.target).error().message();
    const Json config = p.kernel->default_config(p.problem, p.target);
    const auto complete = p.kernel->complete_config(p.problem, config, p.target);
    ASSERT_TRUE(complete) << complete.error().message();
    EXPECT_EQ(*complete, config);
  }
}

TEST(Families, EveryEnumeratedConfigIsLegalAndFitsTheTarget) {
  for (const Point& p : all_points()) {
    SCOPED_TRACE(describe(p));
    const auto configs = p.kernel->configs(p.problem, p.target);
    ASSERT_FALSE(configs.empty());
    for (const Json& config : configs) {
      const auto complete = p.kernel->complete_config(p.problem, config, p.target);
      ASSERT_TRUE(complete) << complete.error().message();
      ASSERT_EQ(*complete, config);
      const Resources r = p.kernel->resources(p.problem, config);
      if (p.target.backend == Backend::kCpu) continue;
      ASSERT_LE(r.scratch_bytes, p.target.cuda.smem_per_block) << config.dump();
      ASSERT_TRUE(r.threads >= 32 && r.threads <= 1024 && r.threads % 32 == 0) << config.dump();
    }
  }
}

TEST(Families, EnumerationIsStableWithoutRepetition) {
  for (const Point& p : all_points()) {
    SCOPED_TRACE(describe(p));
    const auto configs = p.kernel->configs(p.problem, p.target);
    EXPECT_EQ(configs, p.kernel->configs(p.problem, p.target));
    std::set<std::string> distinct;
    for (const Json& config : configs) distinct.insert(config.dump());
    EXPECT_EQ(distinct.size(), configs.size());
  }
}

TEST(Families, LaunchesMatchTheResourcesTheyClaim) {
  for (const Point& p : all_points()) {
    SCOPED_TRACE(describe(p));
    const Json config = p.kernel->default_config(p.problem, p.target);
    const auto symbols = p.kernel->specialize(p.problem, config, p.target).symbols;
    const auto launches = p.kernel->launches(p.problem, config);
    ASSERT_EQ(launches.size(), symbols.size());
    for (std::size_t i = 0; i < launches.size(); ++i) {
      EXPECT_EQ(launches[i].symbol, symbols[i]);
      EXPECT_LE(launches[i].scratch_bytes, p.kernel->resources(p.problem, config).scratch_bytes);
      if (p.target.backend == Backend::kCuda) {
        EXPECT_LE(launches[i].grid[1], 65535u);
      }
      if (p.target.backend == Backend::kCuda) {
        EXPECT_LE(launches[i].grid[2], 65535u);
      }
    }
  }
}

TEST(Families, TensorsHaveOneNameEachAndSomethingIsWritten) {
  for (const Point& p : all_points()) {
    SCOPED_TRACE(describe(p));
    std::set<std::string> names;
    bool writes = false;
    for (const TensorSpec& spec : p.kernel->tensors(p.problem, p.kernel->default_config(p.problem, p.target))) {
      EXPECT_TRUE(names.insert(spec.name).second) << spec.name;
      for (std::int64_t extent : spec.shape) EXPECT_GE(extent, 0) << spec.name;
      writes |= spec.access != Access::kRead;
    }
    EXPECT_TRUE(writes);
  }
}

TEST(Families, GeneratedSourceNamesEveryField) {
  for (const Point& p : all_points()) {
    SCOPED_TRACE(describe(p));
    const auto s = p.kernel->specialize(p.problem, p.kernel->default_config(p.problem, p.target), p.target);
    if (p.target.backend == Backend::kCpu) {
      EXPECT_TRUE(s.source.empty());
      EXPECT_EQ(s.constants.size(), s.shape.size() + s.config.size());
      continue;
    }
    EXPECT_NE(s.source.find("#include \"" + s.family + "/kernel.cuh\""), std::string::npos);
    for (const Json* part : {&s.shape, &s.config})
      for (const auto& [name, value] : part->items()) EXPECT_NE(s.source.find("." + name + " = "), std::string::npos) << name;
    for (const std::string& symbol : s.symbols) EXPECT_NE(s.source.find("void " + symbol + "("), std::string::npos) << symbol;
  }
}

TEST(Families, AnotherConfigIsAnotherKernel) {
  for (const Point& p : all_points()) {
    const auto configs = p.kernel->configs(p.problem, p.target);
    std::set<Digest> digests;
    for (const Json& config : configs) digests.insert(p.kernel->specialize(p.problem, config, p.target).kernel_digest());
    EXPECT_EQ(digests.size(), configs.size()) << describe(p);
  }
}

TEST(Families, TotalsDoNotChangeTheKernel) {
  // Compile-time facts alone may enter a specialization, or every batch would compile anew.
  for (const Point& p : all_points()) {
    Json longer = p.problem;
    for (const char* total : {"total_q", "total_k", "total_c"})
      if (longer.contains(total)) longer[total] = longer[total].get<std::int64_t>() + 100;
    if (longer.contains("scale")) longer["scale"] = 0.5;
    const Json config = p.kernel->default_config(p.problem, p.target);
    EXPECT_EQ(p.kernel->specialize(p.problem, config, p.target).kernel_digest(),
              p.kernel->specialize(longer, config, p.target).kernel_digest())
        << describe(p);
  }
}

TEST(Families, UnknownAndIllTypedConfigFieldsAreNamed) {
  for (const Point& p : all_points()) {
    SCOPED_TRACE(describe(p));
    const auto unknown = p.kernel->complete_config(p.problem, {{"no_such_field", 1}}, p.target);
    ASSERT_FALSE(unknown);
    EXPECT_NE(unknown.error().message().find("no_such_field"), std::string::npos);
    EXPECT_FALSE(p.kernel->complete_config(p.problem, Json(7), p.target));
    const Json config = p.kernel->default_config(p.problem, p.target);
    if (config.empty()) continue;
    const auto ill_typed = p.kernel->complete_config(p.problem, {{config.begin().key(), Json::array()}}, p.target);
    ASSERT_FALSE(ill_typed);
    EXPECT_NE(ill_typed.error().message().find(config.begin().key()), std::string::npos);
  }
}

TEST(Families, AProblemThatIsNotSupportedIsRefused) {
  for (const Point& p : all_points()) {
    if (!p.problem.contains("head_dim")) continue;
    Json bad = p.problem;
    bad["head_dim"] = 20;
    const auto checked = p.kernel->check(bad, p.target);
    ASSERT_FALSE(checked) << describe(p);
    EXPECT_EQ(checked.error().kind, ErrorKind::kUnsupported);
  }
}

}  // namespace
}  // namespace fsa
