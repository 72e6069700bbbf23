#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether the tests would notice: puts faults into copies of the headers, one at a time, and runs the tests.

    run.py [--faults N] [--seed S] [--build DIR] [--jobs N] [folder...]

Faults are drawn by rule and seed from the bodies of functions: another operator, another constant, a sign, a statement
or half of a condition left out. Each becomes a switch (faults.hpp), so that one build of a folder's tests serves all.
Every test case is first run without a fault, which tells by which switches it comes; then every fault is put in while
the cases that come by it run, the quickest first, until one fails, crashes or takes ten times as long. A fault that does
not compile is dropped, one of equivalent.txt does not count. The exit status says whether 95 % were noticed.
"""

import argparse
import collections
import concurrent.futures
import hashlib
import os
import pathlib
import re
import resource
import shlex
import shutil
import subprocess
import sys
import time

from draw import faults_of

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OPTIMISED = {"algorithms", "analysis", "construction", "numerics"}  # as in tests/CMakeLists.txt
FOLDERS = ("core blocks recurrences training io tasks algorithms baselines construction models learners numerics "
           "analysis").split()
LEAST_NOTICED = 0.95


def asked(*question):
    """What pkg-config says, in words; none if it knows nothing."""
    if not shutil.which("pkg-config"):
        return []
    said = subprocess.run(["pkg-config", *question], capture_output=True, text=True)
    return [] if said.returncode else shlex.split(said.stdout)


class Run:
    """The headers with switches, what compiles of them, and which faults were noticed."""

    def __init__(self, options):
        self.options, self.scratch = options, pathlib.Path(options.build).resolve()
        self.headers = {str(p.relative_to(ROOT / "include")): p.read_text()
                        for p in sorted((ROOT / "include/gdssm").rglob("*.hpp"))}
        every, times = {}, collections.Counter()
        for file, text in self.headers.items():
            for fault in faults_of(file, text):
                key = f"{options.seed} {file} {fault.original} {fault.faulty}"
                times[key] += 1
                every[hashlib.sha256(f"{key} {times[key]}".encode()).digest()] = fault
        taken, self.faults = set(), {}
        for _, fault in sorted(every.items(), key=lambda item: item[0]):  # so that changed code draws few others
            if len(self.faults) == options.faults:
                break
            places = {(fault.file, edit[:2]) for edit in fault.edits if edit[0] < edit[1]}
            if not places & taken:  # no two replace the same text
                taken |= places
                self.faults[len(self.faults) + 1] = fault
        self.total, self.noticed, self.reached = len(every), {}, set()
        self.compiler = shlex.split(os.environ.get("CXX", "g++"))

    def write_headers(self):
        for file, text in self.headers.items():
            edits = []
            for number, fault in self.faults.items():
                if fault.file == file:
                    span = (fault.edits[0][0], fault.edits[-1][1])
                    for start, end, new in fault.edits:
                        rank = 2 if start < end else 0 if new.startswith(")") else 1  # the inner closes first
                        edits.append(((start, rank, -span[rank]) if rank < 2 else (start, rank, 0), start, end,
                                      new.replace("@", str(number))))
            for _, start, end, new in sorted(edits, reverse=True):
                text = text[:start] + new + text[end:]
            path = self.scratch / "include" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_text() != text:
                path.write_text(text)

    def compile(self, source, arguments):
        """Compiles, dropping the faults that keep it from doing so, and returns what the compiler prints."""
        command = self.compiler + [
            "-std=c++20", "-w", "-include", str(HERE / "faults.hpp"), "-I", str(self.scratch / "include"), "-I",
            str(ROOT / "tests"), f"-DGDSSM_GOLDEN_DIR=\"{ROOT}/tests/golden\"", "-D_GLIBCXX_ASSERTIONS",
            *(asked("--cflags", "eigen3") or ["-I/usr/include/eigen3"]), str(source), *arguments]
        for _ in range(40):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode == 0:
                return done.stdout
            bad, since = set(), []
            for line in done.stderr.splitlines():  # what led to an error stands before it
                since.append(line)
                if ": error:" not in line:
                    continue
                for near, told in [(0, x) for x in [line, *reversed(since)]] + [(2, x) for x in reversed(since)]:
                    match = re.search(r"include/(gdssm/[\w/]+\.hpp):(\d+)", told)
                    hit = match and {n for n, f in self.faults.items() if f.file == match[1]
                                     and f.first - near <= int(match[2]) <= f.last + near}
                    if hit:
                        bad |= hit
                        break
                since = []
            if not bad:
                sys.exit(f"{source} does not compile, for no fault:\n{done.stderr[:4000]}")
            for number in bad:
                del self.faults[number]
            self.write_headers()
        sys.exit(f"{source} does not compile")

    def build(self, folder):
        """The test program of a folder."""
        out = self.scratch / folder
        out.mkdir(parents=True, exist_ok=True)
        sources = sorted((ROOT / "tests" / folder).glob("*.cpp"))
        catch = asked("--libs", "catch2-with-main")  # 3 has it, 2.13 is a header
        sources += [] if catch else [ROOT / "tests/support/main.cpp"]
        if any("no_heap.hpp" in file.read_text() for file in (ROOT / "tests" / folder).glob("*.?pp")):
            sources.append(ROOT / "tests/support/no_heap.cpp")
        objects = [str(out / (source.stem + ".o")) for source in sources] + [str(out / "switch.o")]
        level = "-O1" if folder in OPTIMISED else "-O0"
        for source, target in zip(sources, objects):
            self.compile(source, [level, "-c", "-o", target])
        plain = [*self.compiler, "-O1", f"-DGDSSM_FAULTS={self.options.faults}", "-c", str(HERE / "switch.cpp")]
        subprocess.run([*plain, "-o", objects[-1]], check=True)
        subprocess.run([*self.compiler, *objects, *catch, "-pthread", "-o", str(out / "program")], check=True)
        return out / "program"

    def execute(self, program, case, limit, number=0, told=None):
        """Whether a test case passes, and the seconds it took."""
        environment = dict(os.environ, GDSSM_FAULT=str(number), TMPDIR=str(self.scratch / "temporary"))
        if told:
            environment["GDSSM_REACHED"] = str(told)

        def least():  # memory for a test, none for what a fault may ask for
            resource.setrlimit(resource.RLIMIT_AS, (1 << 32, 1 << 32))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

        name = re.sub(r"([\\,\[\]\"*~])", r"\\\1", case)
        begin = time.monotonic()
        try:
            code = subprocess.run([program, name, "--abort", "--warn", "NoAssertions"], env=environment, timeout=limit,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  preexec_fn=least).returncode
        except subprocess.TimeoutExpired:
            code = -1
        return code == 0, time.monotonic() - begin

    def cases(self, program):
        """Test cases that pass without a fault: name, seconds, switches."""
        for listing in (["--list-test-names-only"], ["--list-tests", "--verbosity", "quiet"]):
            listed = subprocess.run([program, *listing], capture_output=True, text=True).stdout
            names = [line.strip() for line in listed.splitlines() if line.strip()]
            if names:
                break
        told, found = self.scratch / "reached", []
        for name in names:
            told.unlink(missing_ok=True)
            passes, seconds = self.execute(program, name, 600, told=told)
            if passes and told.exists():
                found.append((seconds, name, set(map(int, told.read_text().split())) & set(self.faults)))
            else:
                print(f"left out, for it fails with the switches: {name}", flush=True)
        return sorted(found, key=lambda case: case[0])

    def judge(self, folder):
        """Runs the faults that a folder's program comes by and that no program has noticed before."""
        program = self.build(folder)
        cases = self.cases(program)
        reached = set().union(*(case[2] for case in cases))
        self.reached |= reached

        def noticed_by(number):
            for seconds, name, by in cases:
                if number in by and not self.execute(program, name, 5 + 10 * seconds, number)[0]:
                    return name
            return None

        to_run = sorted(reached - set(self.noticed))
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            found = dict(zip(to_run, pool.map(noticed_by, to_run)))
        self.noticed.update({number: f"{folder}: {name}" for number, name in found.items() if name})
        return len(to_run), sum(1 for name in found.values() if name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--build", default=str(ROOT / "build/mutation"))
    parser.add_argument("--jobs", type=int, default=int(os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", "1")))
    parser.add_argument("--list", action="store_true", help="print the faults and stop")
    parser.add_argument("folders", nargs="*", metavar="folder", help="of tests/; all")
    options = parser.parse_args()
    run = Run(options)
    if options.list:
        for number, fault in run.faults.items():
            print(f"{number} {fault.file}:{fault.first}: {fault.original} -> {fault.faulty}")
        return 0
    (run.scratch / "temporary").mkdir(parents=True, exist_ok=True)
    run.write_headers()
    drawn = len(run.faults)
    everything = run.scratch / "everything.cpp"
    everything.write_text("".join(f'#include "{file}"\n' for file in run.headers))
    run.compile(everything, ["-fsyntax-only"])
    seen = set(map(int, re.findall(r"\bfaults::\w+[({](\d+)", run.compile(everything, ["-E", "-P"]))))
    run.faults = {number: fault for number, fault in run.faults.items() if number in seen}  # not another machine's code
    run.write_headers()
    folders = options.folders or FOLDERS
    table = []
    for folder in folders:
        begin = time.monotonic()
        table.append((folder, *run.judge(folder)))
        print(f"{folder}: {table[-1][1]} faults, {table[-1][2]} noticed ({time.monotonic() - begin:.0f} s)", flush=True)

    known = {}
    for line in (HERE / "equivalent.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            file, original, faulty, why = line.split("  |  ")
            known[file, original, faulty] = why
    # Of a run of some folders, only what their programs come by.
    counted = {n: f for n, f in run.faults.items() if not options.folders or n in run.reached}
    survivors = {n: f for n, f in counted.items() if n not in run.noticed}
    equivalent = {n for n, f in survivors.items() if (f.file, f.original, f.faulty) in known}
    print(f"\n{'folder':<14}{'faults':>8}{'noticed':>9}")
    for folder, faults, noticed in table:
        print(f"{folder:<14}{faults:>8}{noticed:>9}")
    answers = len(counted) - len(equivalent)
    share = 1 - (len(survivors) - len(equivalent)) / max(1, answers)
    print(f"\n{len(run.faults)} faults of {drawn} drawn compile, of {run.total} that there are; {len(counted)} count here, "
          f"{len(equivalent)} change no answer, {len(survivors) - len(equivalent)} survive: {100 * share:.1f} % noticed\n")
    for number, fault in sorted(survivors.items(), key=lambda item: item[1][:2]):
        if number not in equivalent:
            there = "" if number in run.reached else " (no test comes by)"
            print(f"{fault.file}:{fault.first}: {fault.original} -> {fault.faulty}{there}")
    return 0 if share >= LEAST_NOTICED else 1


if __name__ == "__main__":
    sys.exit(main())
