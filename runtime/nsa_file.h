#pragma once
// Owns the file interface of the whole operator: safetensors files to problems and inputs.
//
// An input file holds q [Tq, Hq, D], k [Tk, Hkv, D], v [Tk, Hkv, Dv] (all BF16, F16 or F32), gates [Tq, Hq, 3] (any of
// these), cu_q and cu_k I32 [B+1]; and ck [Tc, Hkv, D] with cv [Tc, Hkv, Dv], or in their place w_k and w_v
// ([Hkv, kernel_size] weighted, [Hkv, kernel_size * D, D] linear) with, for linear, pe [Hkv, kernel_size, D]; or none of
// these, for the mean. The metadata give kernel_size, stride, block_size, topk, init_blocks, local_blocks, window and,
// where it is not 1/sqrt(D), scale.
#include <string>

#include "runtime/operator_input.h"

namespace fsa {

/// The file's problem asks for every branch's output. Errors as those of read_selected_input().
Result<OperatorInput> read_nsa_input(const std::string& path);

/// Writes an input file that read_nsa_input() reads back, whole or not at all.
Result<void> write_nsa_input(const std::string& path, const OperatorInput& input);

}  // namespace fsa
