"""The fusion: evidence that sees no ground truth, weights that add up, and priors that are dropped when they are wrong."""

import dataclasses
import signal

import numpy as np
import pytest
import torch

from hybridprior import ConfigError, Mask, Part, Poisson, Resample, RestoreConfig, SolverConfig, restore
from hybridprior.choice import configure
from hybridprior.config import SplittingConfig
from hybridprior.degradation import Degradation, degrade
from hybridprior.denoisers import Denoiser, load_denoiser
from hybridprior.device import choose_precision
from hybridprior.fidelity import Gaussian
from hybridprior.fusion import FusionConfig, auto, restore_fused, weigh
from hybridprior.fusion import tuned as tuned_module
from hybridprior.fusion.alone import Alone
from hybridprior.fusion.candidates import Candidates
from hybridprior.fusion.evidence import even, simplex, worse
from hybridprior.fusion.race import FEWEST, Race
from hybridprior.fusion.tuned import Tuned
from hybridprior.generators import build_generator
from hybridprior.metrics import psnr
from hybridprior.noise import noise_correlation
from hybridprior.operators import Identity
from hybridprior.presets import preset
from hybridprior.problem import Problem
from hybridprior.result import Status, Step

SIGMA = 0.1
SMALL = {"down": (16, 32), "up": (16, 32), "skip": (4, 4), "input_depth": 8, "padding": "zeros"}
CONFIG = RestoreConfig(
    generator=Part("skip", SMALL),
    stopping=Part("heldout"),
    solver=SolverConfig(steps=150, averaging=0.9, optimiser="muon"),
    precision="fp32",
)


def _fused(problem: Problem, denoiser, config: RestoreConfig = CONFIG):
    return restore_fused(
        problem,
        build_generator("skip", 3, SMALL),
        config,
        FusionConfig(),
        precision=choose_precision(torch.device("cpu"), "fp32"),
        denoiser=load_denoiser(denoiser),
    )


def _judged(x: torch.Tensor, sigma: float = SIGMA) -> tuple[Problem, Problem]:
    y = x + sigma * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    return Problem.make(y, Identity(), Gaussian(sigma)).part(0.12, 0)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_the_simplex_holds_the_least(size: int) -> None:
    root = torch.randn(size, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(size))
    gram = root @ root.T
    best = simplex(gram)
    assert best.min() >= 0
    assert float(best.sum()) == pytest.approx(1)
    others = torch.rand(2000, size, dtype=torch.float64).log().neg()
    others = others / others.sum(1, keepdim=True)
    assert float(best @ gram @ best) <= float(torch.einsum("nk,kl,nl->n", others, gram, others).min()) + 1e-4


def test_two_parts_have_independent_noise_and_the_information_of_the_whole() -> None:
    x = torch.full((1, 1, 300, 300), 0.5)
    first, second = _judged(x)
    one, two = first.y - x, second.y - x
    assert float((one * two).mean()) == pytest.approx(0, abs=4 * first.fidelity.sigma * second.fidelity.sigma / 300)
    assert float(one.std()) == pytest.approx(first.fidelity.sigma, rel=0.02)
    assert float(two.std()) == pytest.approx(second.fidelity.sigma, rel=0.02)
    whole = first.fidelity.sigma**-2 + second.fidelity.sigma**-2
    assert whole == pytest.approx(SIGMA**-2)
    assert second.fidelity.sigma**-2 / whole == pytest.approx(0.12)


def test_the_perfect_candidate_is_chosen_and_the_broken_one_dropped(photograph: torch.Tensor) -> None:
    _, held = _judged(photograph)
    broken = photograph.mean().expand_as(photograph)
    noisy = photograph + 0.05 * torch.randn(photograph.shape)
    evidence = weigh({"broken": broken, "perfect": photograph, "noisy": noisy}, held)
    assert evidence.weights[1] > 0.97
    assert evidence.weights[0] < 0.005
    assert evidence.map.shape == (3, *photograph.shape[-2:])
    torch.testing.assert_close(evidence.map.sum(0), torch.ones(photograph.shape[-2:]), rtol=0, atol=1e-5)
    assert evidence.errors[0] > evidence.errors[2] > evidence.errors[1]


