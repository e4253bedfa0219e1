# Owns what quickstart.sh and test.sh share: packages, the NVRTC library, and messages. Sourced, not run.

# Debian 12 and Ubuntu 24.04 have all of these under the same names.
FSA_PACKAGES=(g++ cmake ninja-build ccache clang-19 llvm-19-dev libzstd-dev zlib1g-dev libfmt-dev nlohmann-json3-dev libssl-dev libcli11-dev)
FSA_TEST_PACKAGES=(libclang-rt-19-dev libgtest-dev python3 python3-numpy binutils)

say() { printf '\n== %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo -n "$@" || die "'$*' needs root, and sudo asked for a password; run it yourself, then start again"
  else die "'$*' needs root; run it yourself, then start again"
  fi
}

# Prints those of the named packages that are not installed.
missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || printf '%s\n' "$package"
  done
}

# Installs those of the named packages that are missing. Asks nothing; touches nothing where all are there.
install_packages() {
  command -v dpkg-query >/dev/null || die "this script knows Debian and Ubuntu; elsewhere install the packages that README.md lists and use cmake --preset release"
  local missing
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  say "Installing" $missing
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  # shellcheck disable=SC2086 # one word per package
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

has_gpu() { [ -e /dev/nvidia0 ] || [ -e /dev/dxg ]; }

# True when a libnvrtc 12 or 13 can be found without being told where.
has_nvrtc() { [ -n "${FSA_NVRTC_PATH:-}" ] || ldconfig -p 2>/dev/null | grep -q 'libnvrtc\.so\.1[23]' || ls /usr/local/cuda*/lib*/libnvrtc.so.1[23] >/dev/null 2>&1; }

# Debian's CUDA is too old, so NVRTC comes as NVIDIA's wheel from PyPI, unpacked below $1 and named by FSA_NVRTC_PATH.
# Returns 1, with the reason said, where it cannot be had: everything but the CUDA compiler works without.
provide_nvrtc() {
  has_nvrtc && return 0
  local found
  found=$(ls "$1"/lib/python3*/site-packages/nvidia/*/lib/libnvrtc.so.1[23] 2>/dev/null | head -n 1)
  if [ -z "$found" ]; then
    install_packages python3-venv
    say "Fetching NVRTC from PyPI (nvidia-cuda-nvrtc-cu12)"
    { python3 -m venv "$1" && "$1/bin/pip" install -q --disable-pip-version-check --timeout 20 --retries 1 nvidia-cuda-nvrtc-cu12; } ||
      { echo "NVRTC could not be fetched: CUDA kernels are not compiled in this run."; return 1; }
    found=$(ls "$1"/lib/python3*/site-packages/nvidia/*/lib/libnvrtc.so.1[23] 2>/dev/null | head -n 1)
  fi
  [ -n "$found" ] || { echo "The package holds no libnvrtc: CUDA kernels are not compiled in this run."; return 1; }
  export FSA_NVRTC_PATH=$found
}
