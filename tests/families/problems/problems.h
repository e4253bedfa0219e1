#pragma once
// Owns the problems that every test over all kernel families takes: one list per family, the only thing such tests know of it.
#include <string_view>
#include <vector>

#include "codegen/base/json.h"
#include "codegen/target.h"

namespace fsa::test {

/// What a family is planned and compiled for in tests. Every problem is supported on every target of the backend that the family runs on.
struct FamilyProblems {
  std::vector<Json> compiled;  ///< differ in what kernels are specialised on: the models' shapes first, then corners
  std::vector<Json> planned;   ///< stress enumeration and launches: small, large, odd, empty
};

/// False for a family without kernels for a target of a backend that it has kernels for.
bool runs_on(std::string_view family, const Target& target);

/// The list of `family`, with the parts that `backend` supports.
FamilyProblems family_problems(std::string_view family, Backend backend);

/// One list per family or group of families.
FamilyProblems selected_problems(Backend backend);
FamilyProblems partial_reduce_problems(Backend backend);
FamilyProblems shared_reduce_problems(Backend backend);
FamilyProblems compressed_sequences_problems(Backend backend);
FamilyProblems compress_kv_problems(Backend backend);
FamilyProblems gated_combine_problems(Backend backend);
FamilyProblems select_blocks_problems(Backend backend);
FamilyProblems compressed_attention_problems(Backend backend);
FamilyProblems sliding_window_problems(Backend backend);
FamilyProblems multiply_add_peak_problems(Backend backend);

}  // namespace fsa::test
