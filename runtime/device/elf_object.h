#pragma once
// Owns the reading of ELF64 x86-64 relocatable objects: every offset and index is checked once, here.
#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fsa/base/result.h"

namespace fsa {

/// The parts of an object that a loader needs. Views into the parsed bytes, which must outlive it.
struct ElfObject {
  struct Section {
    std::uint32_t index = 0;  ///< in the section table
    Elf64_Shdr header{};
    std::span<const std::byte> bytes;  ///< empty for SHT_NOBITS
    bool loaded() const { return header.sh_flags & SHF_ALLOC; }
    bool executable() const { return header.sh_flags & SHF_EXECINSTR; }
    bool writable() const { return header.sh_flags & SHF_WRITE; }
  };
  struct Symbol {
    std::string_view name;
    Elf64_Sym entry{};
    bool undefined() const { return entry.st_shndx == SHN_UNDEF; }
  };
  struct Relocations {
    std::uint32_t section = 0;        ///< that they apply to; a loaded one
    std::vector<Elf64_Rela> entries;  ///< symbol index and offset are in range
  };

  std::vector<Section> sections;
  std::vector<Symbol> symbols;
  std::vector<Relocations> relocations;

  /// kCorrupt with what is wrong, unless the whole table structure is sound.
  static Result<ElfObject> parse(std::span<const std::byte> bytes);
  /// The defined global function, or null.
  const Symbol* function(std::string_view name) const;
  /// Checks that every one of `symbols` is defined (kNotFound) and every undefined function is provided (kUnsupported).
  Result<void> check_links(std::span<const std::string> symbols) const;
};

/// Bytes that a relocation of this type writes; 0 for a type that is not supported.
std::size_t relocation_width(std::uint32_t type);

}  // namespace fsa
