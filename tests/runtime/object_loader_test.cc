#include "runtime/device/object_loader.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <thread>

#include "runtime/device/elf_object.h"

namespace fsa {
namespace {

std::vector<std::byte> read(const char* path) {
  std::ifstream in(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

struct Params {
  const int* x;
  int* y;
  int* calls;
};
using Entry = void (*)(const Params*, long, void*);
const std::vector<std::string> kSymbols{"kernel_entry", "kernel_entry_clear"};

/// Every loader of this build.
std::vector<std::string> loaders() {
#if FSA_TEST_WITH_LLVM
  return {"elf", "orc"};
#else
  return {"elf"};
#endif
}

std::unique_ptr<ObjectLoader> open(const std::string& name) {
#if FSA_TEST_WITH_LLVM
  if (name == "orc") return make_orc_loader().value();
#endif
  EXPECT_EQ(name, "elf");
  return make_elf_loader();
}

class Loader : public testing::TestWithParam<std::string> {
 protected:
  Error refusal(std::span<const std::byte> object) const {
    const auto loaded = loader_->load(object, kSymbols);
    EXPECT_FALSE(loaded.ok());
    return loaded.ok() ? Error{} : loaded.error();
  }

  const std::unique_ptr<ObjectLoader> loader_ = open(GetParam());
  std::vector<std::byte> object_ = read(FSA_TEST_OBJECT);
};
INSTANTIATE_TEST_SUITE_P(All, Loader, testing::ValuesIn(loaders()), [](const auto& loader) { return loader.param; });

/// Runs item 0 and 1, then clears item 0.
void expect_right(const LoadedObject& loaded, int first_call) {
  std::array<int, 32> x, y{};
  for (int i = 0; i < 32; ++i) x[i] = i;
  int calls = 0;
  alignas(64) std::array<int, 16> scratch;
  const Params params{x.data(), y.data(), &calls};
  const auto run = reinterpret_cast<Entry>(loaded.entries()[0]), clear = reinterpret_cast<Entry>(loaded.entries()[1]);
  run(&params, 0, scratch.data());
  EXPECT_EQ(calls, 7 + first_call);
  run(&params, 1, scratch.data());
  for (int i = 0; i < 16; ++i) EXPECT_EQ(y[i], 2 * i);
  for (int i = 16; i < 32; ++i) EXPECT_EQ(y[i], -i + 100);
  clear(&params, 0, nullptr);
  EXPECT_EQ(y[15], 0);
  EXPECT_EQ(y[16], 84);
}

TEST_P(Loader, RunsAnObjectWithEveryKindOfDataAndCall) {
  const auto loaded = loader_->load(object_, kSymbols);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  expect_right(**loaded, 1);
}

TEST_P(Loader, BytesNeedNoAlignment) {
  std::vector<std::byte> shifted(object_.size() + 1);
  std::copy(object_.begin(), object_.end(), shifted.begin() + 1);
  const auto loaded = loader_->load(std::span(shifted).subspan(1), kSymbols);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  expect_right(**loaded, 1);
}

TEST_P(Loader, EachLoadHasDataOfItsOwnAndOutlivesTheOthers) {
  auto first = loader_->load(object_, kSymbols).value(), second = loader_->load(object_, kSymbols).value();
  expect_right(*first, 1);
  expect_right(*first, 3);
  first.reset();
  expect_right(*second, 1);
}

TEST_P(Loader, ManyThreadsLoadAndUnloadAtOnce) {
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) expect_right(*loader_->load(object_, kSymbols).value(), 1);
    });
}

TEST_P(Loader, AMissingSymbolIsNotFound) {
  const auto loaded = loader_->load(object_, std::vector<std::string>{"kernel_entry", "kernel_entry_backward"});
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().kind, ErrorKind::kNotFound);
  EXPECT_NE(loaded.error().given.find("kernel_entry_backward"), std::string::npos);
}

