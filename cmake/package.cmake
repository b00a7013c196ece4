# SPDX-License-Identifier: Apache-2.0
# What a service builds against: the archives, throughline.pc, the CMake package and the man pages,
# installed with the headers and the libraries as component `sdk`. Included after libtrace/umbrella.
include(CMakePackageConfigHelpers)
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME sdk)

# The static libraries of the tree below a target, itself left out.
function(rooms_below target out_rooms)
    set(rooms "")
    get_target_property(links ${target} LINK_LIBRARIES)
    foreach(link IN LISTS links)
        if(NOT TARGET "${link}")
            continue()
        endif()
        get_target_property(type ${link} TYPE)
        get_target_property(imported ${link} IMPORTED)
        if(type STREQUAL "STATIC_LIBRARY" AND NOT imported)
            rooms_below(${link} below)
            list(APPEND rooms ${link} ${below})
        endif()
    endforeach()
    list(REMOVE_DUPLICATES rooms)
    set(${out_rooms} ${rooms} PARENT_SCOPE)
endfunction()

# Those of them that are linked whole, between --whole-archive and --no-whole-archive.
function(whole_rooms target out_rooms)
    set(rooms "")
    set(is_whole FALSE)
    get_target_property(links ${target} LINK_LIBRARIES)
    foreach(link IN LISTS links)
        if(link MATCHES "--whole-archive")
            set(is_whole TRUE)
        elseif(link MATCHES "--no-whole-archive")
            set(is_whole FALSE)
        elseif(is_whole AND TARGET "${link}")
            list(APPEND rooms ${link})
        endif()
    endforeach()
    set(${out_rooms} ${rooms} PARENT_SCOPE)
endfunction()

# static_library(NAME TARGET)
#   NAME.a beside the shared library TARGET: one object of everything in it, whose hidden names are then
#   made local. So only tl_ is seen of an archive too, and a program's own function `queue_push` meets
#   none of ours.
function(static_library name target)
    set(object ${CMAKE_BINARY_DIR}/lib/${name}.o)
    set(archive ${CMAKE_BINARY_DIR}/lib/${name}.a)
    rooms_below(${target} rooms)
    whole_rooms(${target} whole)
    set(whole_files "")
    set(files "")
    foreach(room IN LISTS rooms)
        if(room IN_LIST whole)
            list(APPEND whole_files $<TARGET_FILE:${room}>)
        else()
            list(APPEND files $<TARGET_FILE:${room}>)
        endif()
    endforeach()
    add_custom_command(OUTPUT ${archive}
        COMMAND ${CMAKE_LINKER} -r -o ${object} $<TARGET_OBJECTS:${target}>
            --whole-archive ${whole_files} --no-whole-archive --start-group ${files} --end-group
        # A module's entry is for whoever opens its shared library.
        COMMAND ${CMAKE_OBJCOPY} --localize-hidden --localize-symbol=throughline_module_v1 ${object}
        COMMAND ${CMAKE_COMMAND} -E rm -f ${archive}
        COMMAND ${CMAKE_AR} qcs ${archive} ${object}
        DEPENDS ${target} ${rooms} $<TARGET_OBJECTS:${target}>
        COMMAND_EXPAND_LISTS VERBATIM)
    add_custom_target(${target}_archive ALL DEPENDS ${archive})
    add_dependencies(throughline_package ${target} ${target}_archive)
    install(FILES ${archive} DESTINATION ${CMAKE_INSTALL_LIBDIR})
    # What is not there is noticed here, not by whoever links it. A sanitizer's names are the program's.
    if(NOT SANITIZE AND NOT FUZZ)
        target_link_options(${target} PRIVATE -Wl,-z,defs)
    endif()
endfunction()

# Everything that component `sdk` installs.
add_custom_target(throughline_package)
static_library(libthroughline throughline_so)
foreach(module http grpc yaml prometheus)
    if(TARGET throughline_${module}_so)
        static_library(libthroughline-${module} throughline_${module}_so)
    endif()
endforeach()

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

add_dependencies(throughline_package throughline_man)
# The wrappers of client libraries, each beside its header.
add_dependencies(throughline_package throughline_curl throughline_amqp)
install(TARGETS throughline_curl throughline_amqp ARCHIVE)
unset(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME)
