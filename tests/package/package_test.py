#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a service builds against: a release build of its own below the build folder, installed into a folder, then looked at
and used as a stranger would. One case per run: package_test.py CASE SOURCE BUILD [COMPILER LAUNCHER]; `build` comes first."""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

CASE, TREE, BUILD = sys.argv[1:4]
LAUNCHER = sys.argv[4] if len(sys.argv) > 4 else ""
TREE_BUILD, PREFIX = os.path.join(BUILD, "package"), os.path.join(BUILD, "package-root")
LIBRARY = os.path.join(PREFIX, "lib/libthroughline.so.1")
ARCHIVE = os.path.join(PREFIX, "lib/libthroughline.a")
INCLUDE = os.path.join(PREFIX, "include")
STRIPPED_BYTES_MAX = 450_000
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
LANGUAGES = {"c": ["cc", "-std=c11"], "c++": ["c++", "-std=c++11"]}


def run(*command, environment=None, **more):
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ, **(environment or {})), **more)
    assert result.returncode == 0, " ".join(command) + "\n" + result.stdout + result.stderr
    return result.stdout


def build():
    """Debug information is for abidw; what is installed is what a package would strip."""
    launcher = [f"-DCMAKE_{language}_COMPILER_LAUNCHER={LAUNCHER}" for language in ("C", "CXX")] if LAUNCHER else []
    run("cmake", "-S", TREE, "-B", TREE_BUILD, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_C_FLAGS_RELEASE=-O2 -g -DNDEBUG",
        "-DBUILD_TESTING=OFF", f"-DCMAKE_INSTALL_PREFIX={PREFIX}", "-DCMAKE_INSTALL_LIBDIR=lib", "-DCMAKE_C_COMPILER=gcc",
        "-DCMAKE_CXX_COMPILER=g++", *launcher)
    run("cmake", "--build", TREE_BUILD, "--target", "throughline_package")
    shutil.rmtree(PREFIX, ignore_errors=True)
    run("cmake", "--install", TREE_BUILD, "--component", "sdk")
    missing = [path for path in ("lib/libthroughline.so", "lib/libthroughline.so.1", "lib/libthroughline.a", "lib/pkgconfig/throughline.pc",
                                 "lib/cmake/throughline/throughlineConfig.cmake", "include/throughline/throughline.h",
                                 "share/man/man3/throughline.3") if not os.path.exists(os.path.join(PREFIX, path))]
    assert not missing, missing
    for path in sorted(glob.glob(os.path.join(PREFIX, "**"), recursive=True)):
        if not os.path.isdir(path) and "/man3/tl_" not in path:
            print(os.path.relpath(path, PREFIX))


def source_in(folder, language):
    """The first example, in a file of that language."""
    path = os.path.join(folder, "first." + ("c" if language == "c" else "cpp"))
    shutil.copy(os.path.join(TREE, "examples/sdk/first_span.c"), path)
    return path


def pkg_config(*arguments):
    return run("pkg-config", *arguments, "throughline",
               environment={"PKG_CONFIG_PATH": os.path.join(PREFIX, "lib/pkgconfig")}).split()


def needed(path):
    return re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", path))


# A socket that is nobody's: the library looks for no agent of this machine.
ALONE = {"THROUGHLINE_SOCKET": "/nonexistent/agent.sock"}


def shared():
    with tempfile.TemporaryDirectory(prefix="throughline-test-") as folder:
        for language, compiler in LANGUAGES.items():
            program = os.path.join(folder, "shared")
            run(*compiler, *STRICT, "-o", program, source_in(folder, language), *pkg_config("--cflags", "--libs"))
            assert "libthroughline.so.1" in needed(program), needed(program)
            run(program, environment=dict(ALONE, LD_LIBRARY_PATH=os.path.join(PREFIX, "lib")))


def static():
    """All of it static, and the archive alone: the loader is then asked for nothing of ours."""
    with tempfile.TemporaryDirectory(prefix="throughline-test-") as folder:
        for language, compiler in LANGUAGES.items():
            program, source = os.path.join(folder, "static"), source_in(folder, language)
            run(*compiler, *STRICT, "-static", "-o", program, source, *pkg_config("--static", "--cflags", "--libs"))
            assert needed(program) == []
            run(program, environment=ALONE)
            run(*compiler, *STRICT, "-o", program, source, *pkg_config("--cflags"), ARCHIVE, "-pthread", "-ldl")
            assert not any("throughline" in name for name in needed(program))
            run(program, environment=ALONE)


MODULE_USER = """
#include <throughline/sdk.h>
int main(void)
{
    struct tl_exporter_v1 exporter;
    char why[256];

    tl_module_add(tl_module_http());
    if (tl_exporter_otlp_http(NULL, &exporter, why))
        return 1;
    exporter.free(exporter.self);
    return 0;
}
"""


def module():
    """The HTTP module linked as an archive beside the library's: both carry the lower rooms, and neither sees the other's."""
    with tempfile.TemporaryDirectory(prefix="throughline-test-") as folder:
        source, program = os.path.join(folder, "module.c"), os.path.join(folder, "module")
        with open(source, "w", encoding="utf-8") as file:
            file.write(MODULE_USER)
        run("cc", "-std=c11", *STRICT, "-o", program, source, *pkg_config("--cflags"), ARCHIVE,
            os.path.join(PREFIX, "lib/libthroughline-http.a"), "-lcurl", "-lzstd", "-lz", "-ldeflate", "-pthread", "-ldl")
        assert not any("throughline" in name for name in needed(program))
        run(program, environment=ALONE)


def weak():
    """A static program that shows its functions is the SDK of a library that links none."""
    with tempfile.TemporaryDirectory(prefix="throughline-test-") as folder:
        program, library = os.path.join(folder, "weak"), os.path.join(folder, "libweak.so")
        here = [f"-I{TREE}", *pkg_config("--cflags")]
        run("cc", "-std=c11", *STRICT, "-O2", "-shared", "-fPIC", "-o", library, os.path.join(TREE, "tests/package/weak_library.c"), *here)
        run("cc", "-std=gnu11", "-O2", "-DLINKED", "-D_GNU_SOURCE", "-rdynamic", "-o", program,
            os.path.join(TREE, "tests/package/weak_program.c"), *here, ARCHIVE, "-pthread", "-ldl")
        assert not any("throughline" in name for name in needed(program) + needed(library))
        run(program, library, environment=ALONE)


CONSUMER = """
cmake_minimum_required(VERSION 3.16)
project(consumer LANGUAGES C CXX)
find_package(throughline 0.1 REQUIRED)
foreach(language c cpp)
    foreach(kind throughline static)
        add_executable(${language}_${kind} first.${language})
        target_link_libraries(${language}_${kind} PRIVATE throughline::${kind})
    endforeach()
