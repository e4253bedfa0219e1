#pragma once
// Owns the declarations of the generated tables of embedded files; only embedded.cc reads them.

namespace fsa::detail {

/// One embedded file: its name and its bytes [begin, end).
struct EmbeddedFile {
  const char* name;  ///< null in the row that ends a table
  const char* begin;
  const char* end;
};

extern const EmbeddedFile kEmbeddedTexts[];    ///< path relative to templates/
extern const EmbeddedFile kEmbeddedBitcode[];  ///< family name

}  // namespace fsa::detail
