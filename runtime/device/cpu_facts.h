#pragma once
// Owns what the operating system says about this machine's CPU.
#include <string>

#include "codegen/base/json.h"
#include "fsa/base/result.h"

namespace fsa {

/// "AMD EPYC 9B45": the CPU's own name, for messages and provenance; "x86-64 CPU" where it gives none.
std::string cpu_name();
/// CPUs that this process may run on (its affinity mask), at least 1.
int usable_cpus();
/// `asked`, or for 0 usable_cpus(). kInvalidArgument outside 0..4096. The environment is the options' business alone.
Result<int> thread_count(int asked);
/// Cache sizes: {"l1d_kib", "l2_kib", "l3_mib"}; 0 where the system does not tell.
Json cache_sizes();

}  // namespace fsa
