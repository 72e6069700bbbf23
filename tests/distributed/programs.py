#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The programs on several ranks give the files of one process, and end together when one of them fails:

    programs.py TEST PROGRAM MPIEXEC NUMBER_FLAG

TEST is the name of a function below; the settings of MPI come in the environment.
"""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SWEEP = ["--experiment", "drift", "--experiment", "interpolation", "--experiment", "theory", "--quick", "--seed", "3"]
# The rank of a process, whichever MPI has started it.
RANK = "${OMPI_COMM_WORLD_RANK:-$PMI_RANK}"


def ranks(count, *command):
    return [MPIEXEC, NUMBER_FLAG, str(count), *map(str, command)]


def run(command, seconds=240, **settings):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=seconds, **settings)


def expect_success(command):
    done = run(command)
    assert done.returncode == 0, (command, done.returncode, done.stderr)
    return done


def expect_failure(command, *words, seconds=30):
    begin = time.monotonic()
    done = run(command, seconds=seconds)
    assert done.returncode != 0, (command, done.stdout)
    for word in words:
        assert word in done.stderr, (word, done.stderr)
    assert time.monotonic() - begin < seconds
    return done


def without_seconds(value):
    if isinstance(value, dict):
        return {name: without_seconds(member) for name, member in value.items() if name != "seconds"}
    return [without_seconds(member) for member in value] if isinstance(value, list) else value


def files(folder):
    """Contents by name; of summary.json all but times."""
    found = {}
    for file in sorted(folder.iterdir()):
        if file.name.startswith("."):
            continue
        found[file.name] = file.read_bytes()
        if file.name == "summary.json":
            found[file.name] = json.dumps(without_seconds(json.loads(found[file.name])))
    return found


def expect_same_files(one, other):
    a, b = files(one), files(other)
    assert a.keys() == b.keys(), (sorted(a), sorted(b))
    different = [name for name in a if a[name] != b[name]]
    assert not different, different


def by_rank(*commands):
    """A command for each rank in place of one for all, the last one for those that are left."""
    script = "".join(f'if [ {RANK} = {rank} ]; then exec {command}; fi\n' for rank, command in enumerate(commands[:-1]))
    return ["sh", "-c", script + f"exec {commands[-1]}"]


def sweep(folder):
    expect_success([PROGRAM, *SWEEP, "--out", folder / "one"])
    for count in (2, 3):
        done = expect_success(ranks(count, PROGRAM, *SWEEP, "--out", folder / str(count)))
        expect_same_files(folder / "one", folder / str(count))
        assert done.stdout.count("Report: ") == 1, done.stdout
        assert not (folder / str(count) / ".checkpoints").exists()
    expect_success(ranks(2, PROGRAM, *SWEEP, "--out", folder / "threads", "--threads", 2))
    expect_same_files(folder / "one", folder / "threads")


def killed(folder):
    """A rank that is killed ends all; what was done is taken up by another number of ranks."""
    out = folder / "out"
    mark = "gdssm-killed-" + str(os.getpid())
    started = subprocess.Popen(ranks(3, "env", "MARK=" + mark, PROGRAM, *SWEEP, "--checkpoint-every", 0.2, "--out", out),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ours():
        found = []
        for process in Path("/proc").iterdir():
            try:
                if process.name.isdigit() and mark in (process / "environ").read_text(errors="replace") and \
                        os.readlink(process / "exe") == os.path.realpath(PROGRAM):
                    found.append(int(process.name))
            except OSError:
                pass
        return found

    deadline = time.monotonic() + 60
    while len(list(out.glob(".checkpoints/*/*.safetensors"))) < 2 and time.monotonic() < deadline:
        assert started.poll() is None, started.communicate()
        time.sleep(0.05)
    victims = sorted(ours())
    assert len(victims) == 3, victims
    os.kill(victims[-1], signal.SIGKILL)
    begin = time.monotonic()
    _, errors = started.communicate(timeout=30)
    assert time.monotonic() - begin < 10
    assert started.returncode != 0 and errors, (started.returncode, errors)
    assert not ours()
    assert not files(out), files(out).keys()
    expect_success(ranks(2, PROGRAM, *SWEEP, "--resume", "--out", out))
    expect_success([PROGRAM, *SWEEP, "--out", folder / "one"])
    expect_same_files(folder / "one", out)
    assert not [name for name in os.listdir(out) if name.endswith(".tmp")]


def disagreeing(folder):
    """Ranks with other options or another program are found out before anything is written."""
    out = folder / "out"
    command = f"{PROGRAM} --experiment theory --quick --out {out} --seed "
    expect_failure(ranks(2, *by_rank(command + "3", command + "4")), "rank 1: --seed is 4, expected 3 as on rank 0")
    other = folder / "reproduce"
    shutil.copy(PROGRAM, other)
    with open(other, "ab") as program:
        program.write(b"\0")
    command = f"--experiment theory --quick --out {out}"
    expect_failure(ranks(2, *by_rank(f"{PROGRAM} {command}", f"{other} {command}")), "rank 1: program is ")
    assert not out.exists()
    expect_failure(ranks(2, PROGRAM, *SWEEP, "--out", "/proc/none"), "rank 0: /proc/none: cannot create the folder")


def table(file, rows, first=0):
    draw = random.Random(5)
    with open(file, "w") as out:
        out.write("a,b,c,y\n")
        for row in range(first + rows):
            x = [draw.uniform(-1, 1) for _ in range(3)]
            y = 2 * x[0] - x[1] + 0.5 * x[2] + draw.gauss(0, 0.1)
            if row >= first:
                out.write(",".join(f"{value:.6f}" for value in (*x, y)) + "\n")


def fit(folder):
    table(folder / "big.csv", 40000)
    table(folder / "more.csv", 5000, 40000)
    common = ["--fit", folder / "big.csv", folder / "more.csv", "--learner", "ridge"]
    expect_success([PROGRAM, *common, "--state", folder / "one"])
    for count in (1, 2, 3, 5):
        expect_success(ranks(count, PROGRAM, *common, "--state", folder / str(count), "--threads", 1 + count % 2))
        assert (folder / str(count)).read_bytes() == (folder / "one").read_bytes(), count

    table(folder / "all.csv", 45000)
    table(folder / "new.csv", 50, 45000)
    expect_success([PROGRAM, folder / "all.csv", "--learner", "ridge", "--state", folder / "pass", "--out", folder / "o"])
    predictions = []
    for state in ("one", "pass"):
        lines = expect_success([PROGRAM, folder / "new.csv", "--state", folder / state]).stdout.splitlines()[1:]
        predictions.append([float(line.split(",")[1]) for line in lines])
    assert len(predictions[0]) == 50
    assert all(abs(a - b) < 1e-9 for a, b in zip(*predictions)), predictions


def fit_refused(folder):
    table(folder / "big.csv", 20000)
    state = folder / "state"
    common = ["--fit", folder / "big.csv", "--state", state]
    expect_failure([PROGRAM, *common], "states of the learner default do not merge exactly, expected one of ridge, ")
    ridge = ["--learner", "ridge"]
    expect_failure(ranks(2, PROGRAM, "--fit", folder / "none.csv", "--state", state, *ridge), "none.csv: cannot open")
    command = f"{PROGRAM} --learner ridge --state {state} --fit "
    expect_failure(ranks(3, *by_rank(command + str(folder / "big.csv"), command + str(folder / "none.csv"),
                                     command + str(folder / "big.csv"))), "error: rank 1: ", "none.csv: cannot open")
    table(folder / "other.csv", 20001)
    expect_failure(ranks(2, *by_rank(command + str(folder / "big.csv"), command + str(folder / "other.csv"))),
                   "rank 1: ")
    lines = (folder / "big.csv").read_text().splitlines()
    lines[17000] = "1,2,oops,4"
    (folder / "text.csv").write_text("\n".join(lines) + "\n")
    expect_failure(ranks(2, PROGRAM, "--fit", folder / "text.csv", "--state", state, *ridge), "column 'c' has text")
    lines[17000] = "1,2,3"
    (folder / "short.csv").write_text("\n".join(lines) + "\n")
    expect_failure(ranks(2, PROGRAM, "--fit", folder / "short.csv", "--state", state, *ridge),
                   "short.csv:17001: got 3 cells, expected 4")
    assert not state.exists()
    assert not [name for name in os.listdir(folder) if name.endswith(".tmp")]
    state.write_text("kept")
    expect_failure(ranks(2, PROGRAM, *common, *ridge), "is there already")
    assert state.read_text() == "kept"


if __name__ == "__main__":
    TEST, PROGRAM, MPIEXEC, NUMBER_FLAG = sys.argv[1:5]
    with tempfile.TemporaryDirectory() as scratch:
        globals()[TEST](Path(scratch))
