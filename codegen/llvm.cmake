# The CPU compiler: LLVM 19, static. A build without it has a compiler that explains its absence.
if(NOT FSA_LLVM)
  target_sources(fsa_core PRIVATE llvm_off.cc)
  return()
endif()
find_package(LLVM 19.1 CONFIG QUIET GLOBAL)  # GLOBAL: fsa_core is a target of the root directory
if(NOT LLVM_FOUND)
  message(FATAL_ERROR "LLVM 19 was not found: install llvm-19-dev, libzstd-dev and zlib1g-dev (https://apt.llvm.org), set LLVM_DIR, or configure with -DFSA_LLVM=OFF")
endif()
llvm_map_components_to_libnames(FSA_LLVM_LIBRARIES x86codegen x86desc x86info orcjit passes bitreader)
include(${PROJECT_SOURCE_DIR}/templates/bitcode.cmake)
target_sources(fsa_core PRIVATE clang_bitcode.cc llvm_compiler.cc llvm_diagnostics.cc llvm_module.cc)
# What LLVM means for other files stays out of their command lines: builds with and without it then share objects in ccache.
list(TRANSFORM LLVM_INCLUDE_DIRS PREPEND -isystem OUTPUT_VARIABLE FSA_LLVM_INCLUDES)
set_source_files_properties(llvm_diagnostics.cc llvm_compiler.cc llvm_module.cc ../runtime/device/orc_loader.cc
                            TARGET_DIRECTORY fsa_core PROPERTIES COMPILE_OPTIONS "${FSA_LLVM_INCLUDES}")
target_link_libraries(fsa_core PRIVATE ${FSA_LLVM_LIBRARIES})
# Edit-and-run compiles with the flags of the build; one list serves both.
string(JOIN " " FSA_BITCODE_FLAGS_TEXT ${FSA_BITCODE_FLAGS})
set_source_files_properties(clang_bitcode.cc TARGET_DIRECTORY fsa_core PROPERTIES COMPILE_DEFINITIONS "FSA_BITCODE_FLAGS=\"${FSA_BITCODE_FLAGS_TEXT}\"")
