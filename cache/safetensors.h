#pragma once
// Owns the safetensors container: named tensors and string metadata in one file, read and written whole.
//
// Layout: 8 bytes little-endian header length, a JSON header {"__metadata__": {string: string}, name: {"dtype", "shape",
// "data_offsets": [begin, end)}}, then the tensors' raw little-endian bytes without gaps (huggingface/safetensors, README).
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fsa/base/result.h"

namespace fsa {

/// One tensor, its bytes borrowed. Row-major, packed.
struct SafetensorsTensor {
  std::string name;
  std::string dtype;                ///< BOOL, U8, I8, F8_E4M3, F8_E5M2, U16, I16, F16, BF16, U32, I32, F32, U64, I64, F64
  std::vector<std::int64_t> shape;  ///< empty for a scalar
  std::span<const std::byte> data;  ///< product(shape) * element bytes
};

using SafetensorsMetadata = std::map<std::string, std::string, std::less<>>;

/// Bytes of one element of a dtype in the container's spelling; 0 for one that this library does not know.
std::size_t safetensors_element_bytes(std::string_view dtype);

/// A file in memory, checked completely: every tensor lies inside it, none overlap, sizes agree with shapes. Copies share the bytes.
class SafetensorsFile {
 public:
  /// Reads a file. Missing is kNotFound; any malformation is kCorrupt and names the file and the fault. Memory beyond the
  /// header is allocated only once the header is proven to fit the file. Read, not mapped: a file that another process
  /// truncates later must not kill this one.
  static Result<SafetensorsFile> open(const std::string& path);

  const std::string& path() const { return path_; }
  const SafetensorsMetadata& metadata() const { return metadata_; }
  /// In the order of their bytes in the file. The data of the first starts at a multiple of 64.
  const std::vector<SafetensorsTensor>& tensors() const { return tensors_; }
  /// Null when there is none of that name.
  const SafetensorsTensor* find(std::string_view name) const;
  /// kNotFound lists the names there are.
  Result<const SafetensorsTensor*> get(std::string_view name) const;

 private:
  std::string path_;
  SafetensorsMetadata metadata_;
  std::vector<SafetensorsTensor> tensors_;
  std::map<std::string, std::size_t, std::less<>> index_;
  std::shared_ptr<const std::byte> data_;
};

/// Writes atomically. Tensors with wider elements come first, so that each is aligned to its element; otherwise the given
/// order stays. A repeated or reserved name, or a size that does not fit dtype and shape, is kInvalidArgument.
Result<void> write_safetensors(const std::string& path, std::span<const SafetensorsTensor> tensors,
                               const SafetensorsMetadata& metadata = {});

}  // namespace fsa
