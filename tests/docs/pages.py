#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What pages and doc comments say of one another is true:  pages.py CHECK  [ROOT]

arrows     headers include only the folders that the table in CONTRIBUTING.md lets them, which all stand above theirs,
           outside io/ no other library but Eigen (MPI in distributed/), and core/requirements.hpp, if by way of others
equations  every number of an equation that a header, a program, a test or a page cites has its equation in
           docs/theory.md or docs/baselines.md, numbers are given once, and headers cite every one
labels     labels of doc comments (Shapes, Errors, ...) begin a line or stand after a gap and before one: else they are no
           labels to the reference, as where a formatter has joined lines
links      every link of a page leads to a file of the repository, and to a heading of it
tutorial   the programs in docs/tutorial.md are those of docs/tutorial/, which are compiled and run
"""
import re
import sys
from pathlib import Path

CITED = re.compile(r"(?<![\w)\]}>])\((\d{1,2}[a-e]?|B\d{1,2}[a-e]?)\)")


def without_code(page):
    """A page without its fenced blocks; code between backticks and formulas stay."""
    return re.sub(r"^ *```.*?^ *```$", "", page, flags=re.M | re.S)


def comments(source):
    return "\n".join(re.findall(r"//(.*)", source))


def pages(root):
    return [p for p in sorted(root.rglob("*.md")) if not {"build", "results"} & set(p.relative_to(root).parts)]


def equations(root):
    numbers = {}
    wrong = []
    for name in ("docs/theory.md", "docs/baselines.md"):
        text = (root / name).read_text(encoding="utf-8")
        for number in re.findall(r"\\tag\{([^}]*)\}", text) + re.findall(r"\| \((B\d+)\) \|$", text, re.M):
            if number in numbers:
                wrong.append(f"{name}: equation ({number}) is there twice, first in {numbers[number]}")
            numbers[number] = name
    cited_by_headers = set()
    sources = [p for folder in ("include", "examples", "tests", "bench", "docs") for p in (root / folder).rglob("*.?pp")]
    for file in sorted(sources) + pages(root):
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".md":
            text = re.sub(r"`[^`\n]*`|\$[^$]*\$", "", without_code(text))
        else:
            text = comments(text)
        for number in CITED.findall(text):
            if number not in numbers:
                wrong.append(f"{file.relative_to(root)}: cites ({number}), expected an equation of docs/theory.md")
            elif file.suffix == ".hpp" and "include" in file.relative_to(root).parts:
                cited_by_headers.add(number)
        for first, last in re.findall(r"\((\d{1,2}[a-e]?)\)-\((\d{1,2}[a-e]?)\)", text):
            names = list(numbers)
            if file.suffix == ".hpp" and first in names and last in names:
                cited_by_headers.update(names[names.index(first):names.index(last) + 1])
    for number in numbers:
        if number not in cited_by_headers:
            wrong.append(f"{numbers[number]}: no header cites equation ({number})")
    if len(numbers) < 40:
        wrong.append(f"only {len(numbers)} equations were found")
    return wrong


def anchors(page):
    found = {}
    for heading in re.findall(r"^#+ (.*)$", without_code(page), re.M):
        name = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        found[name] = found.get(name, 0) + 1
    return found


def links(root):
    wrong, count = [], 0
    for page in pages(root):
        text = re.sub(r"`[^`\n]*`|\$[^$\n]*\$", "", without_code(page.read_text(encoding="utf-8")))
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" in link:
                continue
            count += 1
            path, _, fragment = link.partition("#")
            file = (page.parent / path).resolve() if path else page
            where = f"{page.relative_to(root)}: the link {link}"
            if not file.exists():
                wrong.append(f"{where} leads nowhere")
            elif fragment and anchors(file.read_text(encoding="utf-8")).get(fragment) != 1:
                wrong.append(f"{where} leads to no heading, or to several")
    if count < 50:
        wrong.append(f"only {count} links were found")
    return wrong


def labels(root):
    label = r"(Shapes|Units|Errors|Sources?|VJP|Derivatives?)"
    lost = re.compile(rf"//.*[^\s/] {label}  |//.*\S\s+{label}\s*$")
    wrong = []
    for header in sorted((root / "include").rglob("*.hpp")):
        for number, line in enumerate(header.read_text(encoding="utf-8").splitlines(), 1):
            if lost.search(line):
                wrong.append(f"{header.relative_to(root)}:{number}: a label that is none: {line.strip()}")
    return wrong


def tutorial(root):
    page = root / "docs/tutorial.md"
    blocks = re.findall(r"^```cpp\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)
    steps = sorted((root / "docs/tutorial").glob("step_*.cpp"))
    wrong = [] if len(blocks) == len(steps) == 5 else [f"{len(blocks)} blocks of C++, {len(steps)} programs, expected 5"]
    for number, (block, step) in enumerate(zip(blocks, steps), 1):
        program = "".join(line for line in step.read_text(encoding="utf-8").splitlines(True)[2:])
        if block != program:
            wrong.append(f"{page.relative_to(root)}: block {number} is not {step.relative_to(root)} below its head")
    page = (root / "docs/recurrences.md").read_text(encoding="utf-8")
    program = "".join((root / "examples/gated_delta_net.cpp").read_text(encoding="utf-8").splitlines(True)[2:])
    if f"```cpp\n{program}```" not in page:
        wrong.append("docs/recurrences.md: no block is examples/gated_delta_net.cpp below its head")
    return wrong


# Headers that do not include core/requirements.hpp, and count as if they did.
UNCHECKED = {"blocks/discretization.hpp", "core/view.hpp"}


def arrows(root):
    page = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = re.search(r"^\| folder of include/gdssm .*\n\|[-|]*\n((?:\|.*\n)+)", page, re.M)
    if not table:
        return ["CONTRIBUTING.md: the table of folders is not there"]
    wrong, allowed = [], {}
    for row in table[1].splitlines():
        folder, _, names = (cell.strip() for cell in row.strip("|").split("|"))
        allowed[folder] = [name.strip() for name in names.split(",") if name.strip()]
        for name in allowed[folder]:
            if name not in allowed or name == folder:
                wrong.append(f"CONTRIBUTING.md: {folder} may include {name}, which does not stand above it")

    top = root / "include/gdssm"
    includes = {}
    for header in sorted(top.rglob("*.hpp")):
        name = header.relative_to(top).as_posix()
        text = header.read_text(encoding="utf-8")
        includes[name] = re.findall(r'^#include "gdssm/(.+)"', text, re.M)
        folder = name.rpartition("/")[0]
        if not folder:
            continue
        if folder not in allowed:
            wrong.append(f"CONTRIBUTING.md: no row for the folder of include/gdssm/{name}")
            continue
        for other in includes[name]:
            if other.rpartition("/")[0] not in [folder, *allowed[folder]]:
                wrong.append(f"include/gdssm/{name}: includes {other}, expected {', '.join([folder, *allowed[folder]])}")
        for library in re.findall(r"^#include <(.+)>", text, re.M):
            if library == "mpi.h" and folder == "distributed":
                continue
            if folder != "io" and re.search(r"[/.]", library) and not library.startswith("Eigen/"):
                wrong.append(f"include/gdssm/{name}: includes <{library}>, expected Eigen and the standard library alone")

    reach = {"core/requirements.hpp"} | UNCHECKED
    while grown := {name for name in includes if name not in reach and reach & set(includes[name])}:
        reach |= grown
    for name in includes:
        if name not in reach:
            wrong.append(f"include/gdssm/{name}: includes no header that leads to core/requirements.hpp")
    if sum(map(len, includes.values())) < 300:
        wrong.append("fewer than 300 includes were found")
    return wrong


def main():
    checks = {"arrows": arrows, "equations": equations, "labels": labels, "links": links, "tutorial": tutorial}
    if len(sys.argv) < 2 or sys.argv[1] not in checks:
        sys.exit(__doc__)
    root = Path(sys.argv[2] if len(sys.argv) > 2 else Path(__file__).parents[2]).resolve()
    wrong = checks[sys.argv[1]](root)
    for line in wrong:
        print("error:", line)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
