"""The options of the command line agree with the library, whose modules it does not import for its help."""

import inspect

from hybridprior.cli import options

from hybridprior import restore
from hybridprior.operators import BOUNDARIES, KERNELS, PATTERNS
from hybridprior.presets import TASKS


def test_names_are_those_of_the_operators() -> None:
    assert set(options.BOUNDARIES) == set(BOUNDARIES)
    assert set(options.KERNELS) == set(KERNELS)
    assert set(options.PATTERNS) == set(PATTERNS)
    assert set(options.OWNERS.values()) <= set(TASKS)


def test_the_default_preset_is_that_of_the_library() -> None:
    assert inspect.signature(restore).parameters["preset"].default == options.DEFAULT_PRESET
