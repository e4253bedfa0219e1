#include "runtime/device/elf_object.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "runtime/device/object_loader.h"

namespace fsa {
namespace {

constexpr std::uint64_t kMostLoadedBytes = std::uint64_t{1} << 28;  ///< far above any kernel, far below the reach of 32-bit offsets
constexpr std::uint64_t kMostAlignment = 4096;                      ///< a page: what a mapping guarantees

Error corrupt(std::string_view what) {
  return make_error(ErrorKind::kCorrupt, {.given = fmt::format("the CPU binary is damaged or is none: {}", what),
                                          .supported = "ELF64 x86-64 relocatable objects",
                                          .remedy = "delete the cache entry, or export the pack again"});
}

/// The table or section at [offset, offset + size) of the file.
Result<std::span<const std::byte>> slice(std::span<const std::byte> file, std::uint64_t offset, std::uint64_t size, std::string_view what) {
  if (offset > file.size() || size > file.size() - offset) return corrupt(fmt::format("{} reaches past its end", what));
  return file.subspan(offset, size);
}

/// Copies, because nothing says that a table lies aligned in memory.
template <class Entry>
Result<std::vector<Entry>> read_table(std::span<const std::byte> bytes, std::uint64_t entry_size, std::string_view what) {
  if (entry_size != sizeof(Entry) || bytes.size() % sizeof(Entry)) return corrupt(fmt::format("{} has entries of a wrong size", what));
  std::vector<Entry> entries(bytes.size() / sizeof(Entry));
  if (!entries.empty()) std::memcpy(entries.data(), bytes.data(), bytes.size());
  return entries;
}

Result<Elf64_Ehdr> read_header(std::span<const std::byte> file) {
  Elf64_Ehdr header;
  if (file.size() < sizeof(header)) return corrupt(fmt::format("it has {} bytes, less than a header", file.size()));
  std::memcpy(&header, file.data(), sizeof(header));
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return corrupt("it does not start as ELF does");
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != EM_X86_64)
    return corrupt("it is for another kind of machine");
  if (header.e_type != ET_REL || header.e_version != EV_CURRENT || header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shnum == 0)
    return corrupt("it is no relocatable object");
  return header;
}

Result<void> check_loaded(const Elf64_Shdr& h, std::uint64_t& total) {
  if (h.sh_addralign > kMostAlignment || (h.sh_addralign && !std::has_single_bit(h.sh_addralign)))
    return corrupt("a section has an impossible alignment");
  if (h.sh_size > kMostLoadedBytes || (total += h.sh_size + h.sh_addralign) > kMostLoadedBytes)
    return corrupt("it is larger than any kernel");
  if (h.sh_flags & SHF_TLS) return corrupt("it has thread-local data");
  return {};
}

Result<std::vector<ElfObject::Section>> read_sections(std::span<const std::byte> file, const Elf64_Ehdr& header) {
  FSA_ASSIGN_OR_RETURN(const auto bytes,
                       slice(file, header.e_shoff, std::uint64_t{header.e_shnum} * sizeof(Elf64_Shdr), "its section table"));
  FSA_ASSIGN_OR_RETURN(const auto headers, read_table<Elf64_Shdr>(bytes, header.e_shentsize, "its section table"));
  std::vector<ElfObject::Section> sections;
  std::uint64_t total = 0;
  for (const Elf64_Shdr& h : headers) {
    ElfObject::Section section{.index = static_cast<std::uint32_t>(sections.size()), .header = h, .bytes = {}};
    if (section.loaded()) FSA_RETURN_IF_ERROR(check_loaded(h, total));
    if (h.sh_type != SHT_NOBITS && h.sh_type != SHT_NULL) {
      FSA_ASSIGN_OR_RETURN(section.bytes, slice(file, h.sh_offset, h.sh_size, "a section"));
    }
    sections.push_back(section);
  }
  return sections;
}

Result<ElfObject::Symbol> read_symbol(const ElfObject& object, const Elf64_Sym& entry, std::span<const std::byte> names) {
  if (entry.st_name >= names.size()) return corrupt("a symbol's name lies outside the name table");
  ElfObject::Symbol symbol{.name = reinterpret_cast<const char*>(names.data()) + entry.st_name, .entry = entry};
  if (entry.st_shndx == SHN_UNDEF || entry.st_shndx == SHN_ABS) return symbol;
  if (entry.st_shndx >= object.sections.size()) return corrupt("a symbol lies in no section");
  if (entry.st_value > object.sections[entry.st_shndx].header.sh_size) return corrupt("a symbol lies outside its section");
  return symbol;
}

Result<std::vector<ElfObject::Symbol>> read_symbols(const ElfObject& object) {
  std::vector<ElfObject::Symbol> symbols;
  for (const auto& section : object.sections) {
    if (section.header.sh_type != SHT_SYMTAB) continue;
    if (!symbols.empty()) return corrupt("it has two symbol tables");
    if (section.header.sh_link >= object.sections.size()) return corrupt("its symbol table names no name table");
    const auto names = object.sections[section.header.sh_link].bytes;
    if (names.empty() || names.back() != std::byte{0}) return corrupt("its name table is not terminated");
    FSA_ASSIGN_OR_RETURN(const auto entries, read_table<Elf64_Sym>(section.bytes, section.header.sh_entsize, "its symbol table"));
    for (const Elf64_Sym& entry : entries) {
      FSA_ASSIGN_OR_RETURN(const auto symbol, read_symbol(object, entry, names));
      symbols.push_back(symbol);
    }
  }
  return symbols;
}

Result<void> check_relocation(const ElfObject& object, const ElfObject::Section& target, const Elf64_Rela& r) {
  const std::size_t width = relocation_width(ELF64_R_TYPE(r.r_info));
  if (width == 0) return corrupt(fmt::format("relocation type {} does not occur in kernels", ELF64_R_TYPE(r.r_info)));
  if (ELF64_R_SYM(r.r_info) >= object.symbols.size()) return corrupt("a relocation names no symbol");
  if (target.bytes.size() < width || r.r_offset > target.bytes.size() - width) return corrupt("a relocation lies outside its section");
  return {};
}

Result<std::vector<ElfObject::Relocations>> read_relocations(const ElfObject& object) {
  std::vector<ElfObject::Relocations> all;
  for (const auto& section : object.sections) {
    if (section.header.sh_type != SHT_RELA && section.header.sh_type != SHT_REL) continue;
    if (section.header.sh_info >= object.sections.size()) return corrupt("relocations apply to no section");
    const auto& target = object.sections[section.header.sh_info];
    if (!target.loaded()) continue;
    if (section.header.sh_type == SHT_REL) return corrupt("its relocations have no addends");
    FSA_ASSIGN_OR_RETURN(auto entries, read_table<Elf64_Rela>(section.bytes, section.header.sh_entsize, "a relocation table"));
    for (const Elf64_Rela& r : entries) FSA_RETURN_IF_ERROR(check_relocation(object, target, r));
    all.push_back({.section = target.index, .entries = std::move(entries)});
  }
  return all;
}

bool is_provided(std::string_view name) {
  for (const ExternalFunction& f : external_functions())
    if (f.name == name) return true;
  return false;
}

}  // namespace

