// fsa worker: the process in which fsa tune compiles and runs candidates. Not for users.
#include "runtime/tuning.h"
#include "tools/fsa/command.h"

namespace fsa::cli {

void add_worker(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("worker", "")->group("");
  command->callback([&invocation] {
    invocation.action = []() -> Result<Outcome> {
      FSA_RETURN_IF_ERROR(run_tuning_worker());
      return Outcome{};
    };
  });
}

}  // namespace fsa::cli
