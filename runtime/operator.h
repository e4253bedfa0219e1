#pragma once
// Owns Operator: what a user-facing operation is in terms of kernel families: its loop orders and how their kernels chain.
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/family.h"
#include "codegen/target.h"

namespace fsa {

/// One way to compute an operator: the kernel families in launch order, and the one that the tuner settles first.
struct ChainVariant {
  std::string name;                   ///< "block_major"
  std::vector<std::string> families;  ///< launch order
  std::string main;                   ///< the family whose config decides the others' problems
};

/// Which variant with which configs: what the tuner chooses and the tuning cache keeps.
struct Choice {
  std::string variant;
  Json configs = Json::object();  ///< family -> config; a missing family takes its default

  Json to_json() const;
  static Result<Choice> from_json(const Json& json);
};

/// A kernel of a chain with its problem and its complete config.
struct ChainStep {
  const Kernel* kernel = nullptr;
  Json problem;
  Json config;
};

class Operator {
 public:
  virtual ~Operator() = default;
  virtual std::string_view name() const = 0;
  /// What is unsupported about the problem on the target.
  virtual Result<void> check(const Json& problem, const Target& target) const = 0;
  /// The variants on a backend, the default one first.
  virtual const std::vector<ChainVariant>& variants(Backend backend) const = 0;
  /// The variant that is decent without tuning.
  virtual std::string default_variant(const Json& problem, const Target& target) const = 0;
  /// The problem as family `family` of `variant` sees it, given the main family's config.
  virtual Json step_problem(const Json& problem, const ChainVariant& variant, std::string_view family, const Json& main_config,
                            Backend backend) const = 0;
  /// Tensors the caller passes, by name, in the order of the public tensors struct.
  virtual const std::vector<std::string>& external_tensors() const = 0;
  /// The family (of any variant) whose tensors() states shape and dtype of every external tensor, in the same order.
  virtual std::vector<TensorSpec> external_specs(const Json& problem) const = 0;
  /// Features by which tuned entries are compared: the problem without what does not change speed.
  virtual Json features(const Json& problem) const = 0;
};

/// The named variant, or kNotFound listing those there are.
Result<const ChainVariant*> find_variant(const Operator& op, Backend backend, std::string_view name);

/// Name and version of every family that some variant uses: older tuning entries stay out of reach of newer kernels.
std::map<std::string, int> family_versions(const Operator& op, Backend backend);

/// The default choice: default variant, every config left to its default.
Choice default_choice(const Operator& op, const Json& problem, const Target& target);

/// Family, problem and complete config of every step of a choice; why not, where the choice is not legal here.
Result<std::vector<ChainStep>> make_chain(const Operator& op, const Json& problem, const Choice& choice, const Target& target);

/// The selected-attention operator.
const Operator& selected_attention_operator();

}  // namespace fsa
