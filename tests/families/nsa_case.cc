#include "tests/families/nsa_case.h"

#include <cmath>
#include <numeric>

#include "runtime/nsa_oracle.h"
#include "runtime/operator.h"
#include "templates/reference/compress_reference.h"

namespace fsa::test {
namespace {

std::vector<std::int32_t> prefix_sums(const std::vector<int>& lens) {
  std::vector<std::int32_t> sums{0};
  for (const int length : lens) sums.push_back(sums.back() + length);
  return sums;
}

NsaProblem with_totals(NsaProblem p, const std::vector<std::int32_t>& cu_q, const std::vector<std::int32_t>& cu_k) {
  p.num_seqs = static_cast<int>(cu_q.size()) - 1;
  p.total_q = cu_q.back();
  p.total_k = cu_k.back();
  p.total_c = p.compression == Compression::kNone ? reference::compressed_cu(cu_k, p.kernel_size, p.stride).back() : p.total_k / p.stride;
  p.scale = 1 / std::sqrt(static_cast<float>(p.head_dim));
  return p;
}

void set_lengths(NsaInputs& inputs, const char* name, const std::vector<std::int32_t>& cu) {
  for (std::size_t i = 0; i < inputs.specs.size(); ++i)
    if (inputs.specs[i].name == name) inputs.tensors[i] = HostTensor::copy_of(TensorView::contiguous(cu.data(), DType::kI32, {std::ssize(cu)}));
}

}  // namespace

NsaInputs make_inputs(const NsaCase& description) {
  const auto cu_q = prefix_sums(description.lens_q), cu_k = prefix_sums(description.lens_k);
  const NsaProblem problem = with_totals(description.problem, cu_q, cu_k);
  NsaInputs inputs{.problem = to_json(nsa_problem_fields(), problem), .specs = {}, .tensors = {}};
  inputs.specs = native_sparse_attention_operator().external_specs(inputs.problem);
  inputs.tensors = random_nsa_inputs(problem, inputs.specs, {.seed = description.seed});
  set_lengths(inputs, "cu_q", cu_q);
  set_lengths(inputs, "cu_k", cu_k);
  for (std::size_t i = 0; i < inputs.specs.size(); ++i)
    if (inputs.specs[i].access != Access::kRead) inputs.tensors[i] = HostTensor(inputs.specs[i].dtype, inputs.specs[i].shape);
  return inputs;
}

std::vector<NsaCase> nsa_cases() {
  const NsaProblem small{.gates = Element::kF32, .head_dim = 64, .head_dim_v = 64, .group = 4, .kernel_size = 16, .stride = 8, .block_size = 32,
                         .topk = 4, .window = 48, .heads_kv = 2};
  const auto with = [&](auto change) {
    NsaProblem p = small;
    change(p);
    return p;
  };
  return {
      {"training", small, {400}, {400}},
      {"every_block_selected", with([](NsaProblem& p) { p.topk = 16; }), {300}, {300}},
      {"mean", with([](NsaProblem& p) { p.compression = Compression::kMean; }), {200, 130}, {200, 130}},
      {"weighted", with([](NsaProblem& p) { p.compression = Compression::kWeighted; }), {260}, {260}},
      {"linear", with([](NsaProblem& p) { p.compression = Compression::kLinear, p.gates = Element::kBF16; }), {260}, {260}},
      {"positional", with([](NsaProblem& p) { p.compression = Compression::kLinear, p.positional = 1, p.stride = 16; }), {210}, {210}},
      {"packed", with([](NsaProblem& p) { p.group = 3, p.element = Element::kF16; }), {0, 1, 70, 200, 0}, {0, 1, 70, 200, 0}},
      {"suffix", with([](NsaProblem& p) { p.group = 5, p.head_dim_v = 96; }), {17, 1, 40}, {320, 150, 300}},
      {"decode", with([](NsaProblem& p) { p.group = 16, p.heads_kv = 1; }), {1, 1, 1}, {500, 20, 333}},
      {"one_head_wide", with([](NsaProblem& p) { p.group = 1, p.head_dim = 128, p.head_dim_v = 64, p.kernel_size = 32, p.stride = 16, p.block_size = 64; }), {520}, {520}},
      {"float32", with([](NsaProblem& p) { p.element = Element::kF32, p.heads_kv = 1; }), {200}, {200}},
      {"shorter_than_a_kernel", small, {10, 15, 3}, {10, 15, 3}},
      {"nothing", small, {}, {}},
  };
}

}  // namespace fsa::test
