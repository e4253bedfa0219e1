#pragma once
// Owns what the readers of input files share: one tensor or metadata value, checked and told by name, and tensors to write.
#include <initializer_list>
#include <string>

#include "cache/safetensors.h"
#include "fsa/base/result.h"
#include "runtime/host_tensor.h"

namespace fsa {

/// kInvalidArgument that begins with the file's path.
Error bad_input(const SafetensorsFile& file, std::string given, std::string supported, std::string remedy = {});

/// What the file interface expects of one tensor.
struct ExpectedTensor {
  const char* name;
  int rank;
  bool integer;      ///< I32, else one of the element types
  const char* text;  ///< for messages: "I32 [B+1]"
};

/// Reads a tensor that must be there, of the expected rank and kind of dtype.
Result<HostTensor> read_tensor(const SafetensorsFile& file, const ExpectedTensor& expected);

/// Dtype and shape must be the given ones, which follow from the file's other tensors.
Result<void> check_fit(const SafetensorsFile& file, const ExpectedTensor& expected, const TensorView& tensor, DType dtype,
                       std::initializer_list<std::int64_t> shape);

/// Metadata values, which are text.
Result<int> positive_int(const SafetensorsFile& file, const char* key, const std::string& text);
Result<int> whole_number(const SafetensorsFile& file, const char* key, const std::string& text);
Result<float> positive_real(const SafetensorsFile& file, const char* key, const std::string& text);

/// A tensor's extent as an int. Extents that are no attention problem are told by their own tensor.
Result<int> size_as_int(const SafetensorsFile& file, const char* what, std::int64_t value);

/// A tensor as the container stores it. Borrows the tensor's memory.
SafetensorsTensor file_tensor(std::string name, const HostTensor& tensor);

}  // namespace fsa
