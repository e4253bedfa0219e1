#pragma once
// Owns the configuration of block_index on a CPU. Clean for host compilers and bitcode.
#include "selected_shape.h"

namespace fsa::block_index {

struct CpuConfig {
  int segment_tokens;  ///< queries that one work item counts and places
};

}  // namespace fsa::block_index
