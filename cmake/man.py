#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""man.py VERSION FOLDER HEADER...: section 3 pages out of the comments of the public headers.

A header NAME.h becomes throughline_NAME(3), its functions links to it; throughline.h becomes throughline(3). What a page says
is what the header says: declarations in their order, each with the comment above it. Declarations that follow one another
without an empty line share the comment of the first. A function without a comment is named on stderr."""
import os
import re
import sys

RULES = ("Threads:", "Errors:", "Ownership:", "Text:", "Units:")


def escape(text):
    """Plain text for groff: no escapes, no requests, hyphens that can be copied."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga").replace("^", "\\(ha").replace("~", "\\(ti")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def uncomment(lines):
    return "\n".join(re.sub(r"^//\s?", "", line) for line in lines)


def blocks_of(lines):
    """The header in blocks that empty lines set apart, brackets kept together."""
    block, depth, blocks = [], 0, []
    for line in lines:
        code = re.sub(r"//.*", "", line)
        if not line.strip() and depth == 0:
            if block:
                blocks.append(block)
            block = []
            continue
        block.append(line)
        depth += code.count("{") - code.count("}")
    return blocks + ([block] if block else [])


def parts_of(block):
    """(comment, code) pairs of a block; a comment at its left edge begins a new one."""
    parts, depth = [], 0
    for line in block:
        if line.startswith("//") and depth == 0:
            if not parts or parts[-1][1]:
                parts.append(([], []))
            parts[-1][0].append(line)
        else:
            if not parts:
                parts.append(([], []))
            parts[-1][1].append(line)
            depth += line.count("{") - line.count("}")
    return parts


def functions_of(code):
    text = re.sub(r"//[^\n]*", "", "\n".join(code))
    macros = re.findall(r"^#define (TL_[A-Z_]+)\(", text, re.M)
    text = re.sub(r"#define(?:[^\n]*\\\n)*[^\n]*", "", text)
    names = macros + re.findall(r"TL_API\b[^;{]*?\b(tl_\w+)\((?:[^()]|\([^()]*\))*\)\s*;", text)
    return names + re.findall(r"^static inline [^;{]*?\b(tl_\w+)\((?:[^()]|\([^()]*\))*\)\s*\{", text, re.M)


def variables_of(code):
    return re.findall(r"^TL_API extern const struct \w+ (\w+);", "\n".join(code), re.M)


def declarations_of(code):
    """What a caller reads: without visibility, bodies and what the compiler alone needs, continued lines set in anew."""
    text = "\n".join(code)
    text = re.sub(r"__attribute__\(\(format\([^)]*\)\)\)\s*", "", text)
    text = re.sub(r"\bTL_API\s+", "", text)
    text = re.sub(r"^(?:static inline )([^{;]*?)\s*\n\{.*?^\}", r"\1;", text, flags=re.M | re.S)
    text = re.sub(r"^(#define \w+\([^)]*\)) *\\\n(?:.*\\\n)*.*", r"\1", text, flags=re.M)
    return re.sub(r",\n {8,}", ",\n        ", text)


class Page:
    def __init__(self, path):
        self.header = os.path.basename(path)
        stem = self.header[:-2]
        self.name = "throughline" if stem == "throughline" else "throughline_" + stem
        with open(path, encoding="utf-8") as file:
            lines = file.read().split("\n")
        self.problems = [] if lines[0].startswith("// SPDX") else [f"{self.header}:1: no SPDX line"]
        start = next(number for number, line in enumerate(lines) if number and not line.startswith("//"))
        self.head = uncomment(lines[1:start])
        self.parts, self.functions = [], []
        # weak.h has the others' functions again, as macros.
        for block in [] if stem == "weak" else blocks_of(self.declarations(lines[start:])):
            self.take(block)

    def declarations(self, lines):
        """Without what is the preprocessor's and the compiler's."""
        skip = re.compile(r"#(pragma|include|ifdef|ifndef|if|else|endif|error)|TL_BEGIN$|TL_END$|#define TL_(BEGIN|END|API)\b|"
                          r'extern "C" \{$|\}$')
        kept, inside = [], False
        for line in lines:
            inside = (inside or line.endswith("{")) and line != "}"
            if line == "}" and kept and not skip.match(kept[-1]) and "{" in "".join(kept):
                kept.append(line)
            elif not skip.match(line):
                kept.append(line)
        return kept

    def take(self, block):
        for comment, code in parts_of(block):
            names = functions_of(code) + variables_of(code)
            self.functions += [name for name in names if name.startswith("tl_")]
            if names and not comment and any(name.startswith("tl_") for name in names):
                if not block[0].startswith("//"):
                    self.problems.append(f"{self.header}: {names[0]} has no comment")
            self.parts.append((uncomment(comment), code, names))

    def title(self):
        return re.split(r"[.:(]\s|\.$", self.head.replace("\n", " "))[0].strip(" .")

    def text(self, version, rules, pages):
        out = [f'.TH {self.name} 3 "" "throughline {version}" "Throughline"', ".ad l", ".SH NAME"]
        names = ", ".join([self.name] + self.functions)
        out += [escape(names) + " \\- " + escape(self.title()), ".SH SYNOPSIS", ".nf",
                f".B #include <throughline/{self.header}>", ".fi", ".PP",
                "Link with \\fI\\-lthroughline\\fP; see \\fBpkg\\-config throughline\\fP." if self.header not in ("curl.h", "amqp.h")
                else f"Link with \\fI\\-lthroughline\\-{self.header[:-2]}\\fP and \\fI\\-lthroughline\\fP.", ".SH DESCRIPTION"]
        out += paragraphs(self.head)
        for comment, code, names in self.parts:
            out += [".SS " + escape(", ".join(names))] if names else [".PP"]
            if comment:
                out += paragraphs(comment)
            if code:
                out += [".PP", ".in +4n", ".EX", escape(declarations_of(code)), ".EE", ".in"]
        for title, sentence in rules:
            out += [".SH " + title.upper(), escape(sentence[0].upper() + sentence[1:])]
        others = [page.name for page in pages if page.name != self.name]
        out += [".SH SEE ALSO", *(f".BR {escape(name)} (3)," for name in others[:-1]), f".BR {escape(others[-1])} (3)"]
        return "\n".join(line for line in out if line) + "\n"


def paragraphs(text):
    """Blank lines and list items begin paragraphs."""
    out = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        out += [".PP", escape(paragraph)]
    return out


def rules_of(base):
    """What base.h promises for every function, as sections: (title, text)."""
    text = " ".join(base.head.split())
    at = sorted((text.index(rule), rule) for rule in RULES if rule in text)
    if len(at) != len(RULES):
        base.problems.append("base.h: its head does not have all of " + " ".join(RULES))
    ends = [start for start, _ in at[1:]] + [len(text)]
    return [(rule.rstrip(":"), text[start + len(rule):end].strip()) for (start, rule), end in zip(at, ends)]


def write(folder, name, text):
    with open(os.path.join(folder, name + ".3"), "w", encoding="utf-8") as file:
        file.write(text)


def main():
    version, folder, *headers = sys.argv[1:]
    pages = [Page(path) for path in sorted(headers)]
    rules = rules_of(next(page for page in pages if page.header == "base.h"))
    problems = [problem for page in pages for problem in page.problems]
    if problems:
        print("\n".join(problems), file=sys.stderr)
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    for page in pages:
        write(folder, page.name, page.text(version, rules, pages))
        for function in page.functions:
            write(folder, function, f".so man3/{page.name}.3\n")
    return 0


sys.exit(main())
