# The CUDA compiler. NVRTC is found by dlopen, so no CUDA toolkit is needed to build it.
target_sources(fsa_core PRIVATE ${CMAKE_CURRENT_LIST_DIR}/ptxas_report.cc)
if(FSA_NVRTC)
  target_sources(fsa_core PRIVATE ${CMAKE_CURRENT_LIST_DIR}/nvrtc_compiler.cc ${CMAKE_CURRENT_LIST_DIR}/nvrtc_library.cc)
else()
  target_sources(fsa_core PRIVATE ${CMAKE_CURRENT_LIST_DIR}/nvrtc_off.cc)
endif()
