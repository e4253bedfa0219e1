#pragma once
// Owns the whole operator's public types: problem, tensors, and the plan that runs it.
#include <cstddef>
#include <cstdint>

#include "fsa/base/export.h"
#include "fsa/base/result.h"
#include "fsa/base/tensor_view.h"
#include "fsa/plan.h"

namespace fsa {

/// How keys and values are compressed (NSA, arXiv 2502.11089, section 3.3.1). Compressed key i covers the kernel_size tokens
/// from i * stride on; a sequence of n tokens has (n - kernel_size) / stride + 1 of them, rounded down, or none.
enum class Compression {
  kNone,      ///< the caller passes ck and cv
  kMean,      ///< the mean of the tokens
  kWeighted,  ///< a weighted sum: w_k and w_v [Hkv, kernel_size]
  kLinear,    ///< a learned linear map of all tokens: w_k [Hkv, kernel_size * D, D], w_v [Hkv, kernel_size * Dv, Dv]
};

/// Native Sparse Attention, forward: every query attends to the compressed keys, to the `topk` blocks of keys that its
/// compressed attention points to, and to a sliding window; the gates weigh the three outputs (section 3.2, equation 5).
///
/// Sequences are packed as for SelectedAttentionProblem. A query at position pos sees compressed key i once its last token
/// is there (pos >= i * stride + kernel_size - 1), and of selected blocks and window the keys up to pos.
struct NativeSparseAttentionProblem {
  DType dtype = DType::kBF16;        ///< of q, k, v, compressed or compressing tensors and out: bf16 or f16; f32 on the CPU only
  DType gates_dtype = DType::kBF16;  ///< bf16, f16 or f32
  int head_dim = 128;                ///< D of q and k: 16 to 256, a multiple of 8
  int head_dim_v = 128;              ///< Dv of v and out: 16 to 256, a multiple of 8
  int heads_q = 1;                   ///< Hq, a multiple of heads_kv
  int heads_kv = 1;                  ///< Hkv
  int kernel_size = 32;              ///< l, tokens per compressed key: a multiple of stride, up to 256
  int stride = 16;                   ///< s, tokens between compressed keys
  int block_size = 64;               ///< keys per selected block: 16 to 128, a multiple of 16 and of stride
  int topk = 16;                     ///< T, blocks selected per (kv head, query), forced ones included: 1 to 64
  int init_blocks = 1;               ///< first blocks of a sequence that every query selects
  int local_blocks = 2;              ///< latest blocks that every query selects, its own included
  int window = 512;                  ///< keys of the sliding window, the query's own included
  Compression compression = Compression::kNone;
  bool positional = false;           ///< kLinear only: a positional term pe is added to keys before the map
  bool branch_outputs = false;       ///< the caller wants the branches' outputs, their LSEs and the block indices too
  int num_seqs = 1;                  ///< B
  std::int64_t total_q = 0;          ///< Tq, query rows over all sequences
  std::int64_t total_k = 0;          ///< Tk, key rows over all sequences
  std::int64_t total_c = 0;          ///< Tc, rows of ck and cv; kNone only
  float scale = 0;                   ///< softmax scale of all branches; 0 means 1/sqrt(head_dim)
};

/// Tensors of one forward call, in the memory of the plan's device. Token and head strides of 3-dimensional tensors of dtype
/// and of the branches' outputs are free, in multiples of 16 bytes, their base pointers 16-byte aligned; w_k, w_v, pe, LSEs
/// and indices are contiguous. Tensors that the problem does not ask for are ignored.
struct NativeSparseAttentionTensors {
  TensorView q;              ///< dtype [Tq, Hq, D]
  TensorView k;              ///< dtype [Tk, Hkv, D]
  TensorView v;              ///< dtype [Tk, Hkv, Dv]
  TensorView ck;             ///< kNone: dtype [Tc, Hkv, D], the sequences' compressed keys packed one after another
  TensorView cv;             ///< kNone: dtype [Tc, Hkv, Dv]
  TensorView w_k;            ///< kWeighted, kLinear: see Compression
  TensorView w_v;            ///< kWeighted, kLinear: see Compression
  TensorView pe;             ///< positional: dtype [Hkv, kernel_size, D]
  TensorView gates;          ///< gates_dtype [Tq, Hq, 3]: of compressed, selected and sliding, as values; strides free, 0 included
  TensorView cu_q;           ///< i32 [B+1]: 0, ..., Tq, never decreasing
  TensorView cu_k;           ///< i32 [B+1]: 0, ..., Tk, never decreasing; len_k >= len_q
  TensorView out;            ///< dtype [Tq, Hq, Dv], written
  TensorView o_cmp;          ///< branch_outputs: f32 [Tq, Hq, Dv], written; 0 in rows that see no compressed key
  TensorView lse_cmp;        ///< branch_outputs: f32 [Hq, Tq], written: natural log-sum-exp; -inf in rows that see no key
  TensorView block_indices;  ///< branch_outputs: i32 [Hkv, Tq, T], written: ascending, -1 last
  TensorView o_sel;          ///< branch_outputs: f32 [Tq, Hq, Dv], written
  TensorView lse_sel;        ///< branch_outputs: f32 [Hq, Tq], written
  TensorView o_win;          ///< branch_outputs: f32 [Tq, Hq, Dv], written
  TensorView lse_win;        ///< branch_outputs: f32 [Hq, Tq], written
};

/// The whole forward bound to its kernels. Immutable; threads and lifetime as with Plan.
class FSA_API NativeSparseAttentionPlan {
 public:
  explicit NativeSparseAttentionPlan(Plan plan);

  /// Bytes of workspace forward() needs. Known before anything runs.
  std::size_t workspace_bytes() const;

  /// Computes out and what else was asked for, as Plan::forward() does.
  Result<void> forward(const NativeSparseAttentionTensors& tensors, Workspace workspace, void* stream = nullptr) const;

  /// Everything forward() checks and the contents of cu_q and cu_k, as Plan::validate() does.
  Result<void> validate(const NativeSparseAttentionTensors& tensors) const;

  const PlanReport& report() const;

  /// The same plan, its tensors in the order of NativeSparseAttentionTensors without those the problem does not ask for.
  const Plan& plan() const;

 private:
  /// Where in NativeSparseAttentionTensors each of the plan's tensors stands.
  static constexpr std::size_t kMostTensors = 19;
  Plan plan_;
  std::size_t count_ = 0;
  std::size_t order_[kMostTensors] = {};
};

}  // namespace fsa
