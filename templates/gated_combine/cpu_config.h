#pragma once
// Owns the configuration of gated_combine on a CPU. Clean for host compilers and bitcode.

namespace fsa::gated_combine {

struct CpuConfig {
  int tokens;  ///< that one work item combines, all heads
};

}  // namespace fsa::gated_combine
