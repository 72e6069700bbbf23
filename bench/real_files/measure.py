# SPDX-License-Identifier: Apache-2.0
"""Runs `predict` on the tables of data packages: as they ship, beside an encoding by hand and other online learners.

    measure.py PREDICT [--work DIR] [--every N] [--half A|B] [--most-rows ROWS] [--accept] [--peers] [--causality N]
    measure.py PREDICT --yardstick OTHER_PREDICT
"""

import argparse
import csv
import json
import math
import re
import signal
import subprocess
import tempfile
import zlib
from collections import defaultdict
from pathlib import Path
from resource import RLIMIT_CPU, setrlimit

import numpy as np

import peers
import tables
from peers import BURN_IN
from tables import MISSING, Table, to_number

TIME_LIMIT = 60  # seconds of processor time a file


def run(program, file, target, out, *options):
    """predict FILE --target TARGET --out OUT: status and last line of the error, or what the summary says."""
    summary = out.with_suffix(".json")
    for left in (out, summary):
        left.unlink(missing_ok=True)
    command = [program, str(file), "--target", target, "--out", str(out), "--summary", str(summary), *options]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace",
                          preexec_fn=lambda: setrlimit(RLIMIT_CPU, (TIME_LIMIT, TIME_LIMIT + 5)))
    if done.returncode == -signal.SIGXCPU:
        return {"reason": f"takes more than {TIME_LIMIT} s"}
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        return {"reason": said[-1] if said else f"ends with status {done.returncode}"}
    return {"notices": done.stderr.strip(), **json.loads(summary.read_text())}


def coverage(out):
    """Share of the targets inside their intervals, after the first ten, and how many these are."""
    with open(out, newline="") as file:
        known = [row for row in csv.DictReader(file) if row["target"] not in MISSING][BURN_IN:]
    inside = [float(row["low"]) <= float(row["target"]) <= float(row["high"])
              for row in known if row["low"] not in MISSING]
    return (sum(inside) / len(inside) if inside else None), len(inside)


def half_of(known):
    """A or B, by what the table holds, so that copies of a table are in the same half."""
    return "AB"[zlib.crc32(Path(known["plain"]).read_bytes()) % 2]


def kind_of(reason):
    """A refusal without the names and numbers of its file."""
    reason = re.sub(r"^error: .*?:(\d+: )? ?", "", reason)
    reason = re.sub(r"expected one of .*", "expected one of ...", reason)
    reason = re.sub(r"'[^']*'|\"[^\"]*\"", "'...'", reason)
    return re.sub(r"\d+", "N", reason)[:160]


def measure_files(program, files, folder):
    results = {}
    for name, known in files.items():
        shipped, plain = folder / "shipped.csv", folder / "plain.csv"
        result = {"shipped": run(program, known["path"], known["target"], shipped)}
        if "reason" not in result["shipped"]:
            result["coverage"], result["covered"] = coverage(shipped)
        result["by hand"] = run(program, known["plain"], "y", plain)
        results[name] = result
    return results


def accept_files(program, files, folder):
    """Only whether each file is taken, with a learner that costs little."""
    out = folder / "shipped.csv"
    return {name: {"shipped": run(program, known["path"], known["target"], out, "--learner", "mean")}
            for name, known in files.items()}


def ratio(a, b, deviation):
    """a / b, both raised by a thousandth of the target's deviation: below that a target is known exactly."""
    least = 1e-3 * deviation
    return (a + least) / (b + least)


def geometric_mean(ratios):
    return math.exp(np.mean(np.log(ratios))) if len(ratios) else math.nan


def report_accepted(results):
    """Markdown to standard output; the names of the files that are accepted."""
    accepted = [name for name, r in results.items() if "reason" not in r["shipped"]]
    print(f"\n{len(accepted)} of {len(results)} files are accepted, {len(accepted) / len(results):.1%}. The others:\n")
    reasons = defaultdict(list)
    for name, r in results.items():
        if "reason" in r["shipped"]:
            reasons[kind_of(r["shipped"]["reason"])].append(name)
    for reason, names in sorted(reasons.items(), key=lambda item: -len(item[1])):
        print(f"- {len(names)}: {reason} ({', '.join(names[:3])})")
    return accepted


def report(files, results, by_peer):
    """Markdown to standard output."""
    accepted, ratios = report_accepted(results), {}
    for name in accepted:
        a, b = results[name]["shipped"].get("rmse"), results[name]["by hand"].get("rmse")
        if a is not None and b is not None:
            ratios[name] = ratio(a, b, files[name]["deviation"])
    values = list(ratios.values())
    if values:
        print(f"\nRMSE as shipped / by hand, {len(values)} files: geometric mean {geometric_mean(values):.4f}; "
              f"above 1.02: {sum(v > 1.02 for v in values)}, above 1.15: {sum(v > 1.15 for v in values)}; "
              f"below 0.98: {sum(v < 0.98 for v in values)}, below 1/1.15: {sum(v < 1 / 1.15 for v in values)}\n")
        for name in sorted(ratios, key=ratios.get, reverse=True)[:25]:
            known = files[name]
            print(f"- {ratios[name]:.3f} {name}, target {known['target']}, {known['rows']} rows, {known['kinds']}")
    shares = [r["coverage"] for r in results.values() if r.get("covered", 0) >= 300 - BURN_IN]
    if shares:
        print(f"\n95 % intervals on {len(shares)} files of 300 rows or more: {np.mean(shares):.1%} of targets inside "
              f"({min(shares):.1%} to {max(shares):.1%}; {sum(0.93 <= s <= 0.97 for s in shares)} files in 93 to 97 %)")
    print("\n| peer | files | peer's RMSE / ours, geometric mean | median | ours better on |\n|---|---|---|---|---|")
    for peer in peers.ROWS:
        values = [ratio(by_peer[name][peer]["rmse"], results[name]["shipped"]["rmse"], files[name]["deviation"])
                  for name in accepted if by_peer.get(name, {}).get(peer, {}).get("rmse") is not None
                  and results[name]["shipped"].get("rmse") is not None]
        if values:
            print(f"| {peer} | {len(values)} | {geometric_mean(values):.3f} | {np.median(values):.3f} "
                  f"| {np.mean(np.array(values) > 1):.0%} |")