def test_errors_that_are_independent_average_out(photograph: torch.Tensor) -> None:
    _, held = _judged(photograph)
    rng = torch.Generator().manual_seed(3)
    names = {name: photograph + 0.08 * torch.randn(photograph.shape, generator=rng) for name in ("a", "b")}
    evidence = weigh(names, held)
    assert evidence.kind == "combination"
    assert evidence.weights[0] == pytest.approx(0.5, abs=0.1)
    assert evidence.gain > 2 * evidence.gain_spread
    fused = evidence.combine(names)
    assert psnr(fused, photograph) > max(psnr(x, photograph) for x in names.values()) + 2.5


def test_a_few_are_believed_until_others_are_surely_better(photograph: torch.Tensor) -> None:
    _, held = _judged(photograph)
    rng = torch.Generator().manual_seed(3)
    near, far = (photograph + by * torch.randn(photograph.shape, generator=rng) for by in (0.03, 0.2))
    alike = weigh({"first": near, "second": near + 1e-3, "third": far}, held, few=("second", "third"))
    assert alike.kind == "few" and alike.weights[0] == 0 and alike.weights[1] > 0.9
    assert weigh({"first": near, "second": far}, held, few=("second",)).weights[0] > 0.9
    assert weigh({"first": near, "second": far}, held, few=("third",)).kind != "few"


