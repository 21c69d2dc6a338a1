"""The table of a bench run in Markdown: each image, then the means, then what was published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, pstdev

from hybridprior.evaluation.bench.published import means
from hybridprior.evaluation.bench.suites import Row
from hybridprior.evaluation.degradation import Degradation

__all__ = ["gains", "markdown", "side_by_side"]


def markdown(rows: Sequence[Row], how: Degradation | None, *, title: str, notes: Sequence[str] = ()) -> str:
    """Return the table.

    Args:
        rows: What was measured.
        how: The degradation, which says what published figures are comparable; None if none are.
        title: The heading.
        notes: Lines under it: command, preset, machine.
    """
    lines = [f"# {title}", "", *(f"- {text}" for text in notes), ""]
    head = ["image", "size", "seeds", "baseline", "result (no ground truth)", "oracle", "published DIP", "step", "s"]
    lines += [_line(head), _line(["---", "---", *["---:"] * 7])]
    images = list(dict.fromkeys(row.image for row in rows))
    for image in images:
        lines.append(_line(_image(image, [row for row in rows if row.image == image])))
    lines.append(_line(_mean(rows)))
    published = means(how) if how is not None else {}
    if published:
        lines += ["", "Published means of whole sets:", ""]
    for name, figures in published.items():
        lines.append(f"- {name}: " + ", ".join(f"{method} {value:.2f}" for method, value in figures.items()))
    return "\n".join(lines) + "\n"


def side_by_side(rows: Mapping[str, Sequence[Row]]) -> str:
    """Return the results of several ways beside each other, an image a line: a table in Markdown.

    Means are over the images and seeds that all ways have, their spread is that of the seeds' means. The last line is
    of the oracle's steps; a fusion has none.

    Args:
        rows: What was measured, by way.
    """
    images = list(dict.fromkeys(row.image for measured in rows.values() for row in measured))
    lines = [_line(["image", *rows]), _line(["---", *["---:"] * len(rows)])]
    for image in images:
        found = [[row.psnr for row in measured if row.image == image] for measured in rows.values()]
        lines.append(_line([image, *map(_spread, found)]))
    done = [{(row.image, row.seed) for row in measured} for measured in rows.values()]
    common = set.intersection(*done) if done else set()
    whole = [[row for row in measured if (row.image, row.seed) in common] for measured in rows.values()]
    average = "mean" if len(common) == len(set.union(*done)) else f"mean of {len(common)}"
    chosen = [[(row.seed, row.psnr) for row in part] for part in whole]
    best = [[(row.seed, row.oracle_psnr) for row in part if row.oracle_psnr is not None] for part in whole]
    lines.append(_line([f"**{average}**", *map(_over_seeds, chosen)]))
    lines.append(_line([f"{average}, oracle", *map(_over_seeds, best)]))
    return "\n".join(lines) + "\n"


def gains(rows: Mapping[str, Sequence[Row]]) -> str:
    """Return what the fused images gain over the better single prior of each image and seed: a line of Markdown.

    Args:
        rows: What was measured by the ways "local", "global" and "fused", images and seeds in the same order.
    """
    trials = list(zip(rows["local"], rows["global"], rows["fused"], strict=True))
    found = [fused.psnr - max(local.psnr, alone.psnr) for local, alone, fused in trials]
    best = [[row.psnr if row.oracle_psnr is None else row.oracle_psnr for row in trial] for trial in trials]
    oracle = [fused - max(local, alone) for local, alone, fused in best]
    worst = trials[found.index(min(found))][0].image
    average = _over_seeds([(trial[0].seed, gain) for trial, gain in zip(trials, found, strict=True)], "+.2f")
    line = f"Fused over the better single prior: {average} dB on average, at least {min(found):+.2f} ({worst}), "
    return f"{line}in {len(found)} trials; over the better one's oracle {mean(oracle):+.2f} dB.\n"


def _image(name: str, rows: Sequence[Row]) -> list[str]:
    published = rows[0].published
    return [
        name,
        rows[0].size,
        str(len(rows)),
        f"{mean(row.baseline_psnr for row in rows):.2f}",
        _spread([row.psnr for row in rows]),
        _spread([row.oracle_psnr for row in rows if row.oracle_psnr is not None]),
        "" if published is None else f"{published:.2f}",
        f"{mean(row.chosen_step for row in rows):.0f}",
        f"{mean(row.seconds for row in rows):.0f}",
    ]


def _mean(rows: Sequence[Row]) -> list[str]:
    known = {row.image: row.published for row in rows if row.published is not None}
    complete = known and len(known) == len({row.image for row in rows})
    oracles = [row.oracle_psnr for row in rows if row.oracle_psnr is not None]
    return [
        "**mean**",
        "",
        str(len(rows)),
        f"{mean(row.baseline_psnr for row in rows):.2f}",
        f"**{mean(row.psnr for row in rows):.2f}**",
        f"{mean(oracles):.2f}" if oracles else "",
        f"{mean(known.values()):.2f}" if complete else "",
        "",
        f"{mean(row.seconds for row in rows):.0f}",
    ]


def _spread(values: Sequence[float], form: str = ".2f") -> str:
    """Return the mean, and the spread where there are several values; nothing of none."""
    if not values:
        return ""
    return f"{mean(values):{form}}" + (f" ± {pstdev(values):.2f}" if len(values) > 1 else "")


def _over_seeds(values: Sequence[tuple[int, float]], form: str = ".2f") -> str:
    """Return the mean of values that stand beside their seeds, and the spread of the seeds' means."""
    seeds = dict.fromkeys(seed for seed, _ in values)
    return _spread([mean(value for found, value in values if found == seed) for seed in seeds], form)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
