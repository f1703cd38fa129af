"""Factorization machines on data bigger than memory: prepare, train, compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rafm_bench.estimators import FMClassifier as FMClassifier
    from rafm_bench.estimators import FMRegressor as FMRegressor
    from rafm_bench.estimators import RaFMClassifier as RaFMClassifier
    from rafm_bench.estimators import RaFMRegressor as RaFMRegressor

__version__ = "0.1.0"

_ESTIMATORS = ("FMClassifier", "FMRegressor", "RaFMClassifier", "RaFMRegressor")


def __getattr__(name: str) -> Any:
    """Import an estimator when it is asked for: nothing else needs scikit-learn."""
    if name not in _ESTIMATORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module("rafm_bench.estimators"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_ESTIMATORS})
