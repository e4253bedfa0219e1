#include "tests/tools/cli.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

extern char** environ;

namespace fsa::test {
namespace {

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> environment_with(const std::map<std::string, std::string>& changes) {
  std::vector<std::string> variables;
  for (char** v = environ; *v; ++v) {
    const std::string variable = *v;
    if (!changes.contains(variable.substr(0, variable.find('=')))) variables.push_back(variable);
  }
  for (const auto& [name, value] : changes) variables.push_back(name + "=" + value);
  return variables;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& s : strings) result.push_back(s.data());
  result.push_back(nullptr);
  return result;
}

struct Folders {
  std::filesystem::path root;
  Folders() {
    std::string pattern = (std::filesystem::temp_directory_path() / "fsa_test_XXXXXX").string();
    root = mkdtemp(pattern.data());
  }
  ~Folders() {
    std::error_code ignored;
    std::filesystem::remove_all(root, ignored);
  }
};

int spawn_and_wait(std::vector<std::string> argv, std::vector<std::string> variables, const std::filesystem::path& out,
                   const std::filesystem::path& err) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
  pid_t pid = -1;
  const int failure = posix_spawn(&pid, argv.front().c_str(), &actions, nullptr, pointers(argv).data(), pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (failure != 0 || waitpid(pid, &status, 0) != pid) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

std::filesystem::path test_folder() {
  static const Folders folders;
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  std::string name = std::string(info->test_suite_name()) + "." + info->name();
  for (char& c : name)
    if (c == '/') c = '_';
  std::filesystem::create_directories(folders.root / name);
  return folders.root / name;
}

CliResult run_program(const std::vector<std::string>& argv, const std::map<std::string, std::string>& environment) {
  const auto out = test_folder() / ".stdout", err = test_folder() / ".stderr";
  CliResult result;
  result.exit_code = spawn_and_wait(argv, environment_with(environment), out, err);
  result.out = read_text(out);
  result.err = read_text(err);
  return result;
}

CliResult run_cli(const std::vector<std::string>& args, const std::map<std::string, std::string>& environment) {
  std::vector<std::string> argv{FSA_CLI_PATH};
  argv.insert(argv.end(), args.begin(), args.end());
  std::map<std::string, std::string> variables{{"FSA_CACHE_DIR", (test_folder() / "cache").string()}};
  for (const auto& [name, value] : environment) variables[name] = value;
  return run_program(argv, variables);
}

std::string sample_input() { return FSA_SAMPLE; }

}  // namespace fsa::test
