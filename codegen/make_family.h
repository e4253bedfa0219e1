#pragma once
// Owns make_family<F>(): checks that F states everything a kernel family must, and erases it into a Family.
//
// F is a struct of static functions over a typed Problem, with nested `Cuda` and/or `Cpu` for the backends:
//
//   struct MyFamily {
//     static constexpr std::string_view kName = "my_family";  // = folder = namespace
//     static constexpr int kVersion = 1;                       // bump: older cache rows become unreachable
//     using Problem = ...;                                     // plain aggregate
//     using Shape = ...;                                       // its compile-time part, all 32-bit words
//     static const FieldTable<Problem>& problem_fields();
//     static const FieldTable<Shape>& shape_fields();
//     static Shape shape(const Problem&);
//     static Result<void> check(const Problem&, const Target&);
//     static Work work(const Problem&);
//     static double tolerance(const Problem&);
//     struct Cuda {                                            // struct Cpu alike
//       using Config = ...;
//       static constexpr std::string_view kConfigType = "my_family::Config";      // its name in generated source
//       static constexpr std::array<std::string_view, 1> kEntries{"run"};         // device functions, in launch order
//       static const FieldTable<Config>& config_fields();
//       static Config default_config(const Problem&, const Target&);
//       static std::vector<Tunable<Config>> tunables(const Problem&, const Target&);
//       static std::string invalid_reason(const Problem&, const Config&, const Target&);  // empty when legal
//       static Resources resources(const Problem&, const Config&);
//       static std::vector<TensorSpec> tensors(const Problem&, const Config&);
//       static std::vector<Launch> launches(const Problem&, const Config&);
//       static Params pack(const Problem&, const Config&, std::span<const TensorView>);
//     };
//   };
//
// One entry gives the symbol "kernel_entry"; several give "kernel_entry_<name>" each.
#include <fmt/format.h>

#include <array>
#include <cassert>
#include <concepts>
#include <utility>

#include "codegen/family.h"
#include "codegen/fields.h"
#include "codegen/generate.h"
#include "codegen/tunable.h"

namespace fsa {

template <class F>
concept DescribesFamily = requires(const typename F::Problem& p, const Target& t) {
  { F::kName } -> std::convertible_to<std::string_view>;
  { F::kVersion } -> std::convertible_to<int>;
  { F::problem_fields() } -> std::same_as<const FieldTable<typename F::Problem>&>;
  { F::shape_fields() } -> std::same_as<const FieldTable<typename F::Shape>&>;
  { F::shape(p) } -> std::same_as<typename F::Shape>;
  { F::check(p, t) } -> std::same_as<Result<void>>;
  { F::work(p) } -> std::same_as<Work>;
  { F::tolerance(p) } -> std::same_as<double>;
};

template <class B, class Problem>
concept DescribesBackend = requires(const Problem& p, const typename B::Config& c, const Target& t, std::span<const TensorView> x) {
  { B::kConfigType } -> std::convertible_to<std::string_view>;
  { B::kEntries.size() } -> std::convertible_to<std::size_t>;
  { B::config_fields() } -> std::same_as<const FieldTable<typename B::Config>&>;
  { B::default_config(p, t) } -> std::same_as<typename B::Config>;
  { B::tunables(p, t) } -> std::same_as<std::vector<Tunable<typename B::Config>>>;
  { B::invalid_reason(p, c, t) } -> std::same_as<std::string>;
  { B::resources(p, c) } -> std::same_as<Resources>;
  { B::tensors(p, c) } -> std::same_as<std::vector<TensorSpec>>;
  { B::launches(p, c) } -> std::same_as<std::vector<Launch>>;
  B::pack(p, c, x);
};

namespace detail {

/// Decodes JSON that check() or complete_config() has accepted before.
template <class T>
T decode(const FieldTable<T>& fields, const Json& json) {
  auto decoded = from_json(fields, json, "checked value");
  assert(decoded.ok());
  return std::move(decoded).value();
}

template <class Problem, class B>
class TypedPacker final : public Packer {
 public:
  TypedPacker(Problem problem, typename B::Config config) : problem_(std::move(problem)), config_(std::move(config)) {}
  void pack(std::span<const TensorView> tensors, ParamBlock& params) const override { params.set(B::pack(problem_, config_, tensors)); }

 private:
  Problem problem_;
  typename B::Config config_;
};

template <class F, class B, Backend kBackend>
  requires DescribesFamily<F> && DescribesBackend<B, typename F::Problem>
class TypedKernel final : public Kernel {
  using Problem = typename F::Problem;
  using Config = typename B::Config;

