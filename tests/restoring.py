"""What the tests of `restore` share."""

from hybridprior import Component, restore

NET = {"down": (8, 8), "up": (8, 8), "skip": (2, 2), "input_depth": 4}


def quick(y, operator=None, **options):
    from hybridprior import RestoreConfig, SolverConfig

    config = RestoreConfig(generator=Component("skip", NET), solver=SolverConfig(max_steps=2), precision="fp32")
    return restore(y, operator, **{"config": config, **options})
