#pragma once
// Owns the reading of a CUDA compile log: what the front end warned of and what ptxas -v said about the kernels.
#include <string>
#include <string_view>

#include "codegen/compiler.h"

namespace fsa {

/// Reads the log of a compile with `-Xptxas=-v`. Maxima and sums run over all functions of the log, as CompileReport
/// states; `seconds` is left at 0. Warnings are the front end's, ptxas' own, and its "Potential Performance Loss" notes
/// (serialised wgmma, ignored setmaxnreg). A log without ptxas output leaves registers at -1.
CompileReport parse_ptxas_report(std::string_view log);

/// The first reason not to run such a kernel (it spills, or the compiler gave up a Hopper feature), or an empty string.
std::string performance_flaw(const CompileReport& report);

}  // namespace fsa