 public:
  std::string_view family() const override { return F::kName; }
  int version() const override { return F::kVersion; }
  Backend backend() const override { return kBackend; }

  Result<void> check(const Json& json, const Target& target) const override {
    FSA_ASSIGN_OR_RETURN(const Problem p, from_json(F::problem_fields(), json, fmt::format("problem of {}", F::kName)));
    return F::check(p, target);
  }
  Json default_config(const Json& p, const Target& t) const override { return to_json(B::config_fields(), B::default_config(problem(p), t)); }

  std::vector<Json> configs(const Json& json, const Target& target) const override {
    const Problem p = problem(json);
    const auto legal = [&](const Config& c) { return B::invalid_reason(p, c, target).empty() && fits(B::resources(p, c), target); };
    std::vector<Json> list;
    for (const Config& c : enumerate<Config>(B::tunables(p, target), B::default_config(p, target), legal))
      list.push_back(to_json(B::config_fields(), c));
    return list;
  }

  Result<Json> complete_config(const Json& json, const Json& config, const Target& target) const override {
    const Problem p = problem(json);
    Json merged = to_json(B::config_fields(), B::default_config(p, target));
    if (config.is_object()) merged.update(config);
    const std::string what = fmt::format("config of {}", F::kName);
    FSA_ASSIGN_OR_RETURN(const Config c, from_json(B::config_fields(), config.is_object() ? merged : config, what));
    std::string reason = B::invalid_reason(p, c, target);
    if (reason.empty() && !fits(B::resources(p, c), target)) reason = fmt::format("it needs more memory than {} has", target.to_string());
    if (!reason.empty())
      return make_error(ErrorKind::kUnsupported, {.given = fmt::format("the {} {} is not legal: {}", what, merged.dump(), reason),
                                                  .remedy = "leave it out to take the default, or tune again"});
    return merged;
  }

  Resources resources(const Json& p, const Json& c) const override { return B::resources(problem(p), config(c)); }
  std::vector<TensorSpec> tensors(const Json& p, const Json& c) const override { return B::tensors(problem(p), config(c)); }
  std::vector<Launch> launches(const Json& p, const Json& c) const override { return B::launches(problem(p), config(c)); }
  Work work(const Json& p) const override { return F::work(problem(p)); }
  double tolerance(const Json& p) const override { return F::tolerance(problem(p)); }

  Specialization specialize(const Json& p, const Json& c, const Target& target) const override {
    const typename F::Shape shape = F::shape(problem(p));
    const Config typed = config(c);
    Specialization s{.family = std::string(F::kName), .version = F::kVersion, .target = target,
                     .shape = to_json(F::shape_fields(), shape), .config = to_json(B::config_fields(), typed),
                     .source = {}, .constants = {}, .symbols = entry_symbols(B::kEntries)};
    if constexpr (kBackend == Backend::kCuda) {
      s.source = generate_cuda({.family = F::kName, .shape_initializers = to_initializers(F::shape_fields(), shape),
                                .config_type = B::kConfigType, .config_initializers = to_initializers(B::config_fields(), typed),
                                .entries = B::kEntries, .symbols = s.symbols});
    } else {
      s.constants = to_words(F::shape_fields(), shape);
      for (std::uint32_t word : to_words(B::config_fields(), typed)) s.constants.push_back(word);
    }
    return s;
  }

  std::unique_ptr<Packer> packer(const Json& p, const Json& c) const override {
    return std::make_unique<TypedPacker<Problem, B>>(problem(p), config(c));
  }

 private:
  static Problem problem(const Json& json) { return decode(F::problem_fields(), json); }
  static Config config(const Json& json) { return decode(B::config_fields(), json); }
  static bool fits(const Resources& r, const Target& t) { return kBackend == Backend::kCpu || r.scratch_bytes <= t.cuda.smem_per_block; }
};

}  // namespace detail

/// Erases the description F. F::Cuda and F::Cpu are optional, one of them at least.
template <DescribesFamily F>
Family make_family() {
  Family family{.name = F::kName, .cuda = nullptr, .cpu = nullptr};
  if constexpr (requires { typename F::Cuda; }) family.cuda = std::make_unique<detail::TypedKernel<F, typename F::Cuda, Backend::kCuda>>();
  if constexpr (requires { typename F::Cpu; }) family.cpu = std::make_unique<detail::TypedKernel<F, typename F::Cpu, Backend::kCpu>>();
  return family;
}

}  // namespace fsa
