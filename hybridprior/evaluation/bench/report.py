"""The tables of a benchmark run: each image, the means, and published figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean

from hybridprior.evaluation.bench.published import means
from hybridprior.evaluation.bench.suites import Row
from hybridprior.evaluation.degradation import Degradation
from hybridprior.evaluation.tables import Cell, Column, Estimate, Table

__all__ = ["gains", "markdown", "result_table", "side_by_side"]

COLUMNS = (
    Column("image"),
    Column("size"),
    Column("seeds", 0),
    Column("baseline", 2),
    Column("result (no ground truth)", 2),
    Column("oracle", 2),
    Column("published DIP", 2),
    Column("step", 0),
    Column("s", 0),
)


def markdown(rows: Sequence[Row], how: Degradation | None, *, title: str, notes: Sequence[str] = ()) -> str:
    """Return the results of one configuration in Markdown, with the published means for the same degradation.

    Args:
        rows: The results.
        how: The degradation, which selects the published figures; None if none are comparable.
        title: The heading.
        notes: Lines under the heading: command, preset, machine.
    """
    lines = [
        f"# {title}",
        "",
        *(f"- {text}" for text in notes),
        "",
        result_table(rows, title=title).markdown().rstrip(),
    ]
    published = means(how) if how is not None else {}
    if published:
        lines += ["", "Published means of whole sets:", ""]
    for name, figures in published.items():
        lines.append(f"- {name}: " + ", ".join(f"{method} {value:.2f}" for method, value in figures.items()))
    return "\n".join(lines) + "\n"


def result_table(rows: Sequence[Row], *, title: str = "Results") -> Table:
    """Return the results of one configuration: a row for each image, and the mean.

    Args:
        rows: The results.
        title: The title.
    """
    images = list(dict.fromkeys(row.image for row in rows))
    lines = [_image(image, [row for row in rows if row.image == image]) for image in images]
    return Table(title, COLUMNS, (*lines, _mean(rows)), summary=1)


def side_by_side(rows: Mapping[str, Sequence[Row]]) -> Table:
    """Return the PSNR of several configurations next to each other, a row for each image.

    Means are over the images and seeds that all configurations have; their standard deviation is that of the means of
    the seeds. The last row has the means at the oracle's steps; a fusion has none.

    Args:
        rows: The results, by configuration.
    """
    images = list(dict.fromkeys(row.image for measured in rows.values() for row in measured))
    lines: list[tuple[Cell, ...]] = []
    for image in images:
        found = [[row.psnr for row in measured if row.image == image] for measured in rows.values()]
        lines.append((image, *map(Estimate.of, found)))
    done = [{(row.image, row.seed) for row in measured} for measured in rows.values()]
    common = set.intersection(*done) if done else set()
    shared = [[row for row in measured if (row.image, row.seed) in common] for measured in rows.values()]
    name = "mean" if len(common) == len(set.union(*done)) else f"mean of {len(common)}"
    chosen = [[(row.seed, row.psnr) for row in part] for part in shared]
    best = [[(row.seed, row.oracle_psnr) for row in part if row.oracle_psnr is not None] for part in shared]
    lines += [(name, *map(_over_seeds, chosen)), (f"{name}, oracle", *map(_over_seeds, best))]
    columns = (Column("image"), *(Column(name, 2, best="row") for name in rows))
    return Table("PSNR in dB of each configuration", columns, tuple(lines), summary=2)


def gains(rows: Mapping[str, Sequence[Row]]) -> str:
    """Return the gain of the fusion over the better single prior of each image and seed, as a line of Markdown.

    Args:
        rows: The results of the configurations "local", "global" and "fused", images and seeds in the same order.
    """
    trials = list(zip(rows["local"], rows["global"], rows["fused"], strict=True))
    found = [fused.psnr - max(local.psnr, other.psnr) for local, other, fused in trials]
    best = [[row.psnr if row.oracle_psnr is None else row.oracle_psnr for row in trial] for trial in trials]
    oracle = [fused - max(local, other) for local, other, fused in best]
    worst = trials[found.index(min(found))][0].image
    estimate = _over_seeds([(trial[0].seed, gain) for trial, gain in zip(trials, found, strict=True)])
    average = Table("", (), ()).text(estimate, Column("gain", 2, signed=True)).replace("−", "-")
    line = f"Fused over the better single prior: {average} dB on average, at least {min(found):+.2f} ({worst}), "
    return f"{line}in {len(found)} trials; over the better one's oracle {mean(oracle):+.2f} dB.\n"


def _image(name: str, rows: Sequence[Row]) -> tuple[Cell, ...]:
    return (
        name,
        rows[0].size,
        float(len(rows)),
        mean(row.baseline_psnr for row in rows),
        Estimate.of([row.psnr for row in rows]),
        Estimate.of([row.oracle_psnr for row in rows if row.oracle_psnr is not None]),
        rows[0].published,
        mean(row.chosen_step for row in rows),
        mean(row.seconds for row in rows),
    )


def _mean(rows: Sequence[Row]) -> tuple[Cell, ...]:
    known = {row.image: row.published for row in rows if row.published is not None}
    complete = known and len(known) == len({row.image for row in rows})
    return (
        "mean",
        "",
        float(len(rows)),
        mean(row.baseline_psnr for row in rows),
        mean(row.psnr for row in rows),
        Estimate.of([row.oracle_psnr for row in rows if row.oracle_psnr is not None], std=False),
        mean(known.values()) if complete else None,
        None,
        mean(row.seconds for row in rows),
    )


def _over_seeds(values: Sequence[tuple[int, float]]) -> Estimate | None:
    """Return the mean of (seed, value) pairs, and the standard deviation of the means of the seeds."""
    seeds = dict.fromkeys(seed for seed, _ in values)
    return Estimate.of([mean(value for found, value in values if found == seed) for seed in seeds])
