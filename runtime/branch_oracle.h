#pragma once
// Owns the random inputs of the branches of Native Sparse Attention, and the oracles of their outputs.
#include <memory>
#include <span>
#include <vector>

#include "codegen/kernel_facts.h"
#include "runtime/branch_problem.h"
#include "runtime/host_tensor.h"
#include "runtime/oracle.h"
#include "templates/reference/random_parts.h"

namespace fsa {

/// In the order of `specs`, outputs left empty. The lse of select_blocks is that of compressed attention over its q and ck: exact
/// in the rows that its oracle judges. Of problems too large for that the other rows hold what normal keys give on average.
Result<std::vector<HostTensor>> random_branch_inputs(const Branch& branch, const BranchProblem& problem, std::span<const TensorSpec> specs,
                                                     const reference::InputPattern& pattern);

/// The oracle for `inputs`, in the order of `specs`. `tolerance` is the kernel's. Problems that would take it more than some
/// seconds are judged by rows spread evenly over all.
Result<std::unique_ptr<Oracle>> make_branch_oracle(const Branch& branch, const BranchProblem& problem, std::vector<TensorSpec> specs,
                                                   std::span<const TensorView> inputs, double tolerance);

}  // namespace fsa
