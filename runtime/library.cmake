# Owns libfsa.so and its installation: one shared library that exports the public API and nothing of what it is made of.
add_library(fsa SHARED $<TARGET_OBJECTS:fsa_core>)
add_library(fsa::fsa ALIAS fsa)
set_target_properties(fsa PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR} LINKER_LANGUAGE CXX)
target_compile_features(fsa INTERFACE cxx_std_20)
target_include_directories(fsa INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/codegen/base/include>
                                         $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/runtime/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

# A host application may bring an LLVM of its own: two sets of its symbols in one process crash. --exclude-libs hides what
# comes from archives (LLVM, zstd), the version script what templates of the standard library instantiate.
set(FSA_EXPORTS ${CMAKE_CURRENT_SOURCE_DIR}/libfsa.map)
target_link_options(fsa PRIVATE -Wl,--exclude-libs,ALL -Wl,--version-script=${FSA_EXPORTS} -Wl,--gc-sections)
set_property(TARGET fsa APPEND PROPERTY LINK_DEPENDS ${FSA_EXPORTS})
target_link_libraries(fsa PRIVATE $<BUILD_INTERFACE:fsa_build> $<TARGET_PROPERTY:fsa_core,LINK_LIBRARIES>)

include(CMakePackageConfigHelpers)
set(FSA_CONFIG_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/fsa)
configure_package_config_file(fsaConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/fsaConfig.cmake INSTALL_DESTINATION ${FSA_CONFIG_DIR})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/fsaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(TARGETS fsa EXPORT fsaTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT fsaTargets NAMESPACE fsa:: DESTINATION ${FSA_CONFIG_DIR})
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/fsaConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/fsaConfigVersion.cmake DESTINATION ${FSA_CONFIG_DIR})
install(DIRECTORY include/fsa ${PROJECT_SOURCE_DIR}/codegen/base/include/fsa DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
