// Owns the library's own loader of relocatable objects, which serves deployments without LLVM.
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "runtime/device/elf_object.h"
#include "runtime/device/object_loader.h"

namespace fsa {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kStubBytes = 16;  ///< jmp *slot(%rip), padded

std::size_t round_up(std::size_t size, std::size_t alignment) { return (size + alignment - 1) / alignment * alignment; }

/// Protections in the order they lie in the mapping; nothing is ever writable and executable at once.
enum Segment { kCode, kReadOnly, kData, kSegments };
constexpr std::array<int, kSegments> kProtection = {PROT_READ | PROT_EXEC, PROT_READ, PROT_READ | PROT_WRITE};

Segment segment_of(const ElfObject::Section& s) { return s.executable() ? kCode : s.writable() ? kData : kReadOnly; }

class ElfImage final : public LoadedObject {
 public:
  ~ElfImage() override {
    if (base_) munmap(base_, size_);
  }

  Result<void> load(const ElfObject& object, std::span<const std::string> symbols) {
    lay_out(object);
    FSA_RETURN_IF_ERROR(map());
    for (const auto& s : object.sections)
      if (s.loaded() && !s.bytes.empty()) std::memcpy(base_ + section_offset_[s.index], s.bytes.data(), s.bytes.size());
    bind(object);
    for (const auto& list : object.relocations)
      for (const Elf64_Rela& r : list.entries) FSA_RETURN_IF_ERROR(relocate(object.sections[list.section], r));
    FSA_RETURN_IF_ERROR(protect());
    for (const std::string& name : symbols)
      entries_.push_back(reinterpret_cast<void*>(address_[object.function(name) - object.symbols.data()]));
    return {};
  }

 private:
  /// Offsets of all sections; after the code one stub, after the constants one address slot per symbol. One mapping, so
  /// that the 32-bit distances of the small code model always fit.
  void lay_out(const ElfObject& object) {
    section_offset_.assign(object.sections.size(), 0);
    for (int segment = 0; segment < kSegments; ++segment) {
      segment_offset_[segment] = size_;
      for (const auto& s : object.sections) {
        if (!s.loaded() || segment_of(s) != segment) continue;
        size_ = round_up(size_, std::max<std::size_t>(s.header.sh_addralign, 1));
        section_offset_[s.index] = size_;
        size_ += s.header.sh_size;
      }
      if (segment == kCode) reserve(stubs_, kStubBytes * object.symbols.size());
      if (segment == kReadOnly) reserve(slots_, sizeof(std::uint64_t) * object.symbols.size());
      size_ = round_up(size_, kPage);
    }
  }
  void reserve(std::size_t& offset, std::size_t bytes) {
    offset = round_up(size_, kStubBytes);
    size_ = offset + bytes;
  }

  Result<void> map() {
    void* memory = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return failed("map", size_);
    base_ = static_cast<std::byte*>(memory);
    return {};
  }

  /// Fills the address of every symbol, its slot, and for external functions the stub that calls reach.
  void bind(const ElfObject& object) {
    for (const auto& symbol : object.symbols) {
      const std::size_t i = address_.size();
      const bool external = symbol.undefined() && !symbol.name.empty();
      const std::uint64_t target = external ? external_address(symbol.name) : defined_address(symbol);
      std::memcpy(base_ + slots_ + i * sizeof(target), &target, sizeof(target));
      if (external) write_stub(i);
      address_.push_back(external ? place(stubs_ + i * kStubBytes) : target);
    }
  }
  std::uint64_t defined_address(const ElfObject::Symbol& s) const {
    if (s.undefined()) return 0;
    return s.entry.st_shndx == SHN_ABS ? s.entry.st_value : place(section_offset_[s.entry.st_shndx]) + s.entry.st_value;
  }
  static std::uint64_t external_address(std::string_view name) {
    for (const ExternalFunction& f : external_functions())
      if (f.name == name) return reinterpret_cast<std::uint64_t>(f.address);
    return 0;  // check_links() has refused such an object
  }
  void write_stub(std::size_t symbol) {
    constexpr std::array kJumpIndirect = {std::byte{0xff}, std::byte{0x25}};  // jmp *disp32(%rip)
    std::byte* stub = base_ + stubs_ + symbol * kStubBytes;
    const auto next = static_cast<std::int64_t>(stubs_ + symbol * kStubBytes + 6);
    const auto distance = static_cast<std::int32_t>(static_cast<std::int64_t>(slots_ + symbol * sizeof(std::uint64_t)) - next);
    std::memcpy(stub, kJumpIndirect.data(), kJumpIndirect.size());
    std::memcpy(stub + kJumpIndirect.size(), &distance, sizeof(distance));
  }

