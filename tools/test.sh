#!/usr/bin/env bash
# Every test, in one run and without a question: installs missing packages, then builds and tests three ways: as shipped,
# under AddressSanitizer and UndefinedBehaviorSanitizer, and without any compiler on board. GPU tests run where a GPU is.
#
#   tools/test.sh [BUILD_ROOT]            default: build
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/lib.sh
root=${1:-build}
jobs=$(nproc)

install_packages "${FSA_PACKAGES[@]}" "${FSA_TEST_PACKAGES[@]}"
exclude='gpu'
if has_gpu; then exclude='^$'; fi
provide_nvrtc "$root/nvrtc" || exclude="$exclude|nvrtc"
# Kernels of one test run serve the next; a user's own cache is never touched.
mkdir -p "$root"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export XDG_CACHE_HOME=$scratch/cache
unset FSA_CACHE_DIR FSA_PACK FSA_TEMPLATE_DIR FSA_FREEZE FSA_NO_CACHE FSA_NUM_THREADS

# build_and_test NAME CTEST_ARGUMENTS... -- CMAKE_ARGUMENTS...
build_and_test() {
  local name=$1 arguments=()
  shift
  while [ "$1" != -- ]; do arguments+=("$1"); shift; done
  shift
  say "Building $root/$name"
  cmake -S . -B "$root/$name" -G Ninja "$@" >/dev/null
  cmake --build "$root/$name"
  say "Testing $root/$name"
  # Timings need the machine to themselves: tests with the label perf run alone, after the others.
  ctest --test-dir "$root/$name" -j "$jobs" --output-on-failure --no-tests=error -LE "$exclude|perf" "${arguments[@]}"
}

build_and_test release -- -DCMAKE_BUILD_TYPE=Release -DFSA_TESTS=ON
ctest --test-dir "$root/release" -j 1 --output-on-failure -L perf -LE "$exclude"

say "Exporting a pack for the build without compilers"
"$root/release/tools/fsa" export --target native --input tools/samples/selected_g4_d64.safetensors --output "$scratch/sample.fsapack"
FSA_TEST_PACK=$scratch/sample.fsapack build_and_test runtime-only -L runtime-only -- -DCMAKE_BUILD_TYPE=Release -DFSA_NVRTC=OFF -DFSA_LLVM=OFF \
  '-DFSA_TEST_FOLDERS=support;tools'

# Where memory is handled: files, caches, workers, threads, loaders, plans. Leaks are looked for too; the code that LLVM and
# NVRTC generate is not instrumented, what feeds it and calls it is. By clang, for a second opinion on the sources and in half the
# time of g++; unoptimised, because instrumented code takes long to optimise.
# Tests ask for more memory than there is: no error of theirs.
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
exclude="$exclude|nvrtc|slow"
build_and_test sanitize -- -DCMAKE_C_COMPILER=clang-19 -DCMAKE_CXX_COMPILER=clang++-19 -DCMAKE_BUILD_TYPE=Debug \
  -DCMAKE_CXX_FLAGS_DEBUG='-O0 -g1' -DFSA_SANITIZE=address,undefined -DFSA_TOOLS=OFF \
  '-DFSA_TEST_FOLDERS=support;families/problems;codegen;templates;cache;tuner;runtime'

say "All tests passed"
