# SPDX-License-Identifier: Apache-2.0
# component_rows(KIND OUT_SOURCES ROWS a b ...)
#   A row NAME is the file NAME.c of this folder with `const struct KIND NAME_KIND`. The rows of all folders become
#   generated/KIND.def, lines ROW(NAME), which agent/registry.c turns into its lists.
#   A row whose file is not there is left out. OUT_SOURCES gets the files to compile.
include_guard(GLOBAL)
function(component_rows kind out_sources)
    cmake_parse_arguments(PART "" "" "ROWS" ${ARGN})
    set(sources "")
    # The glob makes the build look again when a file appears.
    file(GLOB present RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS
        ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
    foreach(row IN LISTS PART_ROWS)
        if("${row}.c" IN_LIST present)
            list(APPEND sources ${CMAKE_CURRENT_SOURCE_DIR}/${row}.c)
            set_property(GLOBAL APPEND PROPERTY rows_${kind} ${row})
        endif()
    endforeach()
    set(${out_sources} ${sources} PARENT_SCOPE)
endfunction()

# Writes generated/KIND.def of the rows gathered so far; untouched when nothing changed.
function(component_list kind)
    get_property(rows GLOBAL PROPERTY rows_${kind})
    set(text "")
    foreach(row IN LISTS rows)
        string(APPEND text "ROW(${row})\n")
    endforeach()
    file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/${kind}.def CONTENT "${text}" @ONLY)
endfunction()
