"""From the times of a benchmark run to its table, the table in the documentation, and the plot.

``python bench/results.py [FILE]`` prints the table of a run (the committed one if none is named);
``--write`` makes it the committed run: its JSON, the table in docs/performance.md, and the plot in the README.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contenders import CONTENDERS, NATIVE, SUBJECT
from workloads import MEBIBYTES, MILLISECONDS, RATIO, WORKLOADS, Workload

ROOT = Path(__file__).resolve().parent.parent
COMMITTED = ROOT / "bench" / "results" / "run.json"
PROFILES = ROOT / "bench" / "results" / "profiles.json"
DOCUMENT = ROOT / "docs" / "performance.md"
PLOT = ROOT / "docs" / "benchmarks.svg"

OTHERS = [name for name, contender in CONTENDERS.items() if contender not in (NATIVE, SUBJECT)]
QUERIES = {workload.name for workload in WORKLOADS if workload.part_of == "tpch"}
HEADER = ["workload", "native", *OTHERS, "wasqlite", "target", "", "noise"]

Run = dict[str, dict[str, list[float]]]
"""The figures of each contender by workload; an empty list for one that could not take part."""


@dataclass
class Row:
    """One row of the table, from all runs."""

    workload: Workload
    measured: list[float]
    """What the target is about, per run."""
    native: float | None = None
    """Native's figure: seconds, or MiB."""
    ours: float | None = None
    others: dict[str, float] | None = None
    """The other contenders by native."""
    spread: float | None = None
    """Noise: the middle half of the ratios of single rounds, as a share of their median; the worst run's."""

    @property
    def verdict(self) -> str:
        if not self.measured:
            return "not built"
        if self.workload.target is None:
            return ""
        met = {value <= self.workload.target for value in self.measured}
        return "runs differ" if len(met) > 1 else "ok" if met == {True} else "missed"

    @property
    def ratio(self) -> float | None:
        """Of all runs, for the plot."""
        return statistics.geometric_mean(self.measured) if self.measured and self.workload.unit == RATIO else None

    @property
    def measured_text(self) -> str:
        return " ".join(figure(value) for value in self.measured) or "-"

    @property
    def unit(self) -> str:
        return "" if self.workload.unit == RATIO else f" {self.workload.unit}"

    @property
    def summary(self) -> str:
        """For a progress line."""
        target = "" if self.workload.target is None else f" (target {self.workload.target:g}) "
        return f"{self.measured_text}{self.unit}{target}{self.verdict}"


def figure(value: float) -> str:
    """Two digits that count."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def seconds(value: float) -> str:
    """A time with its unit."""
    factor, unit = (1, "s") if value >= 1 else (1e3, "ms") if value >= 1e-3 else (1e6, "us")
    return f"{value * factor:.3g} {unit}"


def figures(document: dict[str, Any]) -> list[Run]:
    """The runs of a document, by the clock that it wants: wall time, or processor time on a busy machine."""
    clock = document.get("clock", "wall")
    return [
        {
            name: {
                # speedtest1 has no clock but its own.
                contender: found.get("value") or found.get(clock) or found.get("wall") or []
                for contender, found in contenders.items()
            }
            for name, contenders in run.items()
        }
        for run in document["runs"]
    ]


def samples(run: Run, workload: Workload, contender: str) -> list[float]:
    """The figures of one contender in one run."""
    return run.get(workload.name, {}).get(contender, [])


def ratio(run: Run, workload: Workload, contender: str) -> float | None:
    """A contender by native: the quotient of the medians, or for a row of parts the geometric mean of theirs."""
    parts = [part for part in WORKLOADS if part.part_of == workload.name]
    if parts:
        found = [ratio(run, part, contender) for part in parts]
        if any(value is None for value in found):
            return None
        return statistics.geometric_mean(value for value in found if value is not None)
    theirs, ours = (samples(run, workload, name) for name in (NATIVE.name, contender))
    return statistics.median(ours) / statistics.median(theirs) if theirs and ours else None


def spread(run: Run, workload: Workload) -> float | None:
    """The interquartile range of the ratios round by round, by their median."""
    theirs, ours = (samples(run, workload, contender.name) for contender in (NATIVE, SUBJECT))
    if len(ours) < 4 or len(ours) != len(theirs):
        return None
    ratios = [b / a for a, b in zip(theirs, ours, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return (high - low) / middle


def pooled(runs: Iterable[Run], workload: Workload, contender: str) -> float | None:
    values = [value for run in runs for value in samples(run, workload, contender)]
    return statistics.median(values) if values else None


def row(runs: list[Run], workload: Workload) -> Row:
    """What the runs say about one workload."""
    factor = 1e3 if workload.unit == MILLISECONDS else 1.0
    measured = []
    for run in runs:
        ours = samples(run, workload, SUBJECT.name)
        value = ratio(run, workload, SUBJECT.name) if workload.unit == RATIO else None
        if workload.unit != RATIO and ours:
            value = statistics.median(ours) * factor
        if value is not None:
            measured.append(value)
    others = {}
    for contender in CONTENDERS.values():
        found = [value for run in runs if (value := ratio(run, workload, contender.name)) is not None]
        if contender not in (NATIVE, SUBJECT) and found:
            others[contender.name] = statistics.geometric_mean(found)
    spreads = [value for run in runs if (value := spread(run, workload)) is not None]
    return Row(
        workload,
        measured,
        pooled(runs, workload, NATIVE.name),
        pooled(runs, workload, SUBJECT.name),
        others,
        max(spreads, default=None),
    )


def rows_of(document: dict[str, Any], *, parts: bool = False) -> list[Row]:
    """The rows of the workloads that were measured; those of TPC-H's queries only with ``parts``."""
    runs = figures(document)
    measured = {name for run in runs for name in run}
    found = []
    for workload in WORKLOADS:
        names = [part.name for part in WORKLOADS if part.part_of == workload.name]
        if workload.name in measured or (names and measured.issuperset(names)):
            found.append(row(runs, workload))
    return [each for each in found if parts or each.workload.part_of != "tpch" or not measured.issuperset(QUERIES)]


