#pragma once
// Owns the file interface of selected attention: safetensors files to problems and host tensors and back.
//
// An input file holds q [Tq, Hq, D], k [Tk, Hkv, D] and v [Tk, Hkv, Dv] (all BF16, F16 or F32), block_indices I32
// [Hkv, Tq, T], cu_q and cu_k I32 [B+1], and the metadata block_size and, where it is not 1/sqrt(D), scale. Other tensors
// and metadata are ignored.
#include <string>

#include "fsa/base/result.h"
#include "fsa/selected_attention.h"
#include "runtime/host_tensor.h"

namespace fsa {

/// The inputs of one selected-attention forward.
struct SelectedInput {
  SelectedAttentionProblem problem;
  HostTensor q, k, v, block_indices, cu_q, cu_k;
};

/// Reads an input file. Its tensors fit together and cu_q and cu_k are sound; whether a kernel covers the problem is for
/// plan() to say. kNotFound, kIo, kCorrupt: the file; kInvalidArgument, kUnsupported: a tensor or metadata key, by name.
Result<SelectedInput> read_selected_input(const std::string& path);

/// Writes an input file, whole or not at all.
Result<void> write_selected_input(const std::string& path, const SelectedInput& input);

}  // namespace fsa
