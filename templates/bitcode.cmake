# Owns fsa_add_bitcode(): a kernel.cpu.cc becomes an LLVM bitcode module at build time. Needs clang of the LLVM that is linked.
find_program(FSA_CLANG NAMES clang++-19 DOC "clang++ 19, which turns CPU kernels into bitcode")
if(NOT FSA_CLANG)
  message(FATAL_ERROR "clang++-19 was not found: install clang-19 (https://apt.llvm.org), set FSA_CLANG, or configure with -DFSA_LLVM=OFF")
endif()

# The passes stay off: they run after the config is known. Modules that were optimised before came out 2.6 times slower,
# -O0 modules (which clang marks optnone and leaves without lifetimes and alias facts) 1.7 times. -march only lets every
# intrinsic through the front end; the target is chosen when the module is compiled.
set(FSA_BITCODE_FLAGS -std=c++20 -O2 -Xclang -disable-llvm-passes -march=x86-64-v4 -mavx512bf16 -ffreestanding -fno-exceptions -fno-rtti
    -fno-unwind-tables -fno-asynchronous-unwind-tables -fno-stack-protector -fno-math-errno -fPIC -emit-llvm)

# fsa_add_bitcode(<output .bc> <absolute source>): adds the rule; <output> is an absolute path.
function(fsa_add_bitcode output source)
  get_filename_component(name ${output} NAME_WLE)
  set(warnings -Wall -Wextra)
  if(FSA_WERROR)
    list(APPEND warnings -Werror)
  endif()
  # The stub is compiled under a relative name, so that no path of the build machine gets into the module and its digest.
  file(CONFIGURE OUTPUT ${name}.cpu.cc CONTENT "#include \"${source}\"\n" @ONLY)
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${FSA_CLANG} ${FSA_BITCODE_FLAGS} ${warnings} -I${PROJECT_SOURCE_DIR}/templates -MD -MF ${output}.d -MT ${output}
            -c ${name}.cpu.cc -o ${output}
    DEPENDS ${source} ${CMAKE_CURRENT_BINARY_DIR}/${name}.cpu.cc
    DEPFILE ${output}.d
    WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}
    COMMENT "Building bitcode ${name}"
    VERBATIM)
endfunction()
