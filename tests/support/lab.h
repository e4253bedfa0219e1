#pragma once
// Owns Lab: one device with its compiler, shared by all tests of a process, with what it compiled.
#include <map>
#include <memory>
#include <span>
#include <string>

#include "codegen/compiler.h"
#include "codegen/family.h"
#include "runtime/device/device.h"

namespace fsa::test {

class Lab {
 public:
  /// The lab of device "cpu" or "cuda:0", opened once for the process. kUnavailable where this machine or build lacks it.
  static Result<Lab*> open(const std::string& device);

  const Device& device() const { return *device_; }
  const Target& target() const { return device_->target(); }
  /// Compiles the kernel, or takes what was compiled before, and loads it.
  Result<std::shared_ptr<const Module>> load(const Specialization& specialization, std::span<const Launch> launches);

 private:
  static Result<std::unique_ptr<Lab>> make(const std::string& device);

  std::unique_ptr<Device> device_;
  std::unique_ptr<Compiler> compiler_;
  std::map<std::string, Binary> binaries_;  // by kernel digest
};

}  // namespace fsa::test
