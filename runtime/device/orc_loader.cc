// Owns the loading of objects through LLVM's ORC: one JITDylib per object, removed with it.
#include <fmt/format.h>
#include <llvm/ExecutionEngine/Orc/Core.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/TargetSelect.h>

#include <atomic>
#include <mutex>

#include "runtime/device/elf_object.h"
#include "runtime/device/object_loader.h"

namespace fsa {
namespace {

Error failed(std::string_view what, llvm::Error error) {
  return make_error(ErrorKind::kCorrupt, {.given = fmt::format("{}: {}", what, llvm::toString(std::move(error))),
                                          .remedy = "delete the cache entry, or export the pack again"});
}

/// The JIT session of one loader. Objects hold it, so that they may outlive the loader.
class Session {
 public:
  static Result<std::shared_ptr<Session>> open() {
    static std::once_flag once;
    std::call_once(once, [] {
      LLVMInitializeX86TargetInfo();
      LLVMInitializeX86Target();
      LLVMInitializeX86TargetMC();
    });
    llvm::orc::LLJITBuilder builder;
    builder.setJITTargetMachineBuilder(llvm::orc::JITTargetMachineBuilder(llvm::Triple("x86_64-unknown-linux-gnu")));
    // Kernels see no symbol of this process and register nothing with its unwinder or its exit handlers.
    builder.setLinkProcessSymbolsByDefault(false);
    builder.setPlatformSetUp(llvm::orc::setUpInactivePlatform);
    builder.setObjectLinkingLayerCreator(
        [](llvm::orc::ExecutionSession& session, const llvm::Triple&) -> llvm::Expected<std::unique_ptr<llvm::orc::ObjectLayer>> {
          return std::make_unique<llvm::orc::ObjectLinkingLayer>(session);
        });
    auto jit = builder.create();
    if (!jit) return make_error(ErrorKind::kInternal, {.given = "LLVM's JIT linker does not start: " + llvm::toString(jit.takeError())});
    (*jit)->getExecutionSession().setErrorReporter([](llvm::Error error) { llvm::consumeError(std::move(error)); });  // the default prints
    return std::make_shared<Session>(std::move(*jit));
  }
  explicit Session(std::unique_ptr<llvm::orc::LLJIT> jit) : jit_(std::move(jit)) {}

  llvm::orc::LLJIT& jit() { return *jit_; }

  Result<llvm::orc::JITDylib*> add(std::span<const std::byte> bytes) {
    const std::string name = fmt::format("kernel{}", count_.fetch_add(1));
    auto dylib = jit_->createJITDylib(name);
    if (!dylib) return failed("a kernel library cannot be made", dylib.takeError());
    const llvm::StringRef text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    llvm::Error error = dylib->define(llvm::orc::absoluteSymbols(externals()));
    if (!error) error = jit_->addObjectFile(*dylib, llvm::MemoryBuffer::getMemBufferCopy(text, name));
    if (!error) return &*dylib;
    const Error reason = failed("the CPU binary cannot be linked", std::move(error));
    remove(*dylib);
    return reason;
  }
  void remove(llvm::orc::JITDylib& dylib) { llvm::consumeError(jit_->getExecutionSession().removeJITDylib(dylib)); }

 private:
  llvm::orc::SymbolMap externals() {
    llvm::orc::SymbolMap map;
    for (const ExternalFunction& f : external_functions())
      map[jit_->mangleAndIntern(llvm::StringRef(f.name))] = {llvm::orc::ExecutorAddr::fromPtr(f.address),
                                                             llvm::JITSymbolFlags::Exported | llvm::JITSymbolFlags::Callable};
    return map;
  }

  std::unique_ptr<llvm::orc::LLJIT> jit_;
  std::atomic<unsigned> count_{0};
};

class OrcObject final : public LoadedObject {
 public:
  OrcObject(std::shared_ptr<Session> session, llvm::orc::JITDylib& dylib) : session_(std::move(session)), dylib_(dylib) {}
  ~OrcObject() override { session_->remove(dylib_); }

  Result<void> find(std::span<const std::string> symbols) {
    for (const std::string& name : symbols) {
      auto address = session_->jit().lookup(dylib_, name);
      if (!address) return failed("the CPU binary cannot be linked", address.takeError());
      entries_.push_back(address->toPtr<void*>());
    }
    return {};
  }

 private:
  std::shared_ptr<Session> session_;
  llvm::orc::JITDylib& dylib_;
};

class OrcLoader final : public ObjectLoader {
 public:
  explicit OrcLoader(std::shared_ptr<Session> session) : session_(std::move(session)) {}

  Result<std::unique_ptr<LoadedObject>> load(std::span<const std::byte> bytes, std::span<const std::string> symbols) const override {
    // LLVM's linker trusts its input in places; the tables are checked first, and both loaders refuse the same objects.
    FSA_ASSIGN_OR_RETURN(const ElfObject object, ElfObject::parse(bytes));
    FSA_RETURN_IF_ERROR(object.check_links(symbols));
    FSA_ASSIGN_OR_RETURN(llvm::orc::JITDylib* const dylib, session_->add(bytes));
    auto loaded = std::make_unique<OrcObject>(session_, *dylib);
    FSA_RETURN_IF_ERROR(loaded->find(symbols));
    return std::unique_ptr<LoadedObject>(std::move(loaded));
  }

 private:
  std::shared_ptr<Session> session_;
};

}  // namespace

Result<std::unique_ptr<ObjectLoader>> make_orc_loader() {
  FSA_ASSIGN_OR_RETURN(auto session, Session::open());
  return std::unique_ptr<ObjectLoader>(std::make_unique<OrcLoader>(std::move(session)));
}

}  // namespace fsa
