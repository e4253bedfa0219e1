#pragma once
// Owns the selected-attention operator's public types: problem, tensors, and the plan that runs it.
#include <cstddef>
#include <cstdint>

#include "fsa/base/export.h"
#include "fsa/base/result.h"
#include "fsa/base/tensor_view.h"
#include "fsa/plan.h"

namespace fsa {

/// Selected attention, forward (the selected branch of NSA, arXiv 2502.11089, section 3.3.2): each query attends to
/// the keys of at most `topk` blocks of its kv head, causally.
///
/// Sequences are packed: sequence b owns query rows cu_q[b]..cu_q[b+1] and key rows cu_k[b]..cu_k[b+1]. Queries are the
/// last rows of their sequence: query i stands at position i + len_k - len_q (training, chunked prefill and decode).
struct SelectedAttentionProblem {
  DType dtype = DType::kBF16;     ///< of q, k, v and o: bf16 or f16; f32 on the CPU only
  int head_dim = 128;             ///< D of q and k: 16 to 256, a multiple of 8
  int head_dim_v = 128;           ///< Dv of v and o: 16 to 256, a multiple of 8
  int heads_q = 1;                ///< Hq, a multiple of heads_kv
  int heads_kv = 1;               ///< Hkv
  int block_size = 64;            ///< keys per block: 16 to 128, a multiple of 16
  int topk = 16;                  ///< T, slots of block_indices per (kv head, query): 1 to 64
  int num_seqs = 1;               ///< B
  std::int64_t total_q = 0;       ///< Tq, query rows over all sequences
  std::int64_t total_k = 0;       ///< Tk, key rows over all sequences
  float scale = 0;                ///< softmax scale; 0 means 1/sqrt(head_dim)
};

/// Tensors of one forward call, in the memory of the plan's device. Last dimensions contiguous; token and head strides
/// of q, k, v and o are free, in multiples of 16 bytes; base pointers 16-byte aligned.
struct SelectedAttentionTensors {
  TensorView q;              ///< dtype [Tq, Hq, D]
  TensorView k;              ///< dtype [Tk, Hkv, D]
  TensorView v;              ///< dtype [Tk, Hkv, Dv]
  TensorView block_indices;  ///< i32 [Hkv, Tq, T], contiguous; numbers within the sequence, distinct, any order; negative: none
  TensorView cu_q;           ///< i32 [B+1]: 0, ..., Tq, never decreasing
  TensorView cu_k;           ///< i32 [B+1]: 0, ..., Tk, never decreasing; len_k >= len_q
  TensorView o;              ///< dtype [Tq, Hq, Dv], written; 0 in rows that see no key
  TensorView lse;            ///< f32 [Hq, Tq], contiguous, written: natural log-sum-exp; -inf in rows that see no key
};

/// A selected-attention forward bound to its kernels. Immutable: any number of threads may call forward() at once, each
/// with its own workspace. Outlives the Engine that made it.
class FSA_API SelectedAttentionPlan {
 public:
  explicit SelectedAttentionPlan(Plan plan);

  /// Bytes of workspace forward() needs. Known before anything runs.
  std::size_t workspace_bytes() const;

  /// Computes o and lse, as Plan::forward() does.
  Result<void> forward(const SelectedAttentionTensors& tensors, Workspace workspace, void* stream = nullptr) const;

  /// Everything forward() checks and the contents of cu_q and cu_k, as Plan::validate() does.
  Result<void> validate(const SelectedAttentionTensors& tensors) const;

  const PlanReport& report() const;

  /// The same plan, its tensors in the order of SelectedAttentionTensors.
  const Plan& plan() const;

 private:
  Plan plan_;
};

}  // namespace fsa
