#include "runtime/nsa_file.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "runtime/input_file.h"
#include "runtime/nsa_problem.h"
#include "runtime/tensor_check.h"

namespace fsa {
namespace {

constexpr ExpectedTensor kQ{"q", 3, false, "BF16, F16 or F32 [Tq, Hq, D]"}, kK{"k", 3, false, "the dtype of q, [Tk, Hkv, D]"},
    kV{"v", 3, false, "the dtype of q, [Tk, Hkv, Dv]"}, kCk{"ck", 3, false, "the dtype of q, [Tc, Hkv, D]"},
    kCv{"cv", 3, false, "the dtype of q, [Tc, Hkv, Dv]"}, kPe{"pe", 3, false, "the dtype of q, [Hkv, kernel_size, D]"},
    kGates{"gates", 3, false, "BF16, F16 or F32 [Tq, Hq, 3]"}, kCuQ{"cu_q", 1, true, "I32 [B+1]"}, kCuK{"cu_k", 1, true, "I32 [B+1]"};

constexpr std::array<std::pair<const char*, int NativeSparseAttentionProblem::*>, 4> kPositive{
    {{"kernel_size", &NativeSparseAttentionProblem::kernel_size},
     {"stride", &NativeSparseAttentionProblem::stride},
     {"block_size", &NativeSparseAttentionProblem::block_size},
     {"topk", &NativeSparseAttentionProblem::topk}}};
constexpr std::array<std::pair<const char*, int NativeSparseAttentionProblem::*>, 3> kWhole{
    {{"init_blocks", &NativeSparseAttentionProblem::init_blocks},
     {"local_blocks", &NativeSparseAttentionProblem::local_blocks},
     {"window", &NativeSparseAttentionProblem::window}}};

Result<const std::string*> metadata_of(const SafetensorsFile& file, const char* key) {
  const auto it = file.metadata().find(key);
  if (it != file.metadata().end()) return &it->second;
  return bad_input(file, fmt::format("the metadata has no '{}'", key),
                   "kernel_size, stride, block_size, topk, init_blocks, local_blocks and window, as text", "add it to the file's __metadata__");
}

Result<void> read_metadata(const SafetensorsFile& file, NativeSparseAttentionProblem& p) {
  for (const auto& [key, member] : kPositive) {
    FSA_ASSIGN_OR_RETURN(const std::string* text, metadata_of(file, key));
    FSA_ASSIGN_OR_RETURN(p.*member, positive_int(file, key, *text));
  }
  for (const auto& [key, member] : kWhole) {
    FSA_ASSIGN_OR_RETURN(const std::string* text, metadata_of(file, key));
    FSA_ASSIGN_OR_RETURN(p.*member, whole_number(file, key, *text));
  }
  if (const auto scale = file.metadata().find("scale"); scale != file.metadata().end()) {
    FSA_ASSIGN_OR_RETURN(p.scale, positive_real(file, "scale", scale->second));
  }
  return {};
}

Result<void> read_sizes(const SafetensorsFile& file, const TensorView& q, const TensorView& k, const TensorView& v, const TensorView& gates,
                        const TensorView& cu_q, NativeSparseAttentionProblem& p) {
  p.dtype = q.dtype;
  p.gates_dtype = gates.dtype;
  p.total_q = q.shape[0];
  p.total_k = k.shape[0];
  FSA_ASSIGN_OR_RETURN(p.heads_q, size_as_int(file, "the number of heads of q", q.shape[1]));
  FSA_ASSIGN_OR_RETURN(p.heads_kv, size_as_int(file, "the number of heads of k", k.shape[1]));
  FSA_ASSIGN_OR_RETURN(p.head_dim, size_as_int(file, "the last dimension of q", q.shape[2]));
  FSA_ASSIGN_OR_RETURN(p.head_dim_v, size_as_int(file, "the last dimension of v", v.shape[2]));
  FSA_ASSIGN_OR_RETURN(p.num_seqs, size_as_int(file, "the number of sequences", cu_q.shape[0] - 1));
  return {};
}

/// Which compression the file's tensors ask for.
Result<void> read_compression(const SafetensorsFile& file, NativeSparseAttentionProblem& p) {
  const auto has = [&](const char* name) { return file.get(name).ok(); };
  p.compression = Compression::kMean;
  if (has("ck")) {
    p.compression = Compression::kNone;
    FSA_ASSIGN_OR_RETURN(const SafetensorsTensor* ck, file.get("ck"));
    p.total_c = ck->shape.empty() ? 0 : ck->shape[0];
  } else if (has("w_k")) {
    FSA_ASSIGN_OR_RETURN(const SafetensorsTensor* w, file.get("w_k"));
    if (w->shape.size() != 2 && w->shape.size() != 3)
      return bad_input(file, fmt::format("w_k has {} dimensions", w->shape.size()), "[Hkv, kernel_size], or [Hkv, kernel_size * D, D]");
    p.compression = w->shape.size() == 2 ? Compression::kWeighted : Compression::kLinear;
    p.positional = p.compression == Compression::kLinear && has("pe");
  }
  return {};
}

ExpectedTensor expected_weight(const char* name, const NativeSparseAttentionProblem& p) {
  return p.compression == Compression::kWeighted ? ExpectedTensor{name, 2, false, "the dtype of q, [Hkv, kernel_size]"}
                                                 : ExpectedTensor{name, 3, false, "the dtype of q, [Hkv, kernel_size * D, D]"};
}

Result<HostTensor> read_by_name(const SafetensorsFile& file, const std::string& name, const NativeSparseAttentionProblem& p) {
  if (name == "w_k" || name == "w_v") return read_tensor(file, expected_weight(name == "w_k" ? "w_k" : "w_v", p));
  for (const ExpectedTensor* expected : {&kQ, &kK, &kV, &kCk, &kCv, &kPe, &kGates, &kCuQ, &kCuK})
    if (name == expected->name) return read_tensor(file, *expected);
  return make_error(ErrorKind::kInternal, {.given = "an input without a place in the file interface: " + name});
}

/// Each tensor must be what the plan will ask for: told here with the file's name.
Result<void> check_fits(const SafetensorsFile& file, const std::vector<TensorSpec>& specs, const std::vector<HostTensor>& tensors) {
  for (std::size_t i = 0; i < specs.size(); ++i) {
    if (specs[i].access != Access::kRead) continue;
    const TensorView wanted = packed_view(specs[i]), &got = tensors[i].view();
    if (got.dtype == wanted.dtype && got.rank == wanted.rank && got.shape == wanted.shape) continue;
    return bad_input(file, fmt::format("{} is {}", specs[i].name, got.describe()), fmt::format("{} with this file's other tensors", wanted.describe()));
  }
  return {};
}

Result<void> check_lengths(const SafetensorsFile& file, const TensorView& cu_q, const TensorView& cu_k, const NativeSparseAttentionProblem& p) {
  const auto ints = [](const TensorView& t) { return std::span(static_cast<const int*>(t.data), static_cast<std::size_t>(t.shape[0])); };
  const auto checked = check_cu_seqlens(ints(cu_q), ints(cu_k), p.total_q, p.total_k);
  if (checked) return {};
  return bad_input(file, checked.error().given, checked.error().supported, checked.error().remedy);
}

}  // namespace

Result<OperatorInput> read_nsa_input(const std::string& path) {
  FSA_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::open(path));
  NativeSparseAttentionProblem p{.branch_outputs = true};
  FSA_RETURN_IF_ERROR(read_metadata(file, p));
  FSA_ASSIGN_OR_RETURN(const HostTensor q, read_tensor(file, kQ));
  FSA_ASSIGN_OR_RETURN(const HostTensor k, read_tensor(file, kK));
  FSA_ASSIGN_OR_RETURN(const HostTensor v, read_tensor(file, kV));
  FSA_ASSIGN_OR_RETURN(const HostTensor gates, read_tensor(file, kGates));
  FSA_ASSIGN_OR_RETURN(const HostTensor cu_q, read_tensor(file, kCuQ));
  FSA_ASSIGN_OR_RETURN(const HostTensor cu_k, read_tensor(file, kCuK));
  FSA_RETURN_IF_ERROR(read_sizes(file, q.view(), k.view(), v.view(), gates.view(), cu_q.view(), p));
  FSA_RETURN_IF_ERROR(check_fit(file, kCuK, cu_k.view(), DType::kI32, {cu_q.view().shape[0]}));
  FSA_RETURN_IF_ERROR(check_lengths(file, cu_q.view(), cu_k.view(), p));
  FSA_RETURN_IF_ERROR(read_compression(file, p));

  OperatorInput input{.op = &native_sparse_attention_operator(), .problem = {}, .tensors = {}};
  FSA_ASSIGN_OR_RETURN(input.problem, to_problem_json(p));
  const auto specs = input.op->external_specs(input.problem);
  for (const TensorSpec& spec : specs) {
    input.tensors.emplace_back();
    if (spec.access != Access::kRead) continue;
    FSA_ASSIGN_OR_RETURN(input.tensors.back(), read_by_name(file, spec.name, p));
  }
  FSA_RETURN_IF_ERROR(check_fits(file, specs, input.tensors));
  return input;
}

Result<void> write_nsa_input(const std::string& path, const OperatorInput& input) {
  const auto specs = input.op->external_specs(input.problem);
  std::vector<SafetensorsTensor> tensors;
  for (std::size_t i = 0; i < specs.size(); ++i)
    if (specs[i].access == Access::kRead) tensors.push_back(file_tensor(specs[i].name, input.tensors[i]));
  SafetensorsMetadata metadata;
  for (const char* key : {"kernel_size", "stride", "block_size", "topk", "init_blocks", "local_blocks", "window", "scale"})
    metadata[key] = input.problem.at(key).dump();
  return write_safetensors(path, tensors, metadata);
}

}  // namespace fsa
