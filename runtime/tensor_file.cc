#include "runtime/tensor_file.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <cstring>
#include <limits>
#include <span>

#include "cache/safetensors.h"
#include "runtime/tensor_check.h"
#include "templates/reference/numeric.h"

namespace fsa {
namespace {

Error bad_input(const SafetensorsFile& file, std::string given, std::string supported, std::string remedy = {}) {
  return make_error(ErrorKind::kInvalidArgument,
                    {.given = fmt::format("{}: {}", file.path(), given), .supported = std::move(supported), .remedy = std::move(remedy)});
}

std::string describe(const SafetensorsTensor& tensor) {
  std::string text = tensor.dtype + " [";
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) text += fmt::format("{}{}", i ? ", " : "", tensor.shape[i]);
  return text + "]";
}

/// What the file interface expects of one tensor.
struct Expected {
  const char* name;
  int rank;
  bool integer;  ///< I32, else one of the element types
  const char* text;
};
constexpr Expected kQ{"q", 3, false, "BF16, F16 or F32 [Tq, Hq, D]"}, kK{"k", 3, false, "the dtype of q, [Tk, Hkv, D]"},
    kV{"v", 3, false, "the dtype of q, [Tk, Hkv, Dv]"}, kBlocks{"block_indices", 3, true, "I32 [Hkv, Tq, T]"},
    kCuQ{"cu_q", 1, true, "I32 [B+1]"}, kCuK{"cu_k", 1, true, "I32 [B+1]"};

std::string remedy_for(const Expected& e, bool right_dtype) {
  if (right_dtype) return "the names and shapes are those of `fsa sample`";
  return e.integer ? "convert it to int32" : "convert it to bfloat16, float16 or float32";
}

Result<HostTensor> read_tensor(const SafetensorsFile& file, const Expected& expected) {
  FSA_ASSIGN_OR_RETURN(const SafetensorsTensor* tensor, file.get(expected.name));
  const auto dtype = parse_dtype(tensor->dtype);
  const bool right_dtype = dtype.ok() && (*dtype == DType::kI32) == expected.integer;
  if (!right_dtype || static_cast<int>(tensor->shape.size()) != expected.rank)
    return bad_input(file, fmt::format("{} is {}", expected.name, describe(*tensor)), expected.text, remedy_for(expected, right_dtype));
  HostTensor host(*dtype, tensor->shape);
  if (host.bytes() > 0) std::memcpy(host.data(), tensor->data.data(), host.bytes());
  return host;
}

template <class T>
Result<T> parse_number(const SafetensorsFile& file, const char* key, const std::string& text, const char* supported) {
  T value{};
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec == std::errc() && end == text.data() + text.size() && value > 0 && value <= std::numeric_limits<T>::max()) return value;
  return bad_input(file, fmt::format("the metadata has {} '{}'", key, text), supported);
}

Result<void> read_metadata(const SafetensorsFile& file, SelectedAttentionProblem& problem) {
  const auto& metadata = file.metadata();
  const auto block_size = metadata.find("block_size");
  if (block_size == metadata.end())
    return bad_input(file, "the metadata has no 'block_size'", "the number of keys per block, as text",
                     "add it to the file's __metadata__");
  FSA_ASSIGN_OR_RETURN(problem.block_size, parse_number<int>(file, "block_size", block_size->second, "a positive whole number"));
  if (const auto scale = metadata.find("scale"); scale != metadata.end()) {
    FSA_ASSIGN_OR_RETURN(problem.scale, parse_number<float>(file, "scale", scale->second, "a positive number"));
  }
  return {};
}

/// A tensor must be of the given shape and dtype, which follow from q, k and v.
Result<void> check_fit(const SafetensorsFile& file, const Expected& expected, const TensorView& tensor, DType dtype,
                       std::initializer_list<std::int64_t> shape) {
  const TensorView wanted = TensorView::contiguous(nullptr, dtype, shape);
  if (tensor.dtype == wanted.dtype && tensor.shape == wanted.shape) return {};
  return bad_input(file, fmt::format("{} is {}", expected.name, tensor.describe()),
                   fmt::format("{}, which is {} with this file's other tensors", expected.text, wanted.describe()));
}

