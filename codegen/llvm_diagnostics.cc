#include "codegen/llvm_diagnostics.h"

#include <llvm/IR/DiagnosticInfo.h>
#include <llvm/IR/DiagnosticPrinter.h>
#include <llvm/Support/raw_ostream.h>

#include <algorithm>

namespace fsa {
namespace {

constexpr const char* kFrameLayout = "prologepilog";

int number(const llvm::DiagnosticInfoOptimizationBase& remark, llvm::StringRef key) {
  int value = 0;
  for (const auto& argument : remark.getArgs())
    if (argument.Key == key) llvm::StringRef(argument.Val).getAsInteger(10, value);
  return value;
}

class Handler final : public llvm::DiagnosticHandler {
 public:
  explicit Handler(LlvmDiagnostics& diagnostics) : diagnostics_(diagnostics) {}

  bool handleDiagnostics(const llvm::DiagnosticInfo& info) override {
    if (info.getSeverity() == llvm::DS_Error) diagnostics_.errors.push_back(text(info));
    if (info.getSeverity() == llvm::DS_Warning) diagnostics_.warnings.push_back(text(info));
    if (const auto* remark = llvm::dyn_cast<llvm::DiagnosticInfoOptimizationBase>(&info)) note_frame(*remark);
    return true;
  }
  bool isAnalysisRemarkEnabled(llvm::StringRef pass) const override { return pass == kFrameLayout; }
  bool isMissedOptRemarkEnabled(llvm::StringRef) const override { return false; }
  bool isPassedOptRemarkEnabled(llvm::StringRef) const override { return false; }
  bool isAnyRemarkEnabled() const override { return true; }

 private:
  static std::string text(const llvm::DiagnosticInfo& info) {
    std::string message;
    llvm::raw_string_ostream stream(message);
    llvm::DiagnosticPrinterRawOStream printer(stream);
    info.print(printer);
    return message;
  }

  void note_frame(const llvm::DiagnosticInfoOptimizationBase& remark) {
    if (remark.getRemarkName() == "StackSize")
      diagnostics_.stack_bytes = std::max(diagnostics_.stack_bytes, number(remark, "NumStackBytes"));
  }

  LlvmDiagnostics& diagnostics_;
};

}  // namespace

std::unique_ptr<llvm::DiagnosticHandler> make_diagnostic_handler(LlvmDiagnostics& diagnostics) {
  return std::make_unique<Handler>(diagnostics);
}

}  // namespace fsa
