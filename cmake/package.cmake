# SPDX-License-Identifier: Apache-2.0
# What a service builds against: libthroughline.a, throughline.pc, the CMake package and the man pages,
# installed with the headers and the libraries as component `sdk`. Included after libtrace/umbrella.
include(CMakePackageConfigHelpers)
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME sdk)

# One object of everything in the shared library, whose hidden names are then made local: so only tl_
# is seen of an archive too, and a program's own function `queue_push` meets none of ours.
set(static_object ${CMAKE_BINARY_DIR}/lib/throughline.o)
set(static_archive ${CMAKE_BINARY_DIR}/lib/libthroughline.a)
set(static_rooms flow otlp model base)
list(TRANSFORM static_rooms REPLACE "(.+)" "$<TARGET_FILE:\\1>" OUTPUT_VARIABLE static_files)
add_custom_command(OUTPUT ${static_archive}
    COMMAND ${CMAKE_LINKER} -r -o ${static_object} $<TARGET_OBJECTS:throughline_so>
        --whole-archive $<TARGET_FILE:sdk> --no-whole-archive --start-group ${static_files} --end-group
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${static_object}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${static_archive}
    COMMAND ${CMAKE_AR} qcs ${static_archive} ${static_object}
    DEPENDS throughline_so sdk ${static_rooms} $<TARGET_OBJECTS:throughline_so>
    COMMAND_EXPAND_LISTS VERBATIM)
add_custom_target(throughline_static ALL DEPENDS ${static_archive})
install(FILES ${static_archive} DESTINATION ${CMAKE_INSTALL_LIBDIR})

# Relative to where the file lies: what is installed may be moved.
file(RELATIVE_PATH pc_includedir ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_FULL_INCLUDEDIR})
configure_file(${CMAKE_SOURCE_DIR}/cmake/throughline.pc.in ${CMAKE_BINARY_DIR}/throughline.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/throughline.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/throughlineConfig.cmake.in
    ${CMAKE_BINARY_DIR}/throughlineConfig.cmake
    INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/throughline
    PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/throughlineConfigVersion.cmake
    COMPATIBILITY SameMajorVersion)
install(FILES ${CMAKE_BINARY_DIR}/throughlineConfig.cmake ${CMAKE_BINARY_DIR}/throughlineConfigVersion.cmake
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/throughline)

# The reference is the headers' own comments.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
file(GLOB api_headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/libtrace/include/throughline/*.h)
set(man_folder ${CMAKE_BINARY_DIR}/man3)
add_custom_command(OUTPUT ${man_folder}/throughline.3
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/cmake/man.py ${PROJECT_VERSION} ${man_folder} ${api_headers}
    DEPENDS ${CMAKE_SOURCE_DIR}/cmake/man.py ${api_headers} VERBATIM)
add_custom_target(throughline_man ALL DEPENDS ${man_folder}/throughline.3)
install(DIRECTORY ${man_folder} DESTINATION ${CMAKE_INSTALL_MANDIR})

# Everything that component `sdk` installs.
add_custom_target(throughline_package)
add_dependencies(throughline_package throughline_static throughline_man)
get_property(umbrella_targets DIRECTORY ${CMAKE_SOURCE_DIR}/libtrace/umbrella PROPERTY BUILDSYSTEM_TARGETS)
foreach(library IN LISTS umbrella_targets)
    get_target_property(type ${library} TYPE)
    if(type STREQUAL "SHARED_LIBRARY")
        add_dependencies(throughline_package ${library})
    endif()
endforeach()
# The wrappers of client libraries, each beside its header.
add_dependencies(throughline_package throughline_curl throughline_amqp)
install(TARGETS throughline_curl throughline_amqp ARCHIVE)
unset(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME)
