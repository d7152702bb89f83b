"""The table `make bench` ends with."""

from dataclasses import dataclass


@dataclass
class Row:
    """Ours beside what it is compared with, from the same run. A ratio above 1 means ours is better."""

    what: str
    ours: str
    other: str = ""
    ratio: str = ""
    goal: str = ""


HEAD = Row("what", "ours", "other", "ratio", "goal")


def columns(row: Row) -> tuple[str, ...]:
    return row.what, row.ours, row.other, row.ratio, row.goal


def rows_of(text: str) -> list[Row]:
    """What the `benchmarks` program printed."""
    return [Row(*line.split("\t")) for line in text.splitlines() if line.count("\t") == 4]


def show(rows: list[Row]) -> None:
    lines = [columns(row) for row in [HEAD, *rows]]
    widths = [max(len(line[at]) for line in lines) for at in range(len(HEAD.__dict__))]
    rule = tuple("-" * width for width in widths)
    for line in [lines[0], rule, *lines[1:]]:
        # Names to the left, figures to the right.
        print("  ".join(text.ljust(widths[0]) if at == 0 else text.rjust(widths[at])
                        for at, text in enumerate(line)).rstrip())


def quantile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else float("nan")


def spread(values: list[float]) -> str:
    """Median and 99th percentile of milliseconds."""
    return f"p50 {figure(quantile(values, 0.5))} p99 {figure(quantile(values, 0.99))} ms"


def figure(value: float) -> str:
    return f"{value:.2f}" if value < 1 else f"{value:.1f}"
