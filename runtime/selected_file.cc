#include "runtime/selected_file.h"

#include <fmt/format.h>

#include <span>

#include "runtime/input_file.h"
#include "runtime/tensor_check.h"

namespace fsa {
namespace {

constexpr ExpectedTensor kQ{"q", 3, false, "BF16, F16 or F32 [Tq, Hq, D]"}, kK{"k", 3, false, "the dtype of q, [Tk, Hkv, D]"},
    kV{"v", 3, false, "the dtype of q, [Tk, Hkv, Dv]"}, kBlocks{"block_indices", 3, true, "I32 [Hkv, Tq, T]"},
    kCuQ{"cu_q", 1, true, "I32 [B+1]"}, kCuK{"cu_k", 1, true, "I32 [B+1]"};

Result<void> read_metadata(const SafetensorsFile& file, SelectedAttentionProblem& problem) {
  const auto& metadata = file.metadata();
  const auto block_size = metadata.find("block_size");
  if (block_size == metadata.end())
    return bad_input(file, "the metadata has no 'block_size'", "the number of keys per block, as text",
                     "add it to the file's __metadata__");
  FSA_ASSIGN_OR_RETURN(problem.block_size, positive_int(file, "block_size", block_size->second));
  if (const auto scale = metadata.find("scale"); scale != metadata.end()) {
    FSA_ASSIGN_OR_RETURN(problem.scale, positive_real(file, "scale", scale->second));
  }
  return {};
}

Result<void> check_fits(const SafetensorsFile& file, const SelectedInput& in) {
  const TensorView &q = in.q.view(), &k = in.k.view(), &v = in.v.view();
  FSA_RETURN_IF_ERROR(check_fit(file, kK, k, q.dtype, {k.shape[0], k.shape[1], q.shape[2]}));
  FSA_RETURN_IF_ERROR(check_fit(file, kV, v, q.dtype, {k.shape[0], k.shape[1], v.shape[2]}));
  FSA_RETURN_IF_ERROR(
      check_fit(file, kBlocks, in.block_indices.view(), DType::kI32, {k.shape[1], q.shape[0], in.block_indices.view().shape[2]}));
  return check_fit(file, kCuK, in.cu_k.view(), DType::kI32, {in.cu_q.view().shape[0]});
}

Result<void> read_sizes(const SafetensorsFile& file, SelectedInput& in) {
  const TensorView &q = in.q.view(), &k = in.k.view(), &v = in.v.view();
  SelectedAttentionProblem& p = in.problem;
  p.dtype = q.dtype;
  p.total_q = q.shape[0];
  p.total_k = k.shape[0];
  FSA_ASSIGN_OR_RETURN(p.heads_q, size_as_int(file, "the number of heads of q", q.shape[1]));
  FSA_ASSIGN_OR_RETURN(p.heads_kv, size_as_int(file, "the number of heads of k", k.shape[1]));
  FSA_ASSIGN_OR_RETURN(p.head_dim, size_as_int(file, "the last dimension of q", q.shape[2]));
  FSA_ASSIGN_OR_RETURN(p.head_dim_v, size_as_int(file, "the last dimension of v", v.shape[2]));
  FSA_ASSIGN_OR_RETURN(p.topk, size_as_int(file, "the last dimension of block_indices", in.block_indices.view().shape[2]));
  FSA_ASSIGN_OR_RETURN(p.num_seqs, size_as_int(file, "the number of sequences", in.cu_q.view().shape[0] - 1));
  return {};
}

std::span<const int> ints(const HostTensor& tensor) {
  return {static_cast<const int*>(tensor.data()), static_cast<std::size_t>(tensor.view().shape[0])};
}

/// check_cu_seqlens, with the file's name in front.
Result<void> check_lengths(const SafetensorsFile& file, const SelectedInput& in) {
  const auto checked = check_cu_seqlens(ints(in.cu_q), ints(in.cu_k), in.problem.total_q, in.problem.total_k);
  if (checked) return {};
  return bad_input(file, checked.error().given, checked.error().supported, checked.error().remedy);
}

}  // namespace

Result<SelectedInput> read_selected_input(const std::string& path) {
  FSA_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::open(path));
  SelectedInput in;
  FSA_RETURN_IF_ERROR(read_metadata(file, in.problem));
  FSA_ASSIGN_OR_RETURN(in.q, read_tensor(file, kQ));
  FSA_ASSIGN_OR_RETURN(in.k, read_tensor(file, kK));
  FSA_ASSIGN_OR_RETURN(in.v, read_tensor(file, kV));
  FSA_ASSIGN_OR_RETURN(in.block_indices, read_tensor(file, kBlocks));
  FSA_ASSIGN_OR_RETURN(in.cu_q, read_tensor(file, kCuQ));
  FSA_ASSIGN_OR_RETURN(in.cu_k, read_tensor(file, kCuK));
  FSA_RETURN_IF_ERROR(check_fits(file, in));
  FSA_RETURN_IF_ERROR(read_sizes(file, in));
  FSA_RETURN_IF_ERROR(check_lengths(file, in));
  return in;
}

Result<void> write_selected_input(const std::string& path, const SelectedInput& in) {
  const std::vector tensors{file_tensor("q", in.q),       file_tensor("k", in.k),
                            file_tensor("v", in.v),       file_tensor("block_indices", in.block_indices),
                            file_tensor("cu_q", in.cu_q), file_tensor("cu_k", in.cu_k)};
  SafetensorsMetadata metadata{{"block_size", fmt::format("{}", in.problem.block_size)}, {"topk", fmt::format("{}", in.problem.topk)}};
  if (in.problem.scale > 0) metadata["scale"] = fmt::format("{}", in.problem.scale);
  return write_safetensors(path, tensors, metadata);
}

}  // namespace fsa
