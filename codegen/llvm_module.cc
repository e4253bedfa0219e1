#include "codegen/llvm_module.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <llvm/ADT/SmallVector.h>
#include <llvm/Bitcode/BitcodeReader.h>
#include <llvm/Config/llvm-config.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Verifier.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/CodeGen.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Target/TargetOptions.h>
#include <llvm/Transforms/IPO/Internalize.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <utility>

#include "codegen/llvm_diagnostics.h"

namespace fsa {
namespace {

constexpr const char* kTriple = "x86_64-unknown-linux-gnu";

/// What LLVM calls a target of ours. Only these strings reach LLVM: an unknown CPU name would abort the process.
struct LlvmTarget {
  std::string cpu;
  std::string features;
  std::string vector_width;  ///< bits; also the legal width, since at 256 the code generator splits 512-bit vectors
};

LlvmTarget llvm_target(const CpuFeatures& cpu) {
  return {.cpu = cpu.level >= 4 ? "x86-64-v4" : "x86-64-v3",
          .features = cpu.bf16_dot ? "+avx512bf16" : "",
          .vector_width = cpu.level >= 4 ? "512" : "256"};
}

void initialize_llvm() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
  });
}

Result<std::unique_ptr<llvm::TargetMachine>> make_machine(const LlvmTarget& target) {
  initialize_llvm();
  std::string error;
  const llvm::Target* found = llvm::TargetRegistry::lookupTarget(kTriple, error);
  if (!found) return make_error(ErrorKind::kInternal, {.given = "LLVM has no x86-64 code generator: " + error});
  // Small: calls and constants within 2 GB of each other, which one mapping per object guarantees.
  return std::unique_ptr<llvm::TargetMachine>(found->createTargetMachine(kTriple, target.cpu, target.features, llvm::TargetOptions(),
                                                                         llvm::Reloc::PIC_, llvm::CodeModel::Small,
                                                                         llvm::CodeGenOptLevel::Aggressive));
}

Result<std::unique_ptr<llvm::Module>> parse(std::span<const std::byte> bitcode, const std::string& family, llvm::LLVMContext& context) {
  const llvm::StringRef bytes(reinterpret_cast<const char*>(bitcode.data()), bitcode.size());
  auto module = llvm::parseBitcodeFile(llvm::MemoryBufferRef(bytes, family), context);
  if (!module)
    return make_error(ErrorKind::kCorrupt,
                      {.given = fmt::format("the bitcode of {} cannot be read: {}", family, llvm::toString(module.takeError())),
                       .supported = fmt::format("bitcode of LLVM {}", LLVM_VERSION_MAJOR)});
  return std::move(*module);
}

/// Replaces the external constants by known words, which is what lets the optimiser specialise the kernel.
Result<void> inject_constants(llvm::Module& module, const Specialization& s) {
  llvm::GlobalVariable* declared = module.getNamedGlobal(kConstantsSymbol);
  if (!declared)
    return make_error(ErrorKind::kInternal, {.given = fmt::format("the CPU kernel of {} does not use '{}'", s.family, kConstantsSymbol)});
  const std::uint64_t size = module.getDataLayout().getTypeAllocSize(declared->getValueType());
  const std::uint64_t given = s.constants.size() * sizeof(std::uint32_t);
  if (size != given || !declared->isDeclaration())
    return make_error(ErrorKind::kInternal,
                      {.given = fmt::format("{} has {} bytes of constants but its kernel declares {} bytes", s.family, given, size),
                       .remedy = "make the field tables list every member of Shape and CpuConfig, and declare fsa_constants extern"});
  auto* words = llvm::ConstantDataArray::get(module.getContext(), llvm::ArrayRef<std::uint32_t>(s.constants));
  auto* known = new llvm::GlobalVariable(module, words->getType(), true, llvm::GlobalValue::InternalLinkage, words, "");
  known->setAlignment(declared->getAlign().value_or(llvm::Align(4)));
  declared->replaceAllUsesWith(known);
  declared->eraseFromParent();
  return {};
}

/// Keeps the entry points visible and lets everything else be inlined away.
Result<void> keep_only(llvm::Module& module, const Specialization& s) {
  for (const std::string& symbol : s.symbols)
    if (const llvm::Function* f = module.getFunction(symbol); !f || f->isDeclaration())
      return make_error(ErrorKind::kInternal, {.given = fmt::format("the CPU kernel of {} does not define '{}'", s.family, symbol)});
  llvm::internalizeModule(module,
                          [&](const llvm::GlobalValue& value) { return std::ranges::find(s.symbols, value.getName()) != s.symbols.end(); });
  return {};
}

void retarget(llvm::Module& module, const llvm::TargetMachine& machine, const LlvmTarget& target) {
  module.setTargetTriple(kTriple);
  module.setDataLayout(machine.createDataLayout());
  for (llvm::Function& function : module) {
    for (const char* stale : {"target-cpu", "target-features", "tune-cpu", "min-legal-vector-width"}) function.removeFnAttr(stale);
    function.addFnAttr("target-cpu", target.cpu);
    if (!target.features.empty()) function.addFnAttr("target-features", target.features);
    function.addFnAttr("prefer-vector-width", target.vector_width);
    function.addFnAttr("min-legal-vector-width", target.vector_width);
  }
}

