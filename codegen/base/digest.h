#pragma once
// Owns content digests: SHA-256, whole for checksums and truncated to 128 bits for keys.
#include <compare>
#include <cstddef>
#include <cstdint>
#include <array>
#include <span>
#include <string>
#include <string_view>

#include "fsa/base/result.h"

namespace fsa {

/// 128 bits of SHA-256: enough that two different inputs never share a key in practice, short enough for a file name.
struct Digest {
  std::array<std::uint8_t, 16> bytes{};
  auto operator<=>(const Digest&) const = default;
  std::string hex() const;  ///< 32 lower-case hex digits
  static Result<Digest> parse(std::string_view hex);
};

/// Accumulates length-prefixed fields, so that ("ab","c") and ("a","bc") differ.
class DigestBuilder {
 public:
  DigestBuilder& field(std::string_view bytes);
  DigestBuilder& field(std::int64_t number);
  Digest finish() const;

 private:
  std::string buffer_;
};

/// SHA-256 of raw bytes, 64 lower-case hex digits.
std::string sha256_hex(std::span<const std::byte> bytes);

}  // namespace fsa