def cells(each: Row) -> list[str]:
    """A row as texts: title, native's figure, the others, wasqlite, target, verdict, noise."""
    unit = each.workload.unit
    native = "" if each.native is None else f"{each.native:.3f} MiB" if unit == MEBIBYTES else seconds(each.native)
    others = each.others or {}
    return [
        each.workload.title,
        native,
        *(figure(others[name]) if name in others else "" for name in OTHERS),
        each.measured_text + each.unit,
        "" if each.workload.target is None else f"{each.workload.target:g}{each.unit}",
        each.verdict,
        "" if each.spread is None else f"{each.spread:.0%}",
    ]


def _without_empty(lines: list[list[str]]) -> list[list[str]]:
    """Without the columns of contenders that did not take part."""
    kept = [i for i, column in enumerate(zip(*lines, strict=True)) if HEADER[i] not in OTHERS or any(column[1:])]
    return [[line[i] for i in kept] for line in lines]


def table(document: dict[str, Any], *, parts: bool = False) -> str:
    """The table as plain text."""
    lines = _without_empty([HEADER, *(cells(each) for each in rows_of(document, parts=parts))])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in lines
    ]
    notes = ["native: the same SQLite by gcc -O2, under the stdlib's sqlite3; all other columns are ratios to it."]
    if document["quick"]:
        notes.append("Quick: less data than the titles say; the targets are about the full run.")
    rows = rows_of(document)
    counts = {word: sum(each.verdict == word for each in rows) for word in ("ok", "missed", "runs differ", "not built")}
    notes.append(", ".join(f"{count} {word}" for word, count in counts.items() if count))
    if document.get("clock", "wall") != "wall":
        notes.append("Times are processor time, not wall time.")
    for name, found in document["runs"][0].items():
        if missing := found[SUBJECT.name].get("missing"):
            notes.append(f"{name}: {missing}")
    return "\n".join([*text, "", *notes])