/// O2 without the vectorisers: kernels are written in vectors, and -O3 gave the same speed for 4 % more compile time.
void optimize(llvm::Module& module, llvm::TargetMachine& machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager call_graph;
  llvm::ModuleAnalysisManager modules;
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = tuning.SLPVectorization = tuning.LoopInterleaving = false;
  llvm::PassBuilder builder(&machine, tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(call_graph);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, call_graph, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(module, modules);
}

/// An instruction the target lacks would make the code generator abort the process, so it is looked for first.
Result<void> check_intrinsics(const llvm::Module& module, const Specialization& s) {
  for (const llvm::Function& function : module) {
    const llvm::StringRef name = function.getName();
    const bool missing = (name.starts_with("llvm.x86.avx512bf16.") && !s.target.cpu.bf16_dot) ||
                         (name.starts_with("llvm.x86.avx512") && s.target.cpu.level < 4) || name.starts_with("llvm.x86.amx") ||
                         name.starts_with("llvm.x86.tile");
    if (missing && !function.use_empty())
      return make_error(ErrorKind::kCompile,
                        {.given = fmt::format("the kernel of {} with config {} uses {}, which {} lacks", s.family, s.config.dump(),
                                              std::string_view(name.data(), name.size()), s.target.to_string()),
                         .supported = "configs whose instructions the target has",
                         .remedy = "choose another config or a target with that feature"});
  }
  return {};
}

Result<std::vector<std::byte>> generate(llvm::Module& module, llvm::TargetMachine& machine) {
  llvm::SmallVector<char, 0> object;
  llvm::raw_svector_ostream stream(object);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, llvm::CodeGenFileType::ObjectFile))
    return make_error(ErrorKind::kInternal, {.given = "LLVM cannot write x86-64 objects"});
  passes.run(module);
  const auto bytes = std::as_bytes(std::span(object.data(), object.size()));
  return std::vector<std::byte>(bytes.begin(), bytes.end());
}

Error rejected(const Specialization& s, const LlvmDiagnostics& diagnostics) {
  return make_error(ErrorKind::kCompile, {.given = fmt::format("LLVM rejected {}: {}", s.name(), fmt::join(diagnostics.errors, "; "))});
}

Result<void> check_stop(const std::stop_token& stop, const Specialization& s) {
  if (!stop.stop_requested()) return {};
  return make_error(ErrorKind::kCancelled, {.given = "compiling " + s.name() + " was interrupted"});
}

/// From parsed bitcode to a module that is ready for the code generator.
Result<void> specialize(llvm::Module& module, llvm::TargetMachine& machine, const LlvmTarget& target, const Specialization& s) {
  FSA_RETURN_IF_ERROR(inject_constants(module, s));
  FSA_RETURN_IF_ERROR(keep_only(module, s));
  retarget(module, machine, target);
  std::string broken;
  llvm::raw_string_ostream stream(broken);
  if (llvm::verifyModule(module, &stream))
    return make_error(ErrorKind::kCorrupt, {.given = fmt::format("the bitcode of {} is malformed: {}", s.family, broken)});
  optimize(module, machine);
  return check_intrinsics(module, s);
}

}  // namespace

std::string_view llvm_identity() { return "llvm-" LLVM_VERSION_STRING ";O2;v2"; }

Result<Binary> compile_bitcode(std::span<const std::byte> bitcode, const Specialization& s, std::stop_token stop) {
  const auto start = std::chrono::steady_clock::now();
  const LlvmTarget target = llvm_target(s.target.cpu);
  LlvmDiagnostics diagnostics;
  llvm::LLVMContext context;
  context.setDiagnosticHandler(make_diagnostic_handler(diagnostics));
  FSA_RETURN_IF_ERROR(check_stop(stop, s));
  FSA_ASSIGN_OR_RETURN(const auto machine, make_machine(target));
  FSA_ASSIGN_OR_RETURN(const auto module, parse(bitcode, s.family, context));
  FSA_RETURN_IF_ERROR(specialize(*module, *machine, target, s));
  FSA_RETURN_IF_ERROR(check_stop(stop, s));
  FSA_ASSIGN_OR_RETURN(auto object, generate(*module, *machine));
  if (!diagnostics.errors.empty()) return rejected(s, diagnostics);

  Binary binary{.bytes = std::move(object), .report = {}};
  binary.report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  binary.report.spill_bytes = -1;  // LLVM counts address registers outside loops too, so that every kernel would look spoilt
  binary.report.stack_bytes = diagnostics.stack_bytes;
  binary.report.warnings = std::move(diagnostics.warnings);
  return binary;
}

}  // namespace fsa