  /// Formulas of the System V ABI for AMD64, table 4.9: S symbol, A addend, P place, G slot of the symbol.
  Result<void> relocate(const ElfObject::Section& section, const Elf64_Rela& r) {
    const std::size_t symbol = ELF64_R_SYM(r.r_info);
    const std::size_t offset = section_offset_[section.index] + r.r_offset;
    const std::uint64_t sum = address_[symbol] + static_cast<std::uint64_t>(r.r_addend);
    switch (ELF64_R_TYPE(r.r_info)) {
      case R_X86_64_64:
        return write<std::uint64_t>(offset, sum);
      case R_X86_64_PC64:
        return write<std::uint64_t>(offset, sum - place(offset));
      case R_X86_64_PC32:
      case R_X86_64_PLT32:
        return write<std::int32_t>(offset, sum - place(offset));
      case R_X86_64_32:
        return write<std::uint32_t>(offset, sum);
      case R_X86_64_32S:
        return write<std::int32_t>(offset, sum);
      default:
        return write<std::int32_t>(offset,
                                   place(slots_ + symbol * sizeof(std::uint64_t)) + static_cast<std::uint64_t>(r.r_addend) - place(offset));
    }
  }
  template <class Word>
  Result<void> write(std::size_t offset, std::uint64_t value) {
    const auto word = static_cast<Word>(value);
    if (static_cast<std::uint64_t>(word) != value)  // sign-extends signed words
      return make_error(ErrorKind::kCorrupt, {.given = "the CPU binary refers to an address out of a 32-bit reach",
                                              .supported = "position-independent objects"});
    std::memcpy(base_ + offset, &word, sizeof(word));
    return {};
  }

  Result<void> protect() {
    for (int segment = 0; segment < kSegments; ++segment) {
      const std::size_t begin = segment_offset_[segment], end = segment + 1 < kSegments ? segment_offset_[segment + 1] : size_;
      if (end > begin && mprotect(base_ + begin, end - begin, kProtection[segment]) != 0) return failed("protect", end - begin);
    }
    return {};
  }
  static Error failed(std::string_view what, std::size_t bytes) {
    return make_error(ErrorKind::kUnavailable,
                      {.given = fmt::format("the system refused to {} {} bytes for a kernel: {}", what, bytes, std::strerror(errno)),
                       .remedy = "allow the process executable memory (SELinux: execmem) and raise its memory limit"});
  }
  std::uint64_t place(std::size_t offset) const { return reinterpret_cast<std::uint64_t>(base_) + offset; }

  std::byte* base_ = nullptr;
  std::size_t size_ = 0, stubs_ = 0, slots_ = 0;
  std::array<std::size_t, kSegments> segment_offset_{};
  std::vector<std::size_t> section_offset_;
  std::vector<std::uint64_t> address_;  ///< of each symbol, as code refers to it
};

class ElfLoader final : public ObjectLoader {
 public:
  Result<std::unique_ptr<LoadedObject>> load(std::span<const std::byte> bytes, std::span<const std::string> symbols) const override {
    FSA_ASSIGN_OR_RETURN(const ElfObject object, ElfObject::parse(bytes));
    FSA_RETURN_IF_ERROR(object.check_links(symbols));
    auto image = std::make_unique<ElfImage>();
    FSA_RETURN_IF_ERROR(image->load(object, symbols));
    return std::unique_ptr<LoadedObject>(std::move(image));
  }
};

}  // namespace

std::unique_ptr<ObjectLoader> make_elf_loader() { return std::make_unique<ElfLoader>(); }

}  // namespace fsa