def beside(before: dict[str, Any], after: dict[str, Any]) -> str:
    """The rows that two runs have in common, as markdown: what was measured, and the quotient of the two."""
    lines = [["workload", "before", "after", "after by before"], ["---", "--:", "--:", "--:"]]
    earlier = {each.workload.name: each for each in rows_of(before)}
    for each in rows_of(after):
        other = earlier.get(each.workload.name)
        change = "new"
        if other is not None and other.measured and each.measured:
            change = f"{statistics.geometric_mean(each.measured) / statistics.geometric_mean(other.measured):.2f}"
        texts = [f"{row.measured_text}{row.unit}" if row is not None else "-" for row in (other, each)]
        lines.append([each.workload.title, *texts, change])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def markdown(document: dict[str, Any]) -> str:
    """The table as it stands in the documentation, with where it comes from."""
    machine = document["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    lines = [HEADER, ["---", *["--:"] * (len(HEADER) - 3), "---", "--:"], *map(cells, rows_of(document))]
    runs = len(document["runs"])
    return "\n".join(
        [
            f"{machine['date']}, {runs} run{'s' * (runs > 1)} at commit {machine['commit']}: {machine['processor']}, "
            f"{machine['processors']} processors, {machine['system']}, CPython {machine['python']}, {versions}, "
            f"SQLite {machine['sqlite'][:10]} {machine['sqlite'][20:30]}; load average up to {machine['load']}.",
            "",
            *("| " + " | ".join(line) + " |" for line in lines),
        ]
    )


def worst_part(document: dict[str, Any], workload: Workload) -> Workload:
    """The part of a row that is furthest from native; the row itself if it has none."""
    run = figures(document)[0]
    parts = [part for part in WORKLOADS if part.part_of == workload.name]
    return max(parts, key=lambda part: ratio(run, part, SUBJECT.name) or 0, default=workload)


def explanation(document: dict[str, Any], profiles: dict[str, Any]) -> str:
    """Where the time goes of the rows that missed their target: profiles on the scale of what was measured."""
    lines = [["workload", "wasqlite", "native", "wasqlite's functions at the top"], ["---"] * 4]
    for each in rows_of(document, parts=True):
        found = profiles.get(each.workload.name)
        if found is None or (each.native is None and not found["of"].startswith("tpch")):
            continue
        part = next(w for w in WORKLOADS if w.name == found["of"])
        shown = row(figures(document), part)
        ours = statistics.geometric_mean(shown.measured)
        theirs = 1.0 if part.unit == RATIO else (shown.native or 0) * 1e3

        def areas(side: str, whole: float, shares: dict[str, Any] = found) -> str:
            scaled = {area: share / 100 * whole for area, share in shares[side]["areas"].items() if share >= 3}
            return ", ".join(f"{area} {value:.2f}" for area, value in scaled.items())

        top = list(found[SUBJECT.name]["functions"].items())[:4]
        lines.append(
            [
                f"{part.title}: {figure(ours)}{shown.unit}",
                areas(SUBJECT.name, ours),
                areas(NATIVE.name, theirs),
                ", ".join(f"`{name.partition(': ')[2]}` {share / 100 * ours:.2f}" for name, share in top),
            ]
        )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def dump(document: dict[str, Any]) -> str:
    """As JSON with a line per list of figures."""
    text = json.dumps(document, indent=1)
    return re.sub(r"\[[^\[\]{}]*\]", lambda found: re.sub(r"\s+", " ", found[0]), text) + "\n"


def digest(document: dict[str, Any]) -> str:
    """Ties the plot to the run that it was drawn from."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def committed() -> dict[str, Any]:
    """The run whose JSON is in the repository."""
    document: dict[str, Any] = json.loads(COMMITTED.read_text())
    return document


def pages() -> str:
    """The documentation with the tables of what is committed."""
    document, profiles = committed(), json.loads(PROFILES.read_text())
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, content in (("table", markdown(document)), ("profiles", explanation(document, profiles))):
        begin, end = (f"<!-- {word} of the {name}, by bench/results.py -->" for word in ("begin", "end"))
        before, _, rest = text.partition(begin)
        after = rest.partition(end)[2]
        text = f"{before}{begin}\n\n{content}\n\n{end}{after}"
    return text


def write(document: dict[str, Any]) -> None:
    """Bring the documentation's tables and the plot in line with a run."""
    from plot import draw

    DOCUMENT.write_text(pages(), encoding="utf-8")
    draw(document, PLOT)


def main() -> None:
    """Print a run, or write it into the documentation."""
    parser = argparse.ArgumentParser(description="Tables and plot of a benchmark run.")
    parser.add_argument("file", type=Path, nargs="?", default=COMMITTED)
    parser.add_argument("--parts", action="store_true", help="with the queries of TPC-H one by one")
    parser.add_argument("--beside", type=Path, metavar="FILE", help="an earlier run, to print the two side by side")
    parser.add_argument("--cpu", action="store_true", help="processor time in place of wall time, for a busy machine")
    parser.add_argument(
        "--write", action="store_true", help="make it the run that is committed, documented and plotted"
    )
    arguments = parser.parse_args()
    document = json.loads(arguments.file.read_text())
    if arguments.cpu:
        document["clock"] = "cpu"
    if arguments.beside:
        earlier = json.loads(arguments.beside.read_text()) | {"clock": document.get("clock", "wall")}
        print(beside(earlier, document))
        return
    print(table(document, parts=arguments.parts))
    if arguments.write:
        if document["quick"] or arguments.cpu:
            raise SystemExit("the documentation shows wall time of a full run")
        if arguments.file.resolve() != COMMITTED:
            shutil.copyfile(arguments.file, COMMITTED)
        write(document)


if __name__ == "__main__":
    main()
