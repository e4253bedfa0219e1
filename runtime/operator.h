#pragma once
// Owns Operator: what a user-facing operation is in terms of kernel families: its loop orders and how their kernels chain.
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/family.h"
#include "codegen/target.h"
#include "runtime/host_tensor.h"
#include "runtime/oracle.h"
#include "templates/reference/random_parts.h"

namespace fsa {

/// One kernel of a variant. An operator may use a family more than once, and under other tensor names than its own.
struct ChainStage {
  std::string name;                             ///< unique within the variant; what configs are kept under
  std::string family;
  std::map<std::string, std::string> renames;   ///< the family's name of a tensor -> the operator's
  bool beside = false;                          ///< it reads the caller's tensors alone, and may run beside the stages before its reader

  /// A stage named like its family.
  ChainStage(const char* family_name) : name(family_name), family(family_name) {}
  ChainStage(std::string stage_name, std::string family_name, std::map<std::string, std::string> tensor_renames, bool runs_beside = false)
      : name(std::move(stage_name)), family(std::move(family_name)), renames(std::move(tensor_renames)), beside(runs_beside) {}
};

/// One way to compute an operator: its kernels in launch order, and the one that the tuner settles first.
struct ChainVariant {
  std::string name;                ///< "block_major"
  std::vector<ChainStage> stages;  ///< launch order
  std::string main;                ///< the stage whose config decides the others' problems
};

/// Which variant with which configs: what the tuner chooses and the tuning cache keeps.
struct Choice {
  std::string variant;
  Json configs = Json::object();  ///< stage -> config; a missing stage takes its default

  Json to_json() const;
  static Result<Choice> from_json(const Json& json);
};

/// A kernel of a chain with its problem and its complete config.
struct ChainStep {
  std::string stage;
  const Kernel* kernel = nullptr;
  Json problem;
  Json config;
  std::map<std::string, std::string> renames;
  bool beside = false;

  /// A step on its own, named like its family.
  ChainStep(const Kernel* step_kernel, Json step_problem, Json step_config)
      : stage(step_kernel->family()), kernel(step_kernel), problem(std::move(step_problem)), config(std::move(step_config)) {}
  ChainStep(const ChainStage& chain_stage, const Kernel* step_kernel, Json step_problem, Json step_config)
      : stage(chain_stage.name),
        kernel(step_kernel),
        problem(std::move(step_problem)),
        config(std::move(step_config)),
        renames(chain_stage.renames),
        beside(chain_stage.beside) {}

  /// The kernel's tensors, under the operator's names.
  std::vector<TensorSpec> tensors() const;
};

class Operator {
 public:
  virtual ~Operator() = default;
  virtual std::string_view name() const = 0;
  /// The fields of a public problem.
  virtual std::vector<std::string_view> public_fields() const = 0;
  /// A public problem (the fields of the operator's public problem struct; missing ones take its defaults) as kernels are
  /// planned for it, or why it is none.
  virtual Result<Json> from_public(const Json& problem) const = 0;
  /// What is unsupported about the problem on the target.
  virtual Result<void> check(const Json& problem, const Target& target) const = 0;
  /// The variants on a backend, the default one first.
  virtual const std::vector<ChainVariant>& variants(Backend backend) const = 0;
  /// Why a variant cannot compute the problem, where it cannot.
  virtual Result<void> check_variant(const Json&, const ChainVariant&) const { return {}; }
  /// The variant that is decent without tuning.
  virtual std::string default_variant(const Json& problem, const Target& target) const = 0;
  /// The problem as stage `stage` of `variant` sees it, given the main stage's config. Null: the stage takes no part.
  virtual Json step_problem(const Json& problem, const ChainVariant& variant, const ChainStage& stage, const Json& main_config,
                            Backend backend) const = 0;
  /// The caller's tensors: name, dtype, shape and layout, in the order that plans take them.
  virtual std::vector<TensorSpec> external_specs(const Json& problem) const = 0;
  /// Useful work of one forward, whatever the variant.
  virtual Work work(const Json& problem) const = 0;
  /// Features by which tuned entries are compared: the problem without what does not change speed.
  virtual Json features(const Json& problem) const = 0;
  /// The flags of `fsa tune` that name a problem of these sizes.
  virtual std::string tune_flags(const Json& problem) const = 0;
  /// Random inputs, in the order of external_specs(), outputs left empty. Operators that select blocks themselves ignore `overlap`.
  virtual Result<std::vector<HostTensor>> random_inputs(const Json& problem, const reference::InputPattern& pattern) const = 0;
  /// The oracle for given inputs: views in the order of external_specs(), which must outlive it.
  virtual Result<std::unique_ptr<Oracle>> make_oracle(const Json& problem, std::span<const TensorView> inputs) const = 0;
};

/// The named variant, or kNotFound listing those there are.
Result<const ChainVariant*> find_variant(const Operator& op, Backend backend, std::string_view name);

/// Name and version of every family that some variant uses: older tuning entries stay out of reach of newer kernels.
std::map<std::string, int> family_versions(const Operator& op, Backend backend);

/// The default choice: default variant, every config left to its default.
Choice default_choice(const Operator& op, const Json& problem, const Target& target);

/// Family, problem and complete config of every step of a choice; why not, where the choice is not legal here.
Result<std::vector<ChainStep>> make_chain(const Operator& op, const Json& problem, const Choice& choice, const Target& target);

/// The explicit list of operators.
std::span<const Operator* const> all_operators();
/// The named operator, or kUnsupported listing those there are.
Result<const Operator*> find_operator(std::string_view name);

/// A public problem given as JSON text, through Operator::from_public().
Result<Json> parse_public_problem(const Operator& op, std::string_view text);

const Operator& selected_attention_operator();
const Operator& native_sparse_attention_operator();
/// The branches of Native Sparse Attention, each on its own.
std::span<const Operator* const> branch_operators();

}  // namespace fsa
