"""`hprior bench`: figures of a folder, and what they are of."""

import json
from pathlib import Path

import pytest
from commands import refused
from PIL import Image

from hybridprior.data import demo_image
from hybridprior.evaluation.bench import Row, gains, side_by_side


def _data_set() -> None:
    Path("set").mkdir()
    for name in ("image_House256rgb.png", "bird_GT.png"):
        Image.open(demo_image()).crop((0, 0, 64, 64)).save(Path("set") / name)


def test_bench_measures_a_folder(hprior) -> None:
    _data_set()
    for suite in ("denoise", "sr", "inpaint"):
        outcome = hprior(
            "bench", suite, "--data", "set", "--preset", "fast", "--steps", 2, "--seeds", "0,1", "-o", suite
        )
        assert outcome.code == 0, outcome.err
        record = json.loads(Path(suite, "rows.json").read_text())
        assert [row["image"] for row in record["rows"]] == ["bird", "bird", "house", "house"]
        assert {row["seed"] for row in record["rows"]} == {0, 1}
        assert all(row["oracle_psnr"] >= row["psnr"] - 1e-6 for row in record["rows"])
        table = Path(suite, "table.md").read_text()
        assert "| house |" in table
        assert "oracle" in table
        assert "Deep Image Prior" in table


def test_bench_measures_speed_and_each_prior(hprior, small: Path) -> None:
    _data_set()
    speed = ["bench", "speed", "--data", "set", "--preset", "fast,fast+denoiser", "--steps", 1, "--images", "house"]
    speed += ["--crop", 64]
    assert hprior(*speed).code == 0
    assert {row["preset"] for row in json.loads(Path("bench-speed/rows.json").read_text())["rows"]} == {
        "paper",
        "fast",
        "fast+denoiser",
    }
    assert "| paper |" in Path("bench-speed/table.md").read_text()
    assert "1.000 |" in Path("bench-speed/table.md").read_text()
    apart = ["bench", "inpaint", "--data", "set", "--preset", "fast", "--steps", 2, "--images", "house", "--colour"]
    assert hprior(*apart, "--reg", "denoiser", "--weights", "0.1,1", "--missing", 0.8, "-o", "apart").code == 0
    record = json.loads(Path("apart/rows.json").read_text())
    assert [row["preset"] for row in record["rows"]] == ["local", "global", "both, 0.1", "both, 1"]
    assert record["configs"]["local"]["regulariser"]["name"] == "none"
    assert record["configs"]["global"]["method"] == "pnp"
    assert record["configs"]["both, 0.1"]["weight"] == 0.1
    assert "| image | local | global | both, 0.1 | both, 1 |" in Path("apart/table.md").read_text()
    refused(hprior(*apart, "--weights", "a"), "--weights")


def test_bench_refuses_wrong_options(hprior) -> None:
    _data_set()
    refused(hprior("bench", "denoise", "--data", "nowhere"), "nowhere")
    refused(hprior("bench", "denoise", "--data", "set", "--images", "lena"), "lena")
    refused(hprior("bench", "denoise", "--data", "set", "--seeds", "one"), "--seeds")
    refused(hprior("bench", "denoise", "--data", "set", "--seeds", "0,0"), "--seeds")
    refused(hprior("bench", "denoise", "--data", "set", "--scale", 4), "--scale goes with suite sr")
    refused(hprior("bench", "speed", "--data", "set", "--colour"), "--colour goes with --task inpaint")


def test_bench_says_what_was_measured(hprior, small: Path) -> None:
    Path("set").mkdir()
    for name, side in (("house.png", 32), ("a|b.png", 24)):
        Image.open(demo_image()).resize((side, side)).save(Path("set") / name)
    bench = ["bench", "denoise", "--data", "set", "--preset", "fast", "--reg", "none", "--generator", "pixels"]
    assert hprior(*bench, "--sigma", 0, "-o", "clean").code == 0
    json.loads(Path("clean/rows.json").read_text(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert hprior(*bench, "--told", 2, "-o", "told").code == 0
    table = Path("told/table.md").read_text()
    assert (
        "nominal sigma: 2 times sigma" in table and json.loads(Path("told/rows.json").read_text())["sigma_factor"] == 2
    )
    assert "32.09" not in table and "| a\\|b |" in table
    missing = ["bench", "inpaint", *bench[2:], "--sigma", 10, "--images", "house", "-o", "missing"]
    assert hprior(*missing).code == 0
    assert "sigma: 10/255" in Path("missing/table.md").read_text()


def test_bench_weighs_both_priors_with_three_seeds(hprior, small: Path) -> None:
    Path("set").mkdir()
    Image.open(demo_image()).crop((60, 40, 108, 88)).save(Path("set/eye.png"))
    bench = ["bench", "fusion", "--data", "set", "--task", "inpaint", "--preset", "fast", "--steps", 2, "--colour"]
    assert hprior(*bench).code == 0
    record = json.loads(Path("bench-fusion/rows.json").read_text())
    assert {(row["preset"], row["seed"]) for row in record["rows"]} == {
        (way, seed) for way in ("local", "global", "both, 1", "fused") for seed in (0, 1, 2)
    }
    assert len({row["baseline_psnr"] for row in record["rows"]}) == 3  # each seed has missing pixels of its own
    for row in record["rows"]:
        assert (row["oracle_psnr"] is None) == (row["preset"] == "fused")
    table = Path("bench-fusion/table.md").read_text()
    assert "seed: that of the restoration" in table and "| eye |" in table and "Fused over the better" in table
    means = next(line for line in table.splitlines() if line.startswith("| **mean** |") and line.count("±") == 4)
    best = next(line for line in table.splitlines() if line.startswith("| **mean, oracle** |"))
    assert best.count("±") == 3 and best.endswith("|  |")
    assert means.split("|")[2].strip() <= best.split("|")[2].strip()
    same = hprior(*bench, "--seeds", "0,1", "--data-seed", 4, "-o", "same")
    assert same.code == 0
    assert len({row["baseline_psnr"] for row in json.loads(Path("same/rows.json").read_text())["rows"]}) == 1


def _trial(psnr: float, oracle: float | None = None, *, image: str = "eye", seed: int = 0) -> Row:
    return Row("sr", image, "8x8", 3, seed, psnr, oracle, None, 10.0, None, 1, 1, 1, 0.1, "")


def test_gains_are_over_the_better_prior_of_each_trial() -> None:
    rows = {
        "local": [
            _trial(30, 30.4),
            _trial(20, 20, image="reeds"),
            _trial(30, 30, seed=1),
            _trial(22, 22, image="reeds", seed=1),
        ],
        "global": [
            _trial(29, 29),
            _trial(25, 25, image="reeds"),
            _trial(31, 31, seed=1),
            _trial(20, 20, image="reeds", seed=1),
        ],
        "fused": [_trial(31), _trial(25.5, image="reeds"), _trial(32, seed=1), _trial(21.9, image="reeds", seed=1)],
    }
    assert gains(rows) == (
        "Fused over the better single prior: +0.60 ± 0.15 dB on average, at least -0.10 (reeds), in 4 trials; "
        "over the better one's oracle +0.50 dB.\n"
    )
    table = side_by_side(rows).markdown().splitlines()
    assert table[-2] == "| **mean** | 25.50 ± 0.50 | 26.25 ± 0.75 | 27.60 ± 0.65 |"
    assert table[-1] == "| **mean, oracle** | 25.60 ± 0.40 | 26.25 ± 0.75 |  |"