Result<void> check_fits(const SafetensorsFile& file, const SelectedInput& in) {
  const TensorView &q = in.q.view(), &k = in.k.view(), &v = in.v.view();
  FSA_RETURN_IF_ERROR(check_fit(file, kK, k, q.dtype, {k.shape[0], k.shape[1], q.shape[2]}));
  FSA_RETURN_IF_ERROR(check_fit(file, kV, v, q.dtype, {k.shape[0], k.shape[1], v.shape[2]}));
  FSA_RETURN_IF_ERROR(
      check_fit(file, kBlocks, in.block_indices.view(), DType::kI32, {k.shape[1], q.shape[0], in.block_indices.view().shape[2]}));
  return check_fit(file, kCuK, in.cu_k.view(), DType::kI32, {in.cu_q.view().shape[0]});
}

/// Sizes that an int would not hold are no attention problem, and are told by their own tensor.
Result<int> small(const SafetensorsFile& file, const char* what, std::int64_t value) {
  if (value <= 1 << 20) return static_cast<int>(value);
  return bad_input(file, fmt::format("{} is {}", what, value), "up to 1048576");
}

Result<void> read_sizes(const SafetensorsFile& file, SelectedInput& in) {
  const TensorView &q = in.q.view(), &k = in.k.view(), &v = in.v.view();
  SelectedAttentionProblem& p = in.problem;
  p.dtype = q.dtype;
  p.total_q = q.shape[0];
  p.total_k = k.shape[0];
  FSA_ASSIGN_OR_RETURN(p.heads_q, small(file, "the number of heads of q", q.shape[1]));
  FSA_ASSIGN_OR_RETURN(p.heads_kv, small(file, "the number of heads of k", k.shape[1]));
  FSA_ASSIGN_OR_RETURN(p.head_dim, small(file, "the last dimension of q", q.shape[2]));
  FSA_ASSIGN_OR_RETURN(p.head_dim_v, small(file, "the last dimension of v", v.shape[2]));
  FSA_ASSIGN_OR_RETURN(p.topk, small(file, "the last dimension of block_indices", in.block_indices.view().shape[2]));
  FSA_ASSIGN_OR_RETURN(p.num_seqs, small(file, "the number of sequences", in.cu_q.view().shape[0] - 1));
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

/// The container's spelling of a dtype.
std::string container_dtype(DType dtype) {
  std::string text(to_string(dtype));
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

SafetensorsTensor file_tensor(std::string name, const HostTensor& tensor) {
  const TensorView& view = tensor.view();
  return {std::move(name),
          container_dtype(view.dtype),
          {view.shape.begin(), view.shape.begin() + view.rank},
          {static_cast<const std::byte*>(tensor.data()), tensor.bytes()}};
}

HostTensor to_f32(const TensorView& tensor) {
  HostTensor out(DType::kF32, {tensor.shape.begin(), tensor.shape.begin() + tensor.rank});
  const std::int64_t count = tensor.num_elements();
  if (count > 0) reference::load_elements(tensor, 0, {static_cast<float*>(out.data()), static_cast<std::size_t>(count)});
  return out;
}

}  // namespace

HostTensor::HostTensor(DType dtype, std::vector<std::int64_t> shape) {
  view_.dtype = dtype;
  view_.rank = static_cast<int>(shape.size());
  std::int64_t stride = 1;
  for (int i = view_.rank - 1; i >= 0; --i) {
    view_.shape[i] = shape[i];
    view_.stride[i] = stride;
    stride *= shape[i];
  }
  memory_.resize(bytes() / sizeof(Line) + 1);
  view_.data = memory_.data();
}

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

Result<void> write_selected_output(const std::string& path, const TensorView& o, const TensorView& lse,
                                   const std::map<std::string, std::string>& metadata) {
  const HostTensor o_f32 = to_f32(o), lse_f32 = to_f32(lse);
  const std::vector tensors{file_tensor("o_sel", o_f32), file_tensor("lse_sel", lse_f32)};
  return write_safetensors(path, tensors, {metadata.begin(), metadata.end()});
}

}  // namespace fsa