endforeach()
"""


def config():
    """find_package, in a folder to which what was installed has been moved."""
    with tempfile.TemporaryDirectory(prefix="throughline-test-") as folder:
        moved = os.path.join(folder, "moved")
        shutil.copytree(PREFIX, moved, symlinks=True)
        for language in LANGUAGES:
            source_in(folder, language)
        with open(os.path.join(folder, "CMakeLists.txt"), "w", encoding="utf-8") as file:
            file.write(CONSUMER)
        tree = os.path.join(folder, "build")
        run("cmake", "-S", folder, "-B", tree, f"-DCMAKE_PREFIX_PATH={moved}")
        run("cmake", "--build", tree)
        for language in ("c", "cpp"):
            for kind in ("throughline", "static"):
                program = os.path.join(tree, f"{language}_{kind}")
                assert ("libthroughline.so.1" in needed(program)) == (kind == "throughline"), needed(program)
                run(program, environment=ALONE)


def headers():
    """Each compiles alone, twice in one unit, and in both languages without a warning."""
    with tempfile.TemporaryDirectory(prefix="throughline-test-") as folder:
        for path in sorted(glob.glob(os.path.join(INCLUDE, "throughline/*.h"))):
            name = "throughline/" + os.path.basename(path)
            for standard in ("c11", "c17", "c++11", "c++14", "c++17"):
                source = os.path.join(folder, "unit." + ("cpp" if "+" in standard else "c"))
                with open(source, "w", encoding="utf-8") as file:
                    file.write(f"#include <{name}>\n#include <{name}>\nint unit(void);\nint unit(void) {{ return 0; }}\n")
                compiler = "c++" if "+" in standard else "cc"
                run(compiler, "-std=" + standard, *STRICT, "-I" + INCLUDE, "-fsyntax-only", source)


def public_functions():
    names = set()
    for path in glob.glob(os.path.join(INCLUDE, "throughline/*.h")):
        if os.path.basename(path) in ("weak.h", "curl.h", "amqp.h"):
            continue
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"//[^\n]*|#define(?:[^\n]*\\\n)*[^\n]*", "", file.read())
        names.update(re.findall(r"TL_API\b[^;{]*?\b(tl_\w+)(?:\((?:[^()]|\([^()]*\))*\))?\s*;", text))
    return names


def symbols():
    """Nothing but the API leaves, of either library, and every name has the version."""
    allowed = re.compile(r"(tl_\w+|otel_thread_ctx_v1)$")
    shown = {line.split()[-1] for line in run("nm", "-D", "--defined-only", LIBRARY).splitlines()} - {"THROUGHLINE_1"}
    assert all(name.endswith("@@THROUGHLINE_1") for name in shown), shown
    shown = {name.split("@")[0] for name in shown}
    archived = {line.split()[-1] for line in run("nm", "-g", "--defined-only", ARCHIVE).splitlines() if len(line.split()) == 3}
    for where, names in (("shared", shown), ("static", archived)):
        strangers = sorted(name for name in names if not allowed.match(name))
        assert not strangers, (where, strangers)
    assert shown == archived, (sorted(shown ^ archived))
    undocumented = sorted(name for name in shown - public_functions() if name.startswith("tl_"))
    assert not undocumented, ("in no header", undocumented)
    for archive in glob.glob(os.path.join(PREFIX, "lib/libthroughline-*.a")):
        name = os.path.basename(archive)[len("libthroughline-"):-2]
        archived = {line.split()[-1] for line in run("nm", "-g", "--defined-only", archive).splitlines() if len(line.split()) == 3}
        strangers = sorted(symbol for symbol in archived if not re.match(rf"tl_(module_)?{name}(_\w+)?$", symbol))
        assert archived and not strangers, (archive, archived)
    missing = sorted(symbol for symbol in public_functions() - shown if not symbol.startswith("tl_module_") or symbol == "tl_module_add")
    print(f"{len(shown)} names, all of the API's")
    if missing:
        print("SKIPPED: declared and not in the library yet: " + " ".join(missing))
        sys.exit(77)


def size():
    """Small, and with no library behind it but libc."""
    with tempfile.TemporaryDirectory(prefix="throughline-test-") as folder:
        stripped = os.path.join(folder, "libthroughline.so.1")
        run("strip", "--strip-unneeded", "-o", stripped, LIBRARY)
        bytes_ = os.path.getsize(stripped)
        print(f"libthroughline.so.1, stripped: {bytes_} bytes")
        assert bytes_ < STRIPPED_BYTES_MAX, bytes_
        loaded = [line.split()[0] for line in run("ldd", stripped).splitlines()]
        print("loads " + " ".join(loaded))
        others = [name for name in loaded if not re.search(r"linux-vdso|libc\.so|/ld-linux|ld-musl", name)]
        assert not others, others


def man():
    """Every public function has a comment and a page; none of them makes groff complain."""
    with tempfile.TemporaryDirectory(prefix="throughline-test-") as made:
        said = subprocess.run([sys.executable, os.path.join(TREE, "cmake/man.py"), "0", made,
                               *glob.glob(os.path.join(INCLUDE, "throughline/*.h"))], capture_output=True, text=True, check=True).stderr
    assert not said, said
    folder = os.path.join(PREFIX, "share/man/man3")
    for name in sorted(public_functions()):
        with open(os.path.join(folder, name + ".3"), encoding="utf-8") as file:
            link = re.fullmatch(r"\.so (man3/throughline\w*\.3)\n", file.read())
        assert link and os.path.exists(os.path.join(PREFIX, "share/man", link.group(1))), name
    pages = sorted(glob.glob(os.path.join(folder, "throughline*.3")))
    for page in pages:
        with open(page, encoding="utf-8") as file:
            text = file.read()
        for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "THREADS", "ERRORS", "OWNERSHIP", "UNITS"):
            assert f".SH {section}\n" in text, (page, section)
        result = subprocess.run(["groff", "-ww", "-b", "-man", "-Tutf8", page], capture_output=True, text=True, check=False)
        assert result.returncode == 0 and not result.stderr, (page, result.stderr)
    print(f"{len(public_functions())} functions on {len(pages)} pages")


{"build": build, "shared": shared, "static": static, "module": module, "weak": weak, "config": config, "headers": headers, "symbols": symbols, "size": size,
 "man": man}[CASE]()