std::size_t relocation_width(std::uint32_t type) {
  switch (type) {
    case R_X86_64_64:
    case R_X86_64_PC64:
      return 8;
    case R_X86_64_PC32:
    case R_X86_64_PLT32:
    case R_X86_64_GOTPCREL:
    case R_X86_64_GOTPCRELX:
    case R_X86_64_REX_GOTPCRELX:
    case R_X86_64_32:
    case R_X86_64_32S:
      return 4;
    default:
      return 0;
  }
}

Result<ElfObject> ElfObject::parse(std::span<const std::byte> bytes) {
  FSA_ASSIGN_OR_RETURN(const Elf64_Ehdr header, read_header(bytes));
  ElfObject object;
  FSA_ASSIGN_OR_RETURN(object.sections, read_sections(bytes, header));
  FSA_ASSIGN_OR_RETURN(object.symbols, read_symbols(object));
  if (object.symbols.empty()) return corrupt("it has no symbols");
  FSA_ASSIGN_OR_RETURN(object.relocations, read_relocations(object));
  return object;
}

const ElfObject::Symbol* ElfObject::function(std::string_view name) const {
  for (const Symbol& s : symbols)
    if (s.name == name && ELF64_ST_BIND(s.entry.st_info) == STB_GLOBAL && ELF64_ST_TYPE(s.entry.st_info) == STT_FUNC &&
        s.entry.st_shndx < sections.size() && sections[s.entry.st_shndx].loaded() && sections[s.entry.st_shndx].executable() &&
        s.entry.st_value < sections[s.entry.st_shndx].bytes.size())
      return &s;
  return nullptr;
}

Result<void> ElfObject::check_links(std::span<const std::string> wanted) const {
  for (const std::string& name : wanted)
    if (!function(name)) return make_error(ErrorKind::kNotFound, {.given = fmt::format("the CPU binary does not define '{}'", name)});
  for (const Symbol& s : symbols)
    if (s.undefined() && !s.name.empty() && !is_provided(s.name))
      return make_error(ErrorKind::kUnsupported, {.given = fmt::format("the CPU binary calls '{}', which it does not define", s.name),
                                                  .supported = "kernels that call nothing but memset, memcpy and memmove",
                                                  .remedy = "write the kernel without that library function"});
  return {};
}

}  // namespace fsa
