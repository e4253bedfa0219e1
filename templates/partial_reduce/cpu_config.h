#pragma once
// Owns the configuration of partial_reduce on a CPU. Clean for host compilers and bitcode.
namespace fsa::partial_reduce {

struct CpuConfig {
  int tokens;  ///< query tokens of one kv head that one work item merges
};

}  // namespace fsa::partial_reduce
