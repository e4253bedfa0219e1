#include "templates/reference/numeric.h"

#include <algorithm>

namespace fsa::reference {

std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40);
  return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

std::uint16_t to_f16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return sign | 0x7e00;
  if (magnitude >= 0x477ff000u) return sign | 0x7c00;  // 65520 and up round to infinity
  if (magnitude < 0x38800000u) {
    // Below 2^-14 the spacing is 2^-24: adding 0.5, whose last place is 2^-24, rounds there in hardware.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return sign | static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(0.5f));
  }
  const std::uint32_t rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
  return sign | static_cast<std::uint16_t>((rounded - 0x38000000u) >> 13);
}

float load_element(const TensorView& tensor, std::int64_t index) {
  float value;
  load_elements(tensor, index, {&value, 1});
  return value;
}

void store_element(const TensorView& tensor, std::int64_t index, float value) {
  if (tensor.dtype == DType::kF32) static_cast<float*>(tensor.data)[index] = value;
  if (tensor.dtype == DType::kBF16) static_cast<std::uint16_t*>(tensor.data)[index] = to_bf16(value);
  if (tensor.dtype == DType::kF16) static_cast<std::uint16_t*>(tensor.data)[index] = to_f16(value);
}

void load_elements(const TensorView& tensor, std::int64_t index, std::span<float> out) {
  if (tensor.dtype == DType::kF32) {
    std::copy_n(static_cast<const float*>(tensor.data) + index, out.size(), out.begin());
    return;
  }
  const std::uint16_t* bits = static_cast<const std::uint16_t*>(tensor.data) + index;
  if (tensor.dtype == DType::kBF16) std::transform(bits, bits + out.size(), out.begin(), from_bf16);
  if (tensor.dtype == DType::kF16) std::transform(bits, bits + out.size(), out.begin(), from_f16);
}

}  // namespace fsa::reference
