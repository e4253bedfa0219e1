#pragma once
// Owns the conversions between the 16-bit element types and float on the host, all rounding to nearest even.
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "fsa/base/tensor_view.h"

namespace fsa::reference {

constexpr float from_bf16(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

/// Exact for every value, subnormals, infinities and NaN included.
constexpr float from_f16(std::uint16_t bits) {
  const std::uint32_t magnitude = static_cast<std::uint32_t>(bits & 0x7fff) << 13;
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000) << 16;
  // Read as a float, the shifted bits are 2^112 times too small, and so are subnormals: one multiplication mends both.
  const float finite = std::bit_cast<float>(magnitude) * 0x1p112f;
  const std::uint32_t value = magnitude >= 0x0f800000u ? magnitude | 0x7f800000u : std::bit_cast<std::uint32_t>(finite);
  return std::bit_cast<float>(value | sign);
}

/// NaN stays NaN (quiet); values past the largest finite one become infinite.
std::uint16_t to_bf16(float value);
std::uint16_t to_f16(float value);

/// Element `index` (counted in elements from the base pointer, strides not applied) of a bf16, f16 or f32 tensor.
float load_element(const TensorView& tensor, std::int64_t index);
/// Stores `value` rounded to the tensor's type (bf16, f16 or f32) at element `index`.
void store_element(const TensorView& tensor, std::int64_t index, float value);
/// Loads out.size() neighbouring elements from element `index` on.
void load_elements(const TensorView& tensor, std::int64_t index, std::span<float> out);

}  // namespace fsa::reference
