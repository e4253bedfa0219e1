#pragma once
// Owns the running of kernel chains in tests: every tensor in memory of its own, all of it poisoned before.
#include <memory>
#include <string>
#include <vector>

#include "runtime/operator.h"
#include "templates/selected_problem.h"
#include "tests/support/lab.h"

namespace fsa::test {

/// A host tensor that a chain reads or writes, by the name kernels know it under.
struct Binding {
  std::string name;
  TensorView host;
};

/// Kernels that are compiled, loaded and ready to run one after the other.
class KernelChain {
 public:
  static Result<KernelChain> build(Lab& lab, std::vector<ChainStep> steps);

  /// Fills all memory with `poison`, uploads `inputs`, launches every kernel, waits, downloads `outputs`. Tensors that are
  /// bound to nothing get memory of the size their kernels state. With `repeats` the last kernel is launched twice, as where it is timed
  /// alone: it leaves what it reads as it was.
  Result<void> run(const std::vector<Binding>& inputs, const std::vector<Binding>& outputs, unsigned char poison = 0xff,
                   bool repeats = false) const;

  const std::vector<ChainStep>& steps() const { return steps_; }

 private:
  Lab* lab_ = nullptr;
  std::vector<ChainStep> steps_;
  std::vector<std::shared_ptr<const Module>> modules_;
};

/// The steps of a variant of selected attention. Errors: those of make_chain.
Result<std::vector<ChainStep>> selected_steps(const SelectedProblem& problem, const Choice& choice, const Target& target);

}  // namespace fsa::test