TEST_P(Loader, DataIsNoEntryPoint) {
  EXPECT_EQ(loader_->load(object_, std::vector<std::string>{"shared_counter"}).error().kind, ErrorKind::kNotFound);
}

TEST_P(Loader, ACallToAFunctionThatIsNotProvidedIsRefusedByName) {
  const auto loaded = loader_->load(read(FSA_TEST_OBJECT_CALLS_OUT), std::vector<std::string>{"kernel_entry"});
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(loaded.error().given.find("cbrt"), std::string::npos);
}

TEST_P(Loader, WhatIsNoObjectIsCorrupt) {
  const std::string text = "this is no object, however long it may be: " + std::string(100, '.');
  EXPECT_EQ(refusal(std::as_bytes(std::span(text))).kind, ErrorKind::kCorrupt);
  EXPECT_EQ(refusal({}).kind, ErrorKind::kCorrupt);
  EXPECT_EQ(refusal(read("/proc/self/exe")).kind, ErrorKind::kCorrupt);  // ELF, but a program
}

TEST_P(Loader, AnotherMachineClassOrTypeIsCorrupt) {
  for (const auto& [offset, value] :
       {std::pair{EI_CLASS, int{ELFCLASS32}}, {EI_DATA, int{ELFDATA2MSB}}, {16, int{ET_DYN}}, {18, int{EM_AARCH64}}}) {
    auto object = object_;
    object[offset] = std::byte(value);
    EXPECT_EQ(refusal(object).kind, ErrorKind::kCorrupt) << offset;
  }
}

TEST_P(Loader, ATruncatedObjectIsCorruptWhereverItEnds) {
  for (std::size_t size = 0; size < object_.size(); size += 1 + size / 64)
    EXPECT_EQ(refusal(std::span(object_).first(size)).kind, ErrorKind::kCorrupt) << size;
}

/// All the bytes that steer a loader: the file header, the section table, symbols and relocations.
std::vector<std::size_t> steering_bytes(std::span<const std::byte> object) {
  Elf64_Ehdr header;
  std::memcpy(&header, object.data(), sizeof(header));
  std::vector<std::size_t> offsets;
  const auto add = [&](std::size_t begin, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) offsets.push_back(begin + i);
  };
  add(0, sizeof(header));
  add(header.e_shoff, header.e_shnum * sizeof(Elf64_Shdr));
  const ElfObject parsed = ElfObject::parse(object).value();
  for (const auto& s : parsed.sections)
    if (s.header.sh_type == SHT_SYMTAB || s.header.sh_type == SHT_RELA) add(s.header.sh_offset, s.header.sh_size);
  return offsets;
}

// LLVM's linker is not put to this test: it trusts its input, which is why a checksum stands before every load.
TEST(ElfLoader, SurvivesEveryFlippedBitOfTheTables) {
  const auto object = read(FSA_TEST_OBJECT);
  const auto loader = make_elf_loader();
  int refused = 0, loaded = 0;
  for (const std::size_t offset : steering_bytes(object))
    for (int bit = 0; bit < 8; ++bit) {
      auto flipped = object;
      flipped[offset] ^= std::byte{1} << bit;
      loader->load(flipped, kSymbols).ok() ? ++loaded : ++refused;
    }
  EXPECT_GT(refused, 500);
  EXPECT_GT(loaded, 0);  // bits that mean nothing to a loader
}

TEST(ElfLoader, SurvivesRandomDamage) {
  const auto object = read(FSA_TEST_OBJECT);
  const auto loader = make_elf_loader();
  std::mt19937 random(1);
  for (int round = 0; round < 5000; ++round) {
    auto damaged = object;
    for (int i = 0; i < 8; ++i) damaged[random() % damaged.size()] = std::byte(random());
    const auto loaded = loader->load(damaged, kSymbols);
    EXPECT_TRUE(loaded.ok() || loaded.error().kind != ErrorKind::kInternal);
  }
}

}  // namespace
}  // namespace fsa
