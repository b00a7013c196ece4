#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the files of web/ as a C file: embed.py WEB_FOLDER OUT.c

The same files give the same bytes. index.html is the one template: {base} becomes the folder all other
files are served under, which is named by their hash; its one inline script, the import map, is allowed by
hash in the Content-Security-Policy, and nothing else inline is.
"""
import base64
import gzip
import hashlib
import os
import re
import sys

TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
         ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
POLICY = ("default-src 'none'; script-src 'self' '{script}'; style-src 'self'; img-src 'self'; connect-src 'self'; "
          "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")


def served(folder):
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(root, name)
            if os.path.splitext(name)[1] in TYPES:
                with open(path, "rb") as file:
                    yield os.path.relpath(path, folder), file.read()


def array(name, data):
    rows = [",".join(str(byte) for byte in data[i:i + 32]) for i in range(0, len(data), 32)]
    return "static const unsigned char %s[] = {\n%s};\n" % (name, ",\n".join(rows))


def main():
    files = dict(served(sys.argv[1]))
    index = files.pop("index.html").decode()
    whole = hashlib.sha256()
    for name, data in sorted(files.items()):
        whole.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
    base = "/page/" + whole.hexdigest()[:12]
    index = index.replace("{base}", base)
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", index, re.S)
    inline = [script for script in scripts if script]
    assert len(inline) == 1, "index.html has one inline script, the import map"
    policy = POLICY.replace("{script}", "sha256-" + base64.b64encode(hashlib.sha256(inline[0].encode()).digest()).decode())
    entries = {"": ("index.html", index.encode())}
    entries.update({f"{base}/{name}": (name, data) for name, data in files.items()})
    out, rows = [], []
    for number, (path, (name, data)) in enumerate(sorted(entries.items())):
        packed = gzip.compress(data, 9, mtime=0)
        is_smaller = len(packed) < len(data)
        out.append(array(f"data_{number}", data))
        if is_smaller:
            out.append(array(f"gzip_{number}", packed))
        rows.append('    {"%s", "%s", "\\"%s\\"", data_%d, %d, %s, %d},' % (
            path, TYPES[os.path.splitext(name)[1]], hashlib.sha256(data).hexdigest()[:16], number, len(data),
            f"gzip_{number}" if is_smaller else "NULL", len(packed) if is_smaller else 0))
    text = "".join(["// Generated from dashboards/web by dashboards/embed.py.\n\n", '#include "agent/api/page.h"\n\n', *out,
                    "\nconst struct page_file page_files[] = {\n", "\n".join(rows), "\n};\n",
                    "const size_t page_file_count = %d;\n" % len(rows),
                    'const char page_content_security_policy[] =\n    "%s";\n' % policy])
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(text)


main()
