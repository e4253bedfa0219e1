#include "runtime/operator_input.h"

#include <fmt/format.h>

#include "runtime/input_file.h"
#include "runtime/nsa_file.h"
#include "runtime/selected_plan.h"
#include "runtime/selected_file.h"
#include "templates/reference/numeric.h"

namespace fsa {
namespace {

HostTensor to_f32(const TensorView& tensor) {
  HostTensor out(DType::kF32, {tensor.shape.begin(), tensor.shape.begin() + tensor.rank});
  const std::int64_t count = tensor.num_elements();
  if (count > 0) reference::load_elements(tensor, 0, {static_cast<float*>(out.data()), static_cast<std::size_t>(count)});
  return out;
}

/// The file interface names the outputs of selected attention as the whole operator does.
std::string file_name(const Operator& op, const std::string& tensor) {
  if (&op != &selected_attention_operator()) return tensor;
  return tensor == "o" ? "o_sel" : tensor == "lse" ? "lse_sel" : tensor;
}

Result<OperatorInput> selected_input(const std::string& path) {
  FSA_ASSIGN_OR_RETURN(SelectedInput in, read_selected_input(path));
  FSA_ASSIGN_OR_RETURN(Json problem, to_problem_json(in.problem));
  OperatorInput input{.op = &selected_attention_operator(), .problem = std::move(problem), .tensors = {}};
  for (HostTensor* tensor : {&in.q, &in.k, &in.v, &in.block_indices, &in.cu_q, &in.cu_k}) input.tensors.push_back(std::move(*tensor));
  input.tensors.resize(8);
  return input;
}

}  // namespace

Result<const Operator*> operator_by_short_name(std::string_view name) {
  if (name == "selected") return &selected_attention_operator();
  if (name == "nsa") return &native_sparse_attention_operator();
  return find_operator(name);
}

Result<OperatorInput> read_operator_input(const Operator& op, const std::string& path) {
  if (&op == &selected_attention_operator()) return selected_input(path);
  if (&op == &native_sparse_attention_operator()) return read_nsa_input(path);
  return make_error(ErrorKind::kUnsupported, {.given = fmt::format("an input file of {}", op.name()), .supported = "selected, nsa"});
}

Result<void> write_operator_output(const OperatorInput& input, std::span<const TensorView> tensors, const std::string& path,
                                   const std::map<std::string, std::string>& metadata) {
  const auto specs = input.op->external_specs(input.problem);
  std::vector<HostTensor> copies;
  std::vector<SafetensorsTensor> written;
  copies.reserve(specs.size());
  for (std::size_t i = 0; i < specs.size(); ++i) {
    if (specs[i].access == Access::kRead) continue;
    copies.push_back(specs[i].dtype == DType::kI32 ? HostTensor::copy_of(tensors[i]) : to_f32(tensors[i]));
    written.push_back(file_tensor(file_name(*input.op, specs[i].name), copies.back()));
  }
  return write_safetensors(path, written, {metadata.begin(), metadata.end()});
}

}  // namespace fsa
