#pragma once
// Owns the configuration of compressed_sequences on a CPU. Clean for host compilers and bitcode.

namespace fsa::compressed_sequences {

/// There is nothing to choose.
struct CpuConfig {};

}  // namespace fsa::compressed_sequences
