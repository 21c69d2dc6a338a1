"""Imports point one way: a module imports only from its own layer and from the layers below it.

The layers are those of the design. Imports inside functions and those for type checking only are counted too.
"""

from source_tree import circles, imported_modules, modules

# From top to bottom.
LAYERS = (
    ("cli",),
    ("hybridprior",),
    ("applications", "evaluation"),
    ("restoration", "uncertainty"),
    ("resolve", "overrides"),
    ("fusion",),
    ("solvers",),
    ("regularisers",),
    ("generators", "problem", "measurements"),
    ("operators", "stopping"),
    ("training", "analysis", "result", "fusion_weights", "presets"),
    ("denoisers", "fidelities", "config", "noise_model"),
    ("io", "metrics", "_internal", "data", "weights"),
    ("errors",),
)
RANK = {name: rank for rank, layer in enumerate(reversed(LAYERS)) for name in layer}


def test_every_module_has_a_layer() -> None:
    assert {module.layer_name for module in modules().values()} <= set(RANK)


def test_imports_point_one_way() -> None:
    upward = set()
    for module in modules().values():
        for target in imported_modules(module):
            if RANK[modules()[target].layer_name] > RANK[module.layer_name]:
                upward.add(f"{module.name} -> {target}")
    assert not upward, "These modules import from a layer above them."


def test_no_modules_import_each_other_in_a_circle() -> None:
    found = circles({name: imported_modules(module) for name, module in modules().items()})
    assert not found, "These modules import each other in a circle."


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
