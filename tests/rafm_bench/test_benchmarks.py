"""The suites of airspeed velocity, which imports every module of their package."""

from __future__ import annotations

import importlib
import pkgutil

import benchmarks


def test_every_module_can_be_imported_with_what_the_tests_install() -> None:
    found = pkgutil.walk_packages(benchmarks.__path__, "benchmarks.")
    names = [module.name for module in found if not module.name.endswith("__main__")]
    assert "benchmarks.prepare" in names
    for name in names:
        importlib.import_module(name)
