#include "codegen/base/digest.h"

#include <openssl/sha.h>

#include <algorithm>
#include <charconv>

namespace fsa {
namespace {

std::array<std::uint8_t, SHA256_DIGEST_LENGTH> sha256(const void* data, std::size_t size) {
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> out;
  SHA256(static_cast<const unsigned char*>(data), size, out.data());
  return out;
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (std::uint8_t b : bytes) {
    text += kDigits[b >> 4];
    text += kDigits[b & 15];
  }
  return text;
}

}  // namespace

std::string Digest::hex() const { return to_hex(bytes); }

Result<Digest> Digest::parse(std::string_view hex) {
  Digest digest;
  bool good = hex.size() == 2 * digest.bytes.size();
  for (std::size_t i = 0; good && i < digest.bytes.size(); ++i) {
    const char* first = hex.data() + 2 * i;
    const auto [end, ec] = std::from_chars(first, first + 2, digest.bytes[i], 16);
    good = ec == std::errc() && end == first + 2;
  }
  if (!good) return make_error(ErrorKind::kCorrupt, {.given = "digest '" + std::string(hex) + "'", .supported = "32 hex digits"});
  return digest;
}

DigestBuilder& DigestBuilder::field(std::string_view bytes) {
  buffer_ += std::to_string(bytes.size()) + ':';
  buffer_ += bytes;
  return *this;
}

DigestBuilder& DigestBuilder::field(std::int64_t number) { return field(std::to_string(number)); }

Digest DigestBuilder::finish() const {
  const auto full = sha256(buffer_.data(), buffer_.size());
  Digest digest;
  std::copy_n(full.begin(), digest.bytes.size(), digest.bytes.begin());
  return digest;
}

std::string sha256_hex(std::span<const std::byte> bytes) { return to_hex(sha256(bytes.data(), bytes.size())); }

}  // namespace fsa
