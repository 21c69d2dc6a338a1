"""Stacking weights: they add up to 1 and follow the validation errors."""

import dataclasses

import pytest
import torch
from fusing import CONFIG, SIGMA, recorrupted

from hybridprior import Mask, restore
from hybridprior.fidelities import Gaussian
from hybridprior.fusion import fit_stacking_weights
from hybridprior.fusion.stacking import significantly_worse, simplex, uniform_weights
from hybridprior.metrics import psnr
from hybridprior.problem import Problem


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
    first, second = recorrupted(x)
    one, two = first.y - x, second.y - x
    assert float((one * two).mean()) == pytest.approx(0, abs=4 * first.fidelity.sigma * second.fidelity.sigma / 300)
    assert float(one.std()) == pytest.approx(first.fidelity.sigma, rel=0.02)
    assert float(two.std()) == pytest.approx(second.fidelity.sigma, rel=0.02)
    whole = first.fidelity.sigma**-2 + second.fidelity.sigma**-2
    assert whole == pytest.approx(SIGMA**-2)
    assert second.fidelity.sigma**-2 / whole == pytest.approx(0.12)


def test_the_perfect_candidate_is_chosen_and_the_broken_one_dropped(photograph: torch.Tensor) -> None:
    _, validation = recorrupted(photograph)
    broken = photograph.mean().expand_as(photograph)
    noisy = photograph + 0.05 * torch.randn(photograph.shape, generator=torch.Generator().manual_seed(4))
    fusion_weights = fit_stacking_weights({"broken": broken, "perfect": photograph, "noisy": noisy}, validation)
    assert fusion_weights.weights[1] > 0.97
    assert fusion_weights.weights[0] < 0.005
    assert fusion_weights.map.shape == (3, *photograph.shape[-2:])
    torch.testing.assert_close(fusion_weights.map.sum(0), torch.ones(photograph.shape[-2:]), rtol=0, atol=1e-5)
    assert fusion_weights.errors[0] > fusion_weights.errors[2] > fusion_weights.errors[1]


def test_errors_that_are_independent_average_out(photograph: torch.Tensor) -> None:
    _, validation = recorrupted(photograph)
    rng = torch.Generator().manual_seed(3)
    names = {name: photograph + 0.08 * torch.randn(photograph.shape, generator=rng) for name in ("a", "b")}
    fusion_weights = fit_stacking_weights(names, validation)
    assert fusion_weights.kind == "combination"
    assert fusion_weights.weights[0] == pytest.approx(0.5, abs=0.1)
    assert fusion_weights.gain > 2 * fusion_weights.gain_standard_error
    fused = fusion_weights.combine(names)
    assert psnr(fused, photograph) > max(psnr(x, photograph) for x in names.values()) + 2.5


def test_preferred_candidates_share_the_weight_until_others_are_significantly_better(photograph: torch.Tensor) -> None:
    _, validation = recorrupted(photograph)
    rng = torch.Generator().manual_seed(3)
    near, far = (photograph + by * torch.randn(photograph.shape, generator=rng) for by in (0.03, 0.2))
    alike = fit_stacking_weights(
        {"first": near, "second": near + 1e-3, "third": far}, validation, preferred=("second", "third")
    )
    assert alike.kind == "few" and alike.weights[0] == 0 and alike.weights[1] > 0.9
    assert fit_stacking_weights({"first": near, "second": far}, validation, preferred=("second",)).weights[0] > 0.9
    assert fit_stacking_weights({"first": near, "second": far}, validation, preferred=("third",)).kind != "few"


def test_a_map_says_where(photograph: torch.Tensor) -> None:
    _, validation = recorrupted(photograph, 0.05)
    left = torch.zeros_like(photograph)
    left[..., : photograph.shape[-1] // 2] = 0.2
    names = {"left": photograph + left.flip(-1), "right": photograph + left}
    fusion_weights = fit_stacking_weights(names, validation)
    assert fusion_weights.kind == "map"
    third = photograph.shape[-1] // 3
    assert fusion_weights.map[0, :, :third].mean() > 0.9
    assert fusion_weights.map[1, :, -third:].mean() > 0.9


def test_what_has_little_weight_everywhere_leaves_no_hole() -> None:
    ones = torch.ones(1, 3, 4, 4)
    weights = torch.tensor([0.995, 0.005])
    corner = weights[:, None, None].repeat(1, 4, 4)
    corner[:, 0, 0] = torch.tensor([0.0, 1.0])
    fusion_weights = dataclasses.replace(uniform_weights(["a", "b"], ones.shape), map=corner)
    assert torch.equal(fusion_weights.combine({"a": ones}), ones)
    torch.testing.assert_close(fusion_weights.combine({"a": ones, "b": ones}), ones)


def test_measurements_that_are_no_image_have_one_combination() -> None:
    matrix = torch.randn(300, 3 * 16 * 16, generator=torch.Generator().manual_seed(0)) / 16

    def project(x: torch.Tensor) -> torch.Tensor:
        return x.flatten() @ matrix.T

    x = torch.rand(1, 3, 16, 16)
    result = restore(
        project(x), project, sigma=0.1, shape=(1, 3, 16, 16), config=CONFIG, max_steps=15, regulariser="auto"
    )
    assert result.fusion is not None
    assert result.fusion.kind != "map"


def test_a_candidate_that_is_a_little_behind_counts_less_but_counts(photograph: torch.Tensor) -> None:
    """Where the validation errors are equal, where they differ by a standard error, and where by many."""
    _, validation = recorrupted(photograph)
    rng = torch.Generator().manual_seed(3)
    first = photograph + 0.02 * torch.randn(photograph.shape, generator=rng)
    aside = torch.randn(photograph.shape, generator=rng)
    weights = [
        fit_stacking_weights({"first": first, "second": first + by * aside}, validation).weights[1]
        for by in (0.0, 0.003, 0.2)
    ]
    assert weights[0] == pytest.approx(0.5)
    assert 0.01 < weights[1] < 0.49
    assert weights[2] < 0.005


@pytest.mark.parametrize(("missing", "said"), [(0.95, False), (0.2, True)])
def test_chance_makes_no_image_worse_than_another(photograph: torch.Tensor, missing: float, said: bool) -> None:
    noise = torch.randn(2, *photograph.shape[1:], generator=torch.Generator().manual_seed(1))
    one, other = photograph + 0.107 * noise[:1], photograph + 0.1 * noise[1:]
    keep = (torch.rand((1, 1, *photograph.shape[-2:]), generator=torch.Generator().manual_seed(2)) >= missing).float()
    _, validation = Problem.make(photograph * keep, Mask(keep), Gaussian(0.0)).hold_out(0.1, 0)
    assert significantly_worse(one, other, validation) is said
    assert not significantly_worse(other, one, validation)
    assert not significantly_worse(one, one, validation)