def changed_tables(rows, late):
    """Ways in which a file may go on otherwise from row `late` on: a name, and the rows."""
    def with_row(cells):
        return [*rows[:late], cells, *rows[late + 1:]]

    yield "ends earlier", rows[:late]
    yield "another row's cells", with_row(rows[late // 2])
    kept = [cell.strip() in MISSING or to_number(cell) is not None for cell in rows[late]]
    yield "unseen words", with_row([cell if keep else "zyx" for cell, keep in zip(rows[late], kept)])
    yield "missing cells", with_row(["" for _ in rows[late]])


def check_causality(program, files, results, count, folder):
    """Changes a late row; all predictions before it must stay the same bytes."""
    names = [name for name in files if "reason" not in results[name]["shipped"] and 30 <= files[name]["rows"] <= 5000]
    tally = defaultdict(lambda: defaultdict(list))
    for name in names[:: max(1, len(names) // count)]:
        known = files[name]
        table = Table(Path(known["path"]))
        rows, late = table.rows, len(table.rows) * 4 // 5

        def predictions(rows):
            file, out = folder / "changed.csv", folder / "out.csv"
            with open(file, "w", newline="") as stream:
                csv.writer(stream, delimiter=table.separator).writerows([table.names, *rows])
            said = run(program, file, known["target"], out)
            return said.get("reason") or out.read_bytes().splitlines()[: late + 1]

        before = predictions(rows)
        for change, other in changed_tables(rows, late):
            after = predictions(other)
            outcome = "the same" if after == before else "refused" if isinstance(after, str) else "different"
            tally[change][outcome].append(name)
    print("\n| a late row changed to | predictions before it |\n|---|---|")
    for change, outcomes in tally.items():
        said = "; ".join(f"{len(names)} {outcome}" + ("" if outcome == "the same" else f" ({', '.join(names[:3])})")
                         for outcome, names in outcomes.items())
        print(f"| {change} | {said} |")


def compare_time(program, yardstick, folder, rows=20000, repeats=7):
    """Least time a row on numbers alone, of two builds in turn."""
    print("\n| inputs | µs a row | yardstick | ratio |\n|---|---|---|---|")
    random = np.random.default_rng(1)
    for inputs in (1, 10, 30):
        n = rows * 10 // (10 + inputs * inputs // 10)
        x = random.normal(size=(n, inputs))
        y = x @ random.normal(size=inputs) + random.normal(size=n)
        file = folder / "numbers.csv"
        header = ",".join([f"x{i}" for i in range(inputs)] + ["y"])
        np.savetxt(file, np.column_stack([x, y]), delimiter=",", header=header, comments="", fmt="%.6g")
        least = {}
        for _ in range(repeats):
            for build in (program, yardstick):
                seconds = run(build, file, "y", folder / "out.csv")["seconds"]
                least[build] = min(seconds, least.get(build, seconds))
        mine, other = (1e6 * least[build] / n for build in (program, yardstick))
        print(f"| {inputs} | {mine:.2f} | {other:.2f} | {mine / other:.3f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predict", help="the program")
    parser.add_argument("--work", type=Path, default=Path("build/real_files"), help="folder for what is kept")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take each N-th file")
    parser.add_argument("--half", choices=["A", "B"], help="only this half of the files")
    parser.add_argument("--most-rows", type=int, default=10**9, metavar="ROWS", help="leave out files with more")
    parser.add_argument("--accept", action="store_true", help="only count the files that are taken")
    parser.add_argument("--peers", action="store_true", help="measure River and Vowpal Wabbit where not yet done")
    parser.add_argument("--causality", type=int, default=0, metavar="N", help="check N files for causality")
    parser.add_argument("--yardstick", metavar="OTHER", help="only compare the time a row with this build")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if options.yardstick:
            return compare_time(options.predict, options.yardstick, folder)
        every = tables.prepare(options.work)
        files = {name: every[name] for name in list(every)[:: options.every]
                 if options.half in (None, half_of(every[name])) and every[name]["rows"] <= options.most_rows}
        if options.accept:
            return report_accepted(accept_files(options.predict, files, folder))
        by_peer_file = options.work / "peers.json"
        by_peer = json.loads(by_peer_file.read_text()) if by_peer_file.exists() else {}
        for name, known in files.items() if options.peers else ():
            if name not in by_peer:
                by_peer[name] = peers.measure(known["path"], known["column"])
                by_peer_file.write_text(json.dumps(by_peer, indent=1))
        results = measure_files(options.predict, files, folder)
        (options.work / "results.json").write_text(json.dumps(results, indent=1))
        report(files, results, by_peer)
        if options.causality:
            check_causality(options.predict, files, results, options.causality, folder)


if __name__ == "__main__":
    main()