def test_a_map_says_where(photograph: torch.Tensor) -> None:
    _, held = _judged(photograph, 0.05)
    left = torch.zeros_like(photograph)
    left[..., : photograph.shape[-1] // 2] = 0.2
    names = {"left": photograph + left.flip(-1), "right": photograph + left}
    evidence = weigh(names, held)
    assert evidence.kind == "map"
    third = photograph.shape[-1] // 3
    assert evidence.map[0, :, :third].mean() > 0.9
    assert evidence.map[1, :, -third:].mean() > 0.9


@pytest.mark.parametrize(
    "how",
    [Degradation("denoise", sigma=SIGMA), Degradation("inpaint", missing=0.5), Degradation("sr", scale=2)],
    ids=lambda how: how.task,
)
def test_a_broken_denoiser_is_switched_off(crop: torch.Tensor, how: Degradation) -> None:
    y, operator = degrade(crop, how)
    problem = Problem.make(y, operator, Gaussian(how.sigma))
    result = _fused(problem, lambda x, sigma: x.mean().expand_as(x))
    assert result.fusion is not None
    weights = dict(zip(result.fusion.names, result.fusion.weights, strict=True))
    assert weights["global"] < 0.02 and (how.task != "sr" or weights["handed"] < 0.02)
    local = _fused(problem, lambda x, sigma: x).picture
    # Where the picture was made smaller, the small network is no match for bicubic interpolation within these steps.
    assert how.task == "sr" or psnr(result.picture, crop) > psnr(operator.initial(y), crop)
    assert psnr(result.picture, crop) > psnr(local, crop) - (0.5 if how.task == "sr" else 1)


def test_evidence_never_sees_the_truth_and_the_same_seed_gives_the_same_bits(crop: torch.Tensor) -> None:
    """What is restored is a function of y, A and the seed alone: the truth is not even an argument."""
    y, operator = degrade(crop, Degradation("sr", scale=2))
    once, again = (
        restore(y, operator, sigma=0.0, config=CONFIG, steps=30, regulariser="auto", seed=5) for _ in range(2)
    )
    assert torch.equal(once.picture, again.picture)
    assert once.fusion is not None
    assert set(once.fusion.names) - {"tuned"} == {"local", "global", "hybrid", "handed"}
    assert once.config.regulariser.name == "auto"


def test_every_measurement_serves_in_the_end(crop: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixels that were held out are in the picture, before anybody puts them back; without the last steps they are not."""
    known = (torch.rand(crop.shape[-2:], generator=torch.Generator().manual_seed(0)) > 0.3).float()
    whole, config = (
        Problem.make(crop * known, Mask(known), sigma=0.0),
        dataclasses.replace(CONFIG, stopping=Part("fixed")),
    )
    held = []
    hold_out, refitted = Problem.hold_out, Candidates.refitted

    def watched(self: Problem, fraction: float, seed: int) -> tuple[Problem, Problem]:
        kept, out = hold_out(self, fraction, seed)
        held[:] = [kept, out]
        return kept, out

    monkeypatch.setattr(Problem, "hold_out", watched)
    errors = []
    for part in (lambda problem: problem, lambda problem: held[0]):
        again = lambda self, name, problem, local, part=part: refitted(self, name, part(problem), local)  # noqa: E731
        monkeypatch.setattr(Candidates, "refitted", again)
        result = _fused(whole, "shipped", config)
        errors.append(float(held[1].error(result.picture)))
    assert "All measurements" in result.message
    assert errors[0] < 0.5 * errors[1]


def test_what_auto_cannot_do_is_said() -> None:
    y = torch.rand(1, 3, 16, 16)
    for wrong in (
        {"generator": "pixels"},
        {"solver": "splitting"},
        {"denoiser_sigma": (0.2, 0.1)},
        {"stop": "fixed"},
    ):
        with pytest.raises(ConfigError, match="auto"):
            restore(y, Resample(2), regulariser="auto", steps=2, **wrong)


def test_correlated_noise_is_no_evidence(photograph: torch.Tensor) -> None:
    white = SIGMA * torch.randn(photograph.shape, generator=torch.Generator().manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(white, 3, 1, 1) * 3
    assert abs(noise_correlation(photograph + white, SIGMA)) < 0.15
    assert noise_correlation(photograph + blurred, SIGMA) > 0.4
    corner = (photograph + blurred)[..., :64, :64]
    result = restore(corner, sigma=SIGMA, config=CONFIG, steps=30, regulariser="auto")
    assert result.fusion is not None
    assert result.fusion.kind == "none"
    assert "tuned" not in result.fusion.names  # its lessons need a judge
    assert "correlated" in result.message


def test_what_is_held_out_of_a_sparse_picture_is_no_black_pixel() -> None:
    known = (torch.rand(64, 64, generator=torch.Generator().manual_seed(0)) < 0.03).float()
    kept, held = Problem.make(0.6 * known.expand(1, 3, -1, -1), Mask(known), sigma=0.0).hold_out(0.1, 0)
    assert bool((held.weights > 0).any())
    torch.testing.assert_close(kept.operator.initial(kept.filled()), torch.full((1, 3, 64, 64), 0.6))


def test_photons_stop_the_network_as_they_do_without_r(crop: torch.Tensor) -> None:
    """What is no Gaussian noise is noise: the least error on held-out pixels ends the run before its last step."""
    y = torch.poisson(5 * crop, generator=torch.Generator().manual_seed(0)) / 5
    config = dataclasses.replace(CONFIG, solver=dataclasses.replace(CONFIG.solver, steps=1500))
    result = restore(y, fidelity=Poisson(peak=5), config=config, regulariser="auto")
    assert len(result.trace) < 1500 and result.status is Status.STOPPED


@pytest.mark.parametrize("given", [{"seed": np.int64(3)}, {"denoiser": load_denoiser(lambda x, sigma: 0.9 * x)}])
def test_what_json_does_not_know_ends_no_fusion(crop: torch.Tensor, given: dict) -> None:
    result = restore(crop[..., :32, :32], sigma=SIGMA, config=CONFIG, steps=5, regulariser="auto", **given)
    assert result.fusion is not None


def test_a_curved_energy_leaves_two_candidates() -> None:
    result = restore(torch.rand(1, 3, 32, 32), torch.square, sigma=SIGMA, config=CONFIG, steps=20, regulariser="auto")
    assert result.fusion is not None
    assert result.fusion.names == ("local", "hybrid")


@pytest.mark.parametrize("stage", ["local", "later"])
def test_a_fusion_that_was_broken_off_goes_on_to_the_same_bits(
    crop: torch.Tensor, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    y, operator = degrade(crop[..., :32, :32], Degradation("sr", scale=2))
    arguments = {"sigma": 0.0, "config": CONFIG, "steps": 40, "regulariser": "auto"}

    def press_ctrl_c(step: Step) -> None:
        if stage == "local" and step.number == 25:
            signal.raise_signal(signal.SIGINT)

    whole = restore(y, operator, **arguments)
    with monkeypatch.context() as patched:
        if stage == "later":
            plugged = Candidates.handed
            patched.setattr(Candidates, "handed", lambda *a: (signal.raise_signal(signal.SIGINT), plugged(*a))[1])
        part = restore(y, operator, callbacks=[press_ctrl_c], **arguments)
    assert part.status is Status.INTERRUPTED
    on = restore(y, operator, state=part.state, **arguments)
    assert on.fusion is not None
    assert torch.equal(on.picture, whole.picture)


def _broken_off(y: torch.Tensor, operator: Resample, reg: str, config: RestoreConfig = CONFIG):
    def press_ctrl_c(step: Step) -> None:
        if step.number == 5:
            signal.raise_signal(signal.SIGINT)

    return restore(y, operator, sigma=0.0, config=config, steps=8, regulariser=reg, callbacks=[press_ctrl_c])


def test_a_state_is_no_other_methods(crop: torch.Tensor) -> None:
    y, operator = degrade(crop[..., :32, :32], Degradation("sr", scale=2))
    states = {reg: _broken_off(y, operator, reg).state for reg in ("auto", "none")}
    for reg, other in (("auto", "none"), ("none", "auto")):
        with pytest.raises(ConfigError, match="another"):
            restore(y, operator, sigma=0.0, config=CONFIG, steps=8, regulariser=reg, state=states[other])
    fewer = dataclasses.replace(CONFIG, regulariser=Part("auto", {"tuned": 3}))
    with pytest.raises(ConfigError, match="another configuration"):
        restore(y, operator, sigma=0.0, config=fewer, steps=8, state=states["auto"])
    assert restore(y, operator, sigma=0.0, config=CONFIG, steps=8, regulariser="none", state=states["none"])


def test_what_was_cut_short_says_what_judged_it(crop: torch.Tensor) -> None:
    y, operator = degrade(crop, Degradation("sr", scale=2))
    part = _broken_off(y, operator, "auto")
    assert part.held_out == pytest.approx(0.1, abs=0.01)
    assert "10 % of the measurements judged" in part.message
    for share, problem in ((0.12, Problem.make(crop, Identity(), Gaussian(SIGMA))), (0.3, Problem.make(y, operator))):
        assert problem.part(0.12, 0)[0].share(problem.part(0.12, 0)[1]) == pytest.approx(0.12)
        kept, held = problem.hold_out(share, 0)
        assert kept.share(held) == pytest.approx(share, abs=0.01)


def test_a_network_that_was_stopped_takes_no_step_more_after_ctrl_c(
    crop: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    y, _ = degrade(crop[..., :32, :32], Degradation("denoise", sigma=SIGMA))
    arguments = {"sigma": SIGMA, "config": CONFIG, "steps": 600, "regulariser": "auto"}
    whole = restore(y, **arguments)
    assert len(whole.trace) < 600
    with monkeypatch.context() as patched:
        handed = Candidates.handed
        patched.setattr(Candidates, "handed", lambda *a: (signal.raise_signal(signal.SIGINT), handed(*a))[1])
        part = restore(y, **arguments)
    assert part.status is Status.INTERRUPTED
    on = restore(y, state=part.state, **arguments)
    assert len(on.trace) == len(whole.trace)
    assert torch.equal(on.picture, whole.picture)


def test_what_has_little_weight_everywhere_leaves_no_hole() -> None:
    ones = torch.ones(1, 3, 4, 4)
    weights = torch.tensor([0.995, 0.005])
    corner = weights[:, None, None].repeat(1, 4, 4)
    corner[:, 0, 0] = torch.tensor([0.0, 1.0])
    evidence = dataclasses.replace(even(["a", "b"], ones.shape), map=corner)
    assert torch.equal(evidence.combine({"a": ones}), ones)
    torch.testing.assert_close(evidence.combine({"a": ones, "b": ones}), ones)


@pytest.mark.parametrize("size", [(1, 1, 24, 20), (1, 3, 1, 7)])
def test_grey_and_narrow_pictures_are_fused(size: tuple[int, ...]) -> None:
    result = restore(torch.rand(size), sigma=0.3, config=CONFIG, steps=15, regulariser="auto")
    assert result.picture.shape == size
    assert result.fusion is not None
    assert result.sigma == pytest.approx(0.3)


def test_measurements_that_are_no_picture_are_weighed_as_a_whole() -> None:
    matrix = torch.randn(300, 3 * 16 * 16, generator=torch.Generator().manual_seed(0)) / 16

    def project(x: torch.Tensor) -> torch.Tensor:
        return x.flatten() @ matrix.T

    x = torch.rand(1, 3, 16, 16)
    result = restore(project(x), project, sigma=0.1, shape=(1, 3, 16, 16), config=CONFIG, steps=15, regulariser="auto")
    assert result.fusion is not None
    assert result.fusion.kind != "map"


def test_a_candidate_that_is_no_picture_is_left_out(crop: torch.Tensor) -> None:
    y, _ = degrade(crop, Degradation("denoise", sigma=SIGMA))
    result = _fused(Problem.make(y, Identity(), Gaussian(SIGMA)), lambda x, sigma: x * float("nan"))
    assert result.fusion is not None
    assert set(result.fusion.names) == {"local"}
    assert torch.isfinite(result.picture).all()


def _passed(denoiser: Denoiser, problem: Problem) -> torch.Tensor:
    with torch.no_grad():
        return denoiser.denoise(problem.filled(), problem.fidelity.sigma)


def _plugged(denoiser: Denoiser, problem: Problem) -> torch.Tensor:
    config = preset("fast", "sr")
    config = configure(config, generator="pixels", regulariser="denoiser")
    return restore(problem.y, problem.operator, sigma=0.0, config=config, denoiser=denoiser).picture


def _windows() -> torch.Tensor:
    """Return a house front: nothing that the denoiser saw, and the same time and again."""
    window = torch.full((3, 16, 16), 0.6)
    window[:, 4:13, 5:12] = torch.tensor([0.15, 0.2, 0.3])[:, None, None]
    window[:, 4:13, 8] = 0.8
    return window.repeat(1, 4, 4)[None]


def test_a_picture_of_its_own_kind_tunes_the_denoiser() -> None:
    truth = _windows()
    y = truth + SIGMA * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    shipped = load_denoiser("shipped")
    first, judge = Problem.make(y, Identity(), Gaussian(SIGMA)).part(0.12, 0)
    tuned = Tuned(shipped, steps=40, rate=1e-4, seed=0, restored=_passed)
    found = tuned.judged(first, judge)
    assert found is not None and len(tuned.steps) == 2 and max(tuned.steps) >= 20
    assert psnr(found, truth) > psnr(shipped.denoise(first.y, first.fidelity.sigma), truth) + 1
    whole = Problem.make(y, Identity(), Gaussian(SIGMA))
    assert psnr(tuned.again(whole), truth) > psnr(shipped.denoise(y, SIGMA), truth) + 1
    assert torch.equal(tuned.again(whole), tuned.network.denoise(whole.y, SIGMA))


def test_a_small_picture_tunes_the_denoiser_for_the_large_one(photograph: torch.Tensor) -> None:
    truth = photograph[..., 48:144, 60:156]
    y, operator = degrade(truth, Degradation("sr", scale=2))
    whole, shipped = Problem.make(y, operator, Gaussian(0.0)), load_denoiser("shipped")
    kept, judge = whole.hold_out(0.1, 0)
    tuned = Tuned(shipped, steps=40, rate=1e-4, seed=0, restored=_plugged)
    assert tuned.possible(whole)
    found = tuned.judged(kept, judge)
    assert found is not None and tuned.steps in ((20,), (40,))
    assert psnr(tuned.again(whole), truth) > psnr(_plugged(shipped, whole), truth)


def test_a_small_picture_is_handed_over_thrice_with_noise(crop: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, found = _listened(monkeypatch)
    y, operator = degrade(crop[..., :32, :32], Degradation("sr", scale=2))
    restore(y, operator, sigma=0.0, config=CONFIG, steps=5, regulariser="auto")
    noisy = [picture for picture, config, _ in runs if config.noise]
    assert len(noisy) == 3 * len(found) > 0
    assert not torch.equal(noisy[0], noisy[1]) and not torch.equal(noisy[1], noisy[2])
    torch.testing.assert_close(found[0], torch.stack(noisy[:3]).mean(0))
    held = {how["coupling_end"] for _, config, how in runs if config.noise}
    assert held == {FusionConfig.coupling_end} and FusionConfig.coupling_end < SplittingConfig.coupling
    assert not any("coupling_end" in how for _, config, how in runs if not config.noise)


def test_holes_are_handed_over_once_without_noise(crop: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, found = _listened(monkeypatch)
    y, operator = degrade(crop[..., :32, :32], Degradation("inpaint", missing=0.5))
    restore(y, operator, sigma=0.0, config=CONFIG, steps=5, regulariser="auto")
    assert not any(config.noise or "coupling_end" in how for _, config, how in runs)
    assert len([config for _, config, how in runs if "start" in how]) == len(found) > 0


def _listened(monkeypatch: pytest.MonkeyPatch) -> tuple[list, list]:
    """Return what plug-and-play makes, with its denoiser's configuration and how it was asked, and what `handed` makes."""
    plugged, handed = Alone.plugged, Candidates.handed
    runs, found = [], []

    def listen(self, problem, prior, **how):
        picture = plugged(self, problem, prior, **how)
        runs.append((picture, prior.config, how))
        return picture

    monkeypatch.setattr(Alone, "plugged", listen)
    monkeypatch.setattr(Candidates, "handed", lambda *a: found.append(handed(*a)) or found[-1])
    return runs, found


@pytest.mark.parametrize("weight", [0.1, 0.3])
def test_theta_goes_on_only_where_the_local_picture_counts(
    weight: float, crop: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other pictures see all the measurements in any case, the local one as well if it weighs more than a fifth."""
    given = {"local": weight / 2, "handed": weight / 2, "global": 1 - weight}

    def weigh(pictures, held, **options):
        evidence = even([name for name in pictures if name in given], held.shape)
        planes = torch.stack([torch.full(held.shape[-2:], given[name]) for name in evidence.names])
        return dataclasses.replace(evidence, map=planes)

    gone_on = []
    refitted = Candidates.refitted
    monkeypatch.setattr(auto, "weigh", weigh)
    monkeypatch.setattr(Candidates, "refitted", lambda self, name, *a: gone_on.append(name) or refitted(self, name, *a))
    y = crop[..., :48, :48] + SIGMA * torch.randn(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    config = dataclasses.replace(CONFIG, regulariser=Part("auto", {"tuned": 0}))
    result = restore(y, sigma=SIGMA, config=config, steps=20)
    assert result.fusion is not None and {"global", "handed"} <= set(gone_on)
    assert ("local" in gone_on) == (weight > 0.2)


@pytest.mark.parametrize("wrong", [{"runs": 0}, {"tuned": -1}, {"handed": 0.0}, {"coupling_end": 0.0}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="auto"):
        FusionConfig(**wrong)


def test_a_small_picture_loses_nothing_by_the_fusion(crop: torch.Tensor) -> None:
    y, operator = degrade(crop, Degradation("sr", scale=2))
    config = dataclasses.replace(preset("fast", "sr"), precision="fp32", regulariser=Part("auto", {"tuned": 0}))
    fused, local, alone = (
        restore(y, operator, sigma=0.0, config=config, steps=60, **how)
        for how in ({}, {"regulariser": "none"}, {"generator": "pixels", "regulariser": "denoiser"})
    )
    assert fused.fusion is not None and fused.fusion.kind == "few"
    best = max(psnr(each.picture, crop) for each in (local, alone))
    assert psnr(fused.picture, crop) > best - 0.1
    assert psnr(fused.picture, crop) > psnr(operator.initial(y), crop) + 0.3


def test_tuning_leaves_the_denoiser_as_it_was_and_needs_weights_and_pairs(crop: torch.Tensor) -> None:
    shipped, (first, judge) = load_denoiser("shipped"), _judged(crop)
    before = [p.clone() for p in shipped.parameters()]
    tuned = Tuned(shipped, steps=1, rate=1e-2, seed=0, restored=_passed)
    tuned.judged(first, judge)
    assert all(torch.equal(p, q) for p, q in zip(before, shipped.parameters(), strict=True))
    assert not Tuned(load_denoiser(lambda x, sigma: x), steps=9, rate=1e-4, seed=0, restored=_passed).possible(first)
    assert not tuned.possible(Problem.make(crop, Mask(torch.ones(crop.shape[-2:])), Gaussian(SIGMA)))
    assert not tuned.possible(Problem.make(crop, Resample(2), Gaussian(SIGMA)))


def test_what_is_no_gaussian_noise_tunes_nothing(crop: torch.Tensor) -> None:
    """A small picture with counted photons is not clean, and its E is curved: no plug-and-play either."""
    y, operator = degrade(crop[..., :32, :32], Degradation("sr", scale=2))
    result = restore(y, operator, fidelity="poisson", sigma=0.05, config=CONFIG, steps=15, regulariser="auto")
    assert result.fusion is not None
    assert result.fusion.names == ("local", "hybrid")


def test_a_candidate_that_is_a_little_behind_counts_less_but_counts(photograph: torch.Tensor) -> None:
    """Where evidence is about a standard error sure; where it has nothing to say, and where it is certain."""
    _, held = _judged(photograph)
    rng = torch.Generator().manual_seed(3)
    first = photograph + 0.02 * torch.randn(photograph.shape, generator=rng)
    aside = torch.randn(photograph.shape, generator=rng)
    weights = [weigh({"first": first, "second": first + by * aside}, held).weights[1] for by in (0.0, 0.003, 0.2)]
    assert weights[0] == pytest.approx(0.5)
    assert 0.01 < weights[1] < 0.49
    assert weights[2] < 0.005


@pytest.mark.parametrize("told", [0.5, 2.0])
def test_a_sigma_that_is_wrong_by_two_is_noticed(crop: torch.Tensor, told: float) -> None:
    y = crop + SIGMA * torch.randn(crop.shape, generator=torch.Generator().manual_seed(0))
    result = restore(y, sigma=told * SIGMA, config=CONFIG, regulariser="auto")
    alone = restore(y, sigma=told * SIGMA, generator="pixels", regulariser="denoiser")
    assert result.fusion is not None
    assert "blind" in result.fusion.names and "The picture shows noise of 2" in result.message
    assert psnr(result.picture, crop) > psnr(alone.picture, crop) + 0.5
    assert psnr(result.picture, crop) > psnr(y, crop) + 6


def test_a_texture_like_noise_stays_in_the_picture() -> None:
    """The measurements show 2.8 times the noise that was told, which is more than a wrong sigma is taken for."""
    x = 0.5 + 2.6 * SIGMA * torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    y = x + SIGMA * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    result = restore(y, sigma=SIGMA, config=CONFIG, regulariser="auto")
    alone = restore(y, sigma=SIGMA, generator="pixels", regulariser="denoiser")
    assert result.fusion is not None and "picture shows" not in result.message
    assert psnr(result.picture, x) > psnr(alone.picture, x) - 0.05


def test_a_clean_picture_is_left_as_it_is(crop: torch.Tensor) -> None:
    result = restore(crop, sigma=0.0, config=CONFIG, regulariser="auto")
    assert torch.equal(result.picture, crop)
    assert "left as it is" in result.message


@pytest.mark.parametrize(("missing", "said"), [(0.95, False), (0.2, True)])
def test_chance_makes_no_picture_worse_than_another(photograph: torch.Tensor, missing: float, said: bool) -> None:
    noise = torch.randn(2, *photograph.shape[1:], generator=torch.Generator().manual_seed(1))
    one, other = photograph + 0.107 * noise[:1], photograph + 0.1 * noise[1:]
    keep = (torch.rand((1, 1, *photograph.shape[-2:]), generator=torch.Generator().manual_seed(2)) >= missing).float()
    _, held = Problem.make(photograph * keep, Mask(keep), Gaussian(0.0)).hold_out(0.1, 0)
    assert worse(one, other, held) is said
    assert not worse(other, one, held)
    assert not worse(one, one, held)


def test_a_lesson_of_few_steps_is_judged_too(crop: torch.Tensor) -> None:
    """Its last step is looked at, whatever their number: once at the start, and once after each of two lessons."""
    looks, (first, judge) = [], _judged(crop[..., :32, :32])

    def restored(network: Denoiser, problem: Problem) -> torch.Tensor:
        looks.append(network)
        return _passed(network, problem)

    Tuned(load_denoiser("shipped"), steps=3, rate=1e-4, seed=0, restored=restored).judged(first, judge)
    assert len(looks) == 3


@pytest.mark.parametrize("sigma", [0.0, 1 / 255])
def test_without_noise_a_few_measurements_stop_no_network_early(crop: torch.Tensor, sigma: float) -> None:
    """Of 64 x 64 with 95 % missing, some twenty pixels judge: their least error is at an early step by chance."""
    y, mask = degrade(crop, Degradation("inpaint", missing=0.95))
    solver = dataclasses.replace(CONFIG.solver, steps=60)
    result = _fused(Problem.make(y, mask, Gaussian(sigma)), "shipped", dataclasses.replace(CONFIG, solver=solver))
    assert min(range(60), key=lambda i: result.trace[i].score) + 1 < 60
    assert result.chosen_step == 60


def _raced(truth: torch.Tensor, rival: float, errors: list[float]) -> int:
    """Return the step at which the race ends, a denoiser and a network's steps being as far off as is said."""
    _, held = _judged(truth)  # whose patience never ends, with a held error that always falls
    noise = torch.randn(2, *truth.shape[1:], generator=torch.Generator().manual_seed(5))
    race = Race(truth + rival * noise[:1], held, sigma=SIGMA)
    for number, error in enumerate(errors, 1):
        picture = truth + error * noise[1:]
        if race.judge(Step(number, picture, picture, 0.0, 0.0, 1 / number, 0, 0.0)).stop:
            return number
    return 0


def test_a_network_that_has_arrived_far_off_is_out_of_the_race(crop: torch.Tensor) -> None:
    assert _raced(crop, 0.02, [0.1] * 400) == FEWEST


def test_a_network_that_still_comes_nearer_stays_in_the_race(crop: torch.Tensor) -> None:
    nearer = [0.3 * 0.85 ** (number / 50) for number in range(400)]
    assert _raced(crop, 0.02, nearer) == 0


def test_a_network_that_is_believed_stays_in_the_race(crop: torch.Tensor) -> None:
    assert _raced(crop, 0.03, [0.035] * 400) == 0


def test_a_race_waits_where_steps_were_taken_back(crop: torch.Tensor) -> None:
    _, held = _judged(crop)
    race = Race(crop, held, sigma=SIGMA)
    steps = [Step(n, crop + 0.1, crop, 0.0, 0.0, 1 / n, 0, 0.0) for n in range(150, 301)]  # nothing before was judged
    assert next(step.number for step in steps if race.judge(step).stop) == 250


def test_a_race_goes_on_as_it_was(crop: torch.Tensor) -> None:
    _, held = _judged(crop)
    whole, halves = Race(crop, held, sigma=SIGMA), [Race(crop, held, sigma=SIGMA) for _ in range(2)]
    steps = [Step(n, crop + 0.1, crop, 0.0, 0.0, 1.0 / min(n, 150), 0, 0.0) for n in range(1, 260)]
    verdicts = [whole.judge(step) for step in steps]
    assert [halves[0].judge(step) for step in steps[:120]] == verdicts[:120]
    halves[1].load_state_dict(halves[0].state_dict())
    assert [halves[1].judge(step) for step in steps[120:]] == verdicts[120:]
    assert any(verdict.stop for verdict in verdicts)


def test_the_rival_in_the_race_is_the_tuned_denoiser(monkeypatch: pytest.MonkeyPatch) -> None:
    rivals, pictures = [], []
    monkeypatch.setattr(auto, "Race", lambda rival, *a, **k: rivals.append(rival) or Race(rival, *a, **k))
    monkeypatch.setattr(auto, "weigh", lambda found, *a, **k: pictures.append(found) or weigh(found, *a, **k))
    y = _windows() + SIGMA * torch.randn(_windows().shape, generator=torch.Generator().manual_seed(0))
    restore(y, sigma=SIGMA, config=CONFIG, steps=10, regulariser="auto")
    assert torch.equal(rivals[0], pictures[0]["tuned"])
    assert not torch.equal(rivals[0], pictures[0]["global"])


@pytest.mark.parametrize("stage", ["lesson", "local"])
def test_ctrl_c_leaves_the_denoisers_picture_while_it_is_the_better_one(
    crop: torch.Tensor, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    y, _ = degrade(crop, Degradation("denoise", sigma=SIGMA))
    arguments = {"sigma": SIGMA, "config": CONFIG, "steps": 60, "regulariser": "auto"}
    best, whole = auto._best, restore(y, **arguments)

    def press(step: Step) -> None:
        if step.number == 49:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("hybridprior.interruption.INSISTING", 60.0)
    with monkeypatch.context() as patched:  # a second time while the picture is made, which loses nothing
        patched.setattr(auto, "_best", lambda *found: (signal.raise_signal(signal.SIGINT), best(*found))[1])
        if stage == "lesson":
            patched.setattr(tuned_module, "_of_itself", _pressed(5))
        part = restore(y, callbacks=[press], **arguments)
    assert part.status is Status.INTERRUPTED and len(part.trace) == (0 if stage == "lesson" else 49)
    shipped = load_denoiser("shipped")
    shipped.precision = "fp32"
    alone = shipped.denoise(y, SIGMA)
    assert psnr(part.picture, crop) > psnr(alone, crop) - 0.3
    if stage == "lesson":
        assert "denoiser alone" in part.message
        torch.testing.assert_close(part.picture, alone)
    with monkeypatch.context() as patched:  # and while the run that goes on is in its lessons
        patched.setattr(tuned_module, "_of_itself", _pressed(3))
        again = restore(y, state=part.state, **arguments)
    assert again.status is Status.INTERRUPTED and len(again.trace) == len(part.trace)
    assert again.state["rule"] == part.state["rule"]
    assert torch.equal(restore(y, state=again.state, **arguments).picture, whole.picture)


def _pressed(number: int):
    """Return the first lesson, with Ctrl-C at a step."""
    taught, calls = tuned_module._of_itself, []

    def press(*how):
        calls.append(how)
        if len(calls) == number:
            signal.raise_signal(signal.SIGINT)
        return taught(*how)

    return press
