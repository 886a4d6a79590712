"""Every public name of pcgen.metrics is defined once, and offered in one place."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections import defaultdict

from pcgen import metrics

FACADES = (metrics, metrics.jets, metrics.scores, metrics.trust)


def modules():
    found = pkgutil.walk_packages(metrics.__path__, "pcgen.metrics.")
    return [importlib.import_module(module.name) for module in found]


def test_every_public_function_and_class_is_defined_once():
    places = defaultdict(set)
    for module in modules():
        for name, value in vars(module).items():
            known = inspect.isclass(value) or inspect.isfunction(value)
            if known and value.__module__ == module.__name__ and not name.startswith("_"):
                places[name].add(module.__name__)
    assert len(places) > 100
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_every_name_is_offered_in_one_place():
    names = [name for facade in FACADES for name in facade.__all__]
    assert len(names) == len(set(names))
    for facade in FACADES:
        assert all(hasattr(facade, name) for name in facade.__all__)
