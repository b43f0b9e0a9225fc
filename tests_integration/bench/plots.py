"""Pictures of the results, as SVG that reads on a light page and on a dark one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from bench.goals import ALONE, AUTO, OURS, THEIRS
from bench.summary import Summary

COLOURS = {THEIRS: "#c05a3c", OURS: "#2a6f97", AUTO: "#61a5c2", ALONE: "#777777"}
PARTS = {
    "adapter": "#2a6f97",
    "jobs": "#c05a3c",
    "local AWS": "#e0a458",
    "scheduler": "#777777",
    "object storage": "#aaaaaa",
    "client": "#4f772d",
}
SETTINGS = {
    "svg.hashsalt": "scaler-batch",
    "svg.fonttype": "path",
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
}


def draw(found: Sequence[Summary], folder: Path) -> None:
    """Draw what there is to draw into a folder."""
    maps = [row for row in found if row.runs and row.side in COLOURS and row.work == f"map of {row.tasks:,}"]
    one = [row for row in maps if row.tasks == largest_common(maps)]
    _maps(maps, folder / "maps.svg")
    _processors(one, folder / "processors.svg")
    _calls(one, folder / "calls.svg")


def largest_common(maps: Sequence[Summary]) -> int:
    """Tasks of the largest map that every side has done."""
    sides: dict[int, set[str]] = {}
    for row in maps:
        sides.setdefault(row.tasks, set()).add(row.side)
    every = {row.side for row in maps if row.side in COLOURS}
    return max(size for size, found in sides.items() if found >= every)


@contextmanager
def picture(path: Path) -> Iterator[Any]:
    """A pair of axes that become a file. The same data become the same bytes."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(7, 3.6), layout="constrained", facecolor="white")
        FigureCanvasSVG(figure)
        yield figure.add_subplot()
        figure.savefig(path, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))


def _maps(rows: Sequence[Summary], path: Path) -> None:
    with picture(path) as axes:
        for side in dict.fromkeys(row.side for row in rows):
            mine = [row for row in rows if row.side == side]
            sizes, medians = [row.tasks for row in mine], [row.median for row in mine]
            spread = [[row.median - row.seconds[0] for row in mine], [row.seconds[2] - row.median for row in mine]]
            style = "--" if side == ALONE else "-"
            axes.errorbar(sizes, medians, spread, label=_label(side), color=COLOURS[side], marker="o", linestyle=style)
        axes.set(xscale="log", yscale="log", xlabel="tasks of a map", ylabel="seconds, median")
        axes.legend()


def _label(side: str) -> str:
    return "the limit: Scaler alone" if side == ALONE else side


def _processors(rows: Sequence[Summary], path: Path) -> None:
    with picture(path) as axes:
        left = [0.0] * len(rows)
        for part, colour in PARTS.items():
            widths = [row.cpu.get(part, 0.0) for row in rows]
            axes.barh([row.side for row in rows], widths, left=left, color=colour, label=part)
            left = [start + width for start, width in zip(left, widths, strict=True)]
        axes.set(xlabel=f"seconds of processor time, {rows[0].work}")
        axes.invert_yaxis()
        axes.legend()


def _calls(rows: Sequence[Summary], path: Path) -> None:
    rows = [row for row in rows if row.calls]
    with picture(path) as axes:
        left = [0.0] * len(rows)
        for name in sorted({name for row in rows for name in row.calls}):
            widths = [row.calls.get(name, 0.0) for row in rows]
            axes.barh([row.side for row in rows], widths, left=left, label=name)
            left = [start + width for start, width in zip(left, widths, strict=True)]
        axes.set(xlabel=f"calls to AWS, {rows[0].work}")
        axes.invert_yaxis()
        axes.legend(fontsize=7)
