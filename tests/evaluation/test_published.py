"""Published figures are shown only beside comparable ones."""

from hybridprior.evaluation.degradation import Degradation


def test_published_figures_stand_only_beside_comparable_ones() -> None:
    from hybridprior.evaluation.bench.published import means, of_image

    assert of_image("house", Degradation("denoise", sigma=25 / 255)) == 32.09
    assert of_image("house", Degradation("denoise", sigma=50 / 255)) is None
    assert of_image("house", Degradation("inpaint", missing=0.5)) == 39.16
    assert of_image("house", Degradation("inpaint", missing=0.8)) is None
    assert {name.split()[-1] for name in means(Degradation("sr", scale=8))} == {"x8"}
    assert means(Degradation("denoise", sigma=0.2)) == {}
