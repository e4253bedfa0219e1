#!/usr/bin/env bash
# From a clone to tuned kernels, in one run and without a question: installs missing packages, builds, tunes for this
# machine, runs the sample, and prints what was chosen, its time and its error against the float64 oracle.
#
#   tools/quickstart.sh [BUILD_DIR]       default: build/release
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/lib.sh
build=${1:-build/release}
sample=tools/samples/selected_g4_d64.safetensors

install_packages "${FSA_PACKAGES[@]}"

say "Building in $build"
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DFSA_TESTS=OFF >/dev/null
cmake --build "$build" --target fsa_cli
fsa=$build/tools/fsa

devices=(cpu)
if has_gpu && provide_nvrtc "$build/nvrtc" && "$fsa" doctor --quiet --device cuda:0; then devices+=(cuda:0); fi

for device in "${devices[@]}"; do
  say "Tuning selected attention on $device"
  "$fsa" tune --device "$device" --input "$sample" --max-seconds 60
  "$fsa" tune --device "$device" --preset llama3-8b --seqlen 2k --max-seconds 150
done

output=$(mktemp -d)
trap 'rm -rf "$output"' EXIT
for device in "${devices[@]}"; do
  say "Running $sample on $device"
  "$fsa" run --op selected --device "$device" --input "$sample" --output "$output/out.safetensors" --check --repeat 20
done
