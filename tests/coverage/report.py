#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lines and branches of the headers that the tests have run, folder by folder, and the lines that none has.

A line counts as run when any instantiation of its template ran it, a way of a branch as taken when any took it. What
no test instantiates has no lines here, and headers without any are named; branches that the compiler decides do not
count. Fails below --least per cent of lines.
"""
import argparse
import collections
import json
import pathlib
import subprocess
import sys


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profdata", required=True, help="llvm-profdata")
    parser.add_argument("--cov", required=True, help="llvm-cov")
    parser.add_argument("--profiles", required=True, type=pathlib.Path, help="folder of the *.profraw files")
    parser.add_argument("--include", required=True, type=pathlib.Path, help="folder of the headers")
    parser.add_argument("--least", type=float, default=95, help="per cent of lines")
    parser.add_argument("programs", nargs="+", help="the tests' executables")
    options = parser.parse_args()

    profiles = sorted(options.profiles.glob("*.profraw"))
    if not profiles:
        sys.exit(f"error: {options.profiles}: no profiles, expected those of the tests")
    merged = options.profiles / "tests.profdata"
    subprocess.run([options.profdata, "merge", "--sparse", "-o", merged, *profiles], check=True)

    # One program at a time, and from its instantiations the largest count of every line and way of a branch.
    include = options.include.resolve()
    lines, branches = collections.defaultdict(dict), collections.defaultdict(dict)

    def header_of(name):
        path = pathlib.Path(name).resolve()
        return path.relative_to(include) if path.is_relative_to(include) else None

    for program in options.programs:
        def exported(*arguments):
            return subprocess.run([options.cov, "export", f"--instr-profile={merged}", *arguments, program],
                                  check=True, capture_output=True, text=True).stdout

        header = None
        for record in exported("--format=lcov").splitlines():
            kind, _, value = record.partition(":")
            if kind == "SF":
                header = header_of(value)
            elif kind == "DA" and header:
                line, count = map(int, value.split(",")[:2])
                lines[header][line] = max(count, lines[header].get(line, 0))
        for file in json.loads(exported("--skip-functions"))["data"][0]["files"]:
            header = header_of(file["filename"])
            for *place, if_true, if_false, _, _, _ in file["branches"] if header else []:
                for way, count in enumerate((if_true, if_false)):
                    key = (*place, way)
                    branches[header][key] = max(count, branches[header].get(key, 0))

    # Where a line was run and neither way was counted, the compiler has decided the branch (if constexpr).
    for header, ways in branches.items():
        decided = [key for key in ways if lines[header].get(key[0]) and not ways[(*key[:4], 0)] and not ways[(*key[:4], 1)]]
        for key in decided:
            del ways[key]

    headers = sorted(path.relative_to(include) for path in include.rglob("*.hpp"))
    for header in headers:
        missed = sorted(line for line, count in lines[header].items() if count == 0)
        if missed:
            print(f"{header}: not run: {stretches(missed)}")
    empty = [str(header) for header in headers if not lines[header]]
    if empty:
        print("nothing to run in", ", ".join(empty))

    if not any(lines[header] for header in headers):
        sys.exit(f"error: {options.include}: no line of a header here is in the tests, expected the folder of the headers")

    folders = collections.defaultdict(list)
    for header in headers:
        folders[str(header.parent)].append(header)
    print(f"\n{'':32}{'lines':>8}{'run':>8}{'branches':>10}{'taken':>8}")
    for folder, members in [*sorted(folders.items()), ("all", headers)]:
        of = [count for header in members for count in lines[header].values()]
        ways = [count for header in members for count in branches[header].values()]
        print(f"{folder:32}{len(of):8}{share(of):7.1f}%{len(ways):10}{share(ways):7.1f}%")
    if share(of) < options.least:
        sys.exit(f"error: {share(of):.1f} % of the lines have been run, expected at least {options.least:g} %")


def share(counts):
    return 100 * sum(count > 0 for count in counts) / len(counts) if counts else 100.0


def stretches(numbers):
    """3, 5-7 for 3, 5, 6, 7."""
    parts = []
    for number in numbers:
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


if __name__ == "__main__":
    main()
