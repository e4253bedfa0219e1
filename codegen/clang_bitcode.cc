#include "codegen/clang_bitcode.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sstream>

extern char** environ;

namespace fsa {
namespace {

constexpr const char* kClang = "clang++-19";

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

/// An unnamed temporary file: nothing to clean up, and no pipe that could fill while the other one is being read.
File temporary() { return File(std::tmpfile(), &std::fclose); }

std::string contents(std::FILE* file) {
  std::string text;
  std::rewind(file);
  char chunk[65536];
  while (const std::size_t n = std::fread(chunk, 1, sizeof(chunk), file)) text.append(chunk, n);
  return text;
}

std::vector<std::string> clang_command(const std::string& directory, const std::string& file) {
  std::vector<std::string> arguments{kClang};
  std::istringstream flags(FSA_BITCODE_FLAGS);
  for (std::string flag; flags >> flag;) arguments.push_back(flag);
  for (const std::string& rest : {"-I" + directory, std::string("-c"), directory + "/" + file, std::string("-o"), std::string("-")})
    arguments.push_back(rest);
  return arguments;
}

/// Runs the command with its output in `out` and `log`; the exit status, or the errno of a failed start, negated.
int run(std::vector<std::string> command, std::FILE* out, std::FILE* log) {
  std::vector<char*> argv;
  for (std::string& argument : command) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, fileno(out), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fileno(log), STDERR_FILENO);
  pid_t child = 0;
  const int failed = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed) return -failed;
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return -errno;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Result<std::string> run_clang(const std::string& directory, const std::string& file) {
  const File out = temporary(), log = temporary();
  if (!out || !log)
    return make_error(ErrorKind::kIo,
                      {.given = fmt::format("no temporary file can be made: {}", std::strerror(errno)), .remedy = "free space in /tmp"});
  const int status = run(clang_command(directory, file), out.get(), log.get());
  if (status < 0)
    return make_error(ErrorKind::kUnavailable,
                      {.given = fmt::format("FSA_TEMPLATE_DIR is set, and {} could not be started: {}", kClang, std::strerror(-status)),
                       .supported = fmt::format("{} on PATH, which compiles the CPU templates of that folder", kClang),
                       .remedy = "install clang-19, or unset FSA_TEMPLATE_DIR to use the templates of this build"});
  if (status > 0)
    return make_error(ErrorKind::kCompile,
                      {.given = fmt::format("{} rejected {}/{} (exit {}):\n{}", kClang, directory, file, status, contents(log.get()))});
  return contents(out.get());
}

}  // namespace

std::string ClangBitcode::kernel_file(std::string_view family) { return std::string(family) + "/kernel.cpu.cc"; }

Result<ClangBitcode::Bytes> ClangBitcode::get(std::string_view family) const {
  FSA_ASSIGN_OR_RETURN(const Digest digest, templates_->closure_digest(kernel_file(family)));
  const std::lock_guard lock(mutex_);  // held while clang runs: the other compiles of the same family wait for it, not repeat it
  if (const auto found = compiled_.find(digest); found != compiled_.end()) return found->second;
  FSA_ASSIGN_OR_RETURN(Bytes bytes, compile(family, digest));
  compiled_.emplace(digest, bytes);
  return bytes;
}

Result<ClangBitcode::Bytes> ClangBitcode::compile(std::string_view family, const Digest& digest) const {
  FSA_ASSIGN_OR_RETURN(const std::string text, run_clang(templates_->directory(), kernel_file(family)));
  // clang reads the folder, the digest is of what was read earlier: binaries must never be stored under another text's key.
  FSA_ASSIGN_OR_RETURN(const TemplateStore now, TemplateStore::from_directory(templates_->directory()));
  FSA_ASSIGN_OR_RETURN(const Digest current, now.closure_digest(kernel_file(family)));
  if (current != digest)
    return make_error(ErrorKind::kInvalidArgument, {.given = fmt::format("{}/{} or a file it includes changed after it was read",
                                                                         templates_->directory(), kernel_file(family)),
                                                    .remedy = "run again"});
  const auto bytes = std::as_bytes(std::span(text));
  return std::make_shared<const std::vector<std::byte>>(bytes.begin(), bytes.end());
}

}  // namespace fsa
