#include "runtime/input_file.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <cstring>
#include <limits>

namespace fsa {
namespace {

std::string describe(const SafetensorsTensor& tensor) {
  std::string text = tensor.dtype + " [";
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) text += fmt::format("{}{}", i ? ", " : "", tensor.shape[i]);
  return text + "]";
}

std::string remedy_for(const ExpectedTensor& e, bool right_dtype) {
  if (right_dtype) return "the names and shapes are those of `fsa sample`";
  return e.integer ? "convert it to int32" : "convert it to bfloat16, float16 or float32";
}

template <class T>
Result<T> parse_number(const SafetensorsFile& file, const char* key, const std::string& text, T least, const char* supported) {
  T value{};
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec == std::errc() && end == text.data() + text.size() && value >= least && value <= std::numeric_limits<T>::max()) return value;
  return bad_input(file, fmt::format("the metadata has {} '{}'", key, text), supported);
}

/// The container's spelling of a dtype.
std::string container_dtype(DType dtype) {
  std::string text(to_string(dtype));
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace

Error bad_input(const SafetensorsFile& file, std::string given, std::string supported, std::string remedy) {
  return make_error(ErrorKind::kInvalidArgument,
                    {.given = fmt::format("{}: {}", file.path(), given), .supported = std::move(supported), .remedy = std::move(remedy)});
}

Result<HostTensor> read_tensor(const SafetensorsFile& file, const ExpectedTensor& expected) {
  FSA_ASSIGN_OR_RETURN(const SafetensorsTensor* tensor, file.get(expected.name));
  const auto dtype = parse_dtype(tensor->dtype);
  const bool right_dtype = dtype.ok() && (*dtype == DType::kI32) == expected.integer;
  if (!right_dtype || static_cast<int>(tensor->shape.size()) != expected.rank)
    return bad_input(file, fmt::format("{} is {}", expected.name, describe(*tensor)), expected.text, remedy_for(expected, right_dtype));
  HostTensor host(*dtype, tensor->shape);
  if (host.bytes() > 0) std::memcpy(host.data(), tensor->data.data(), host.bytes());
  return host;
}

Result<void> check_fit(const SafetensorsFile& file, const ExpectedTensor& expected, const TensorView& tensor, DType dtype,
                       std::initializer_list<std::int64_t> shape) {
  const TensorView wanted = TensorView::contiguous(nullptr, dtype, shape);
  if (tensor.dtype == wanted.dtype && tensor.shape == wanted.shape) return {};
  return bad_input(file, fmt::format("{} is {}", expected.name, tensor.describe()),
                   fmt::format("{}, which is {} with this file's other tensors", expected.text, wanted.describe()));
}

Result<int> positive_int(const SafetensorsFile& file, const char* key, const std::string& text) {
  return parse_number<int>(file, key, text, 1, "a positive whole number");
}
Result<int> whole_number(const SafetensorsFile& file, const char* key, const std::string& text) {
  return parse_number<int>(file, key, text, 0, "a whole number, 0 and up");
}
Result<float> positive_real(const SafetensorsFile& file, const char* key, const std::string& text) {
  return parse_number<float>(file, key, text, std::numeric_limits<float>::min(), "a positive number");
}

Result<int> size_as_int(const SafetensorsFile& file, const char* what, std::int64_t value) {
  if (value <= 1 << 20) return static_cast<int>(value);
  return bad_input(file, fmt::format("{} is {}", what, value), "up to 1048576");
}

SafetensorsTensor file_tensor(std::string name, const HostTensor& tensor) {
  const TensorView& view = tensor.view();
  return {std::move(name),
          container_dtype(view.dtype),
          {view.shape.begin(), view.shape.begin() + view.rank},
          {static_cast<const std::byte*>(tensor.data()), tensor.bytes()}};
}

}  // namespace fsa
