"""The plot that the README shows: wasqlite's time by the stdlib's on the same SQLite, from the committed run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from contenders import CONTENDERS
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from results import Row, digest, figure, rows_of, seconds
from workloads import MEBIBYTES, RATIO

# Okabe and Ito's palette, which colour-blind readers can tell apart; direction says the same as colour.
FASTER, SLOWER, INK, FAINT = "#0072B2", "#D55E00", "#222222", "#8a8a8a"
MARKERS = {"stdlib": "o", "apsw": "D"}
TIMES = "\N{MULTIPLICATION SIGN}"
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10)


def footnote(rows: list[Row], document: dict[str, Any]) -> str:
    """What is no ratio, and where it was measured."""
    found = []
    for row in rows:
        if row.workload.unit != RATIO and row.ours is not None and row.native is not None:
            native = f"{row.native:.2f} MiB" if row.workload.unit == MEBIBYTES else seconds(row.native)
            found.append(f"{row.workload.title}: {row.measured_text.split()[0]}{row.unit} (sqlite3: {native})")
    machine = document["machine"]
    where = f"{machine['processor']}, {machine['system']}, CPython {machine['python']}, {machine['date']}"
    return "\n".join([*found, f"Medians of interleaved rounds. {where}."])


def draw(document: dict[str, Any], path: Path) -> None:
    """Write the plot, as SVG or PNG by the path's suffix; the same document gives the same file."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 9.5, "svg.hashsalt": "wasqlite"})
    all_rows = rows_of(document)
    rows = [row for row in all_rows if row.workload.unit == RATIO and row.ratio is not None]
    groups = list(dict.fromkeys(row.workload.group for row in rows))
    places: list[tuple[float, Row]] = []
    headings = []
    y = 0.0
    for group in groups:
        headings.append((y, group))
        for row in (row for row in rows if row.workload.group == group):
            y += 1
            places.append((y, row))
        y += 1.35
    low = min(0.2, *(row.ratio or 1 for row in rows)) / 1.5
    high = max(2.5, *(row.ratio or 1 for row in rows)) * 1.5

    figure_, axes = plt.subplots(figsize=(8.6, 0.235 * y + 1.2))
    right = axes.get_yaxis_transform()
    for place, row in places:
        ratio = row.ratio or 1.0
        colour = FASTER if ratio <= 1 else SLOWER
        axes.barh(place, ratio - 1, left=1, height=0.62, color=colour, zorder=2)
        axes.text(
            1.075,
            place,
            f"{figure(ratio)}{TIMES}",
            transform=right,
            ha="right",
            va="center",
            color=colour,
            weight="bold",
        )
        for name, value in (row.others or {}).items():
            where = min(max(value, low), high)
            axes.plot(where, place, MARKERS[name], ms=4.2, mfc="white", mec=INK, mew=0.9, zorder=5, clip_on=False)
    axes.axvline(1, color=INK, lw=1.1, zorder=3)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(y - 0.8, -0.7)
    axes.set_yticks([place for place, _ in places], [row.workload.title for _, row in places])
    for place, group in headings:
        axes.annotate(
            group,
            (0.012, place),
            xycoords=("figure fraction", "data"),
            ha="left",
            va="center",
            weight="bold",
            color=INK,
        )
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in TICKS if low < tick < high]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}{TIMES}"))
    axes.xaxis.grid(True, color="#e3e3e3", lw=0.7, zorder=0)
    axes.set_axisbelow(True)
    axes.tick_params(axis="both", length=0, colors=INK)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.annotate("◀ faster", (1, 1), xycoords=("data", "axes fraction"), xytext=(-6, 2), textcoords="offset points",
                  ha="right", va="bottom", color=FASTER, weight="bold")  # fmt: skip
    axes.annotate("slower ▶", (1, 1), xycoords=("data", "axes fraction"), xytext=(6, 2), textcoords="offset points",
                  ha="left", va="bottom", color=SLOWER, weight="bold")  # fmt: skip
    figure_.text(
        0.012, 0.992, "Time of wasqlite by time of Python's sqlite3 on the same SQLite, native (gcc -O2)",
        ha="left", va="top", fontsize=11, weight="bold", color=INK,
    )  # fmt: skip
    handles = [
        Line2D([], [], marker=MARKERS[name], ls="", ms=4.2, mfc="white", mec=INK, mew=0.9, label=CONTENDERS[name].title)
        for name in MARKERS
        if any(name in (row.others or {}) for row in rows)
    ]
    if handles:
        axes.legend(handles=handles, loc="lower left", frameon=False, fontsize=8.5, borderaxespad=0.1)
    figure_.text(0.012, 0.008, footnote(all_rows, document), fontsize=7.8, color=FAINT, va="bottom", linespacing=1.35)
    figure_.tight_layout(rect=(0.012, 0.07, 0.985, 0.965))
    metadata = {"Description": digest(document)} | ({"Date": None} if path.suffix == ".svg" else {})
    figure_.savefig(path, metadata=metadata, dpi=110, facecolor="white")
    plt.close(figure_)
