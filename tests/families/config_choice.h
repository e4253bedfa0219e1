#pragma once
// Owns the picking of configs from a variant's legal space.
#include "runtime/operator.h"
#include "templates/reference/random_numbers.h"
#include "templates/selected_problem.h"

namespace fsa::test {

/// Which configs a choice takes, of each of its kernels.
enum class Pick { kSmallest, kLargest, kRandom };  // smallest and largest: by scratch memory, then threads, then order

/// One of Kernel::configs(). `random` for Pick::kRandom.
Result<Json> pick_config(const Kernel& kernel, const Json& problem, Pick pick, reference::Random& random, const Target& target);
/// A config of `kernel` for `problem`. `seed` for Pick::kRandom.
Result<Json> pick_config(const Kernel& kernel, const Json& problem, Pick pick, std::uint64_t seed, const Target& target);

/// A choice with configs picked from Kernel::configs() of every kernel of the variant. `seed` for Pick::kRandom.
Result<Choice> pick_configs(const SelectedProblem& problem, const std::string& variant, Pick pick, std::uint64_t seed,
                            const Target& target);

}  // namespace fsa::test
