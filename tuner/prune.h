#pragma once
// Owns pruning: which configs are not worth compiling by the resource model, and which binaries not worth running by the
// compiler's own report. Pure.
#include <string>

#include "codegen/compiler.h"
#include "codegen/kernel_facts.h"
#include "codegen/target.h"

namespace fsa::tuner {

/// Why a config is not worth compiling for the target; empty when it is.
std::string prune_reason(const Resources& resources, const Target& target);

/// Why a binary is not worth running; empty when it is. Spills cost more than any tiling gains, and a serialised wgmma or
/// an ignored setmaxnreg means that the compiler has undone the schedule the config stands for.
std::string prune_reason(const CompileReport& report);

}  // namespace fsa::tuner
