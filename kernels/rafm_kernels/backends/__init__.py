"""The table of backends: name -> module, imported on first use."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from rafm_kernels.contract import Backend

ENTRY_POINT_GROUP = "rafm_kernels.backends"

_MODULES = {
    "numpy": "rafm_kernels.backends.numpy_reference",
    "numba": "rafm_kernels.backends.numba_serial",
    "numba-parallel": "rafm_kernels.backends.numba_threads",
}


def backend_names() -> tuple[str, ...]:
    """Names of the backends that are listed here or by installed packages."""
    others = sorted(point.name for point in entry_points(group=ENTRY_POINT_GROUP))
    return (*_MODULES, *(name for name in others if name not in _MODULES))


def load_backend(name: str) -> Backend:
    """Import a backend by its name.

    Raises
    ------
    ValueError                       when no backend has that name
    ImportError                      when its library is not installed
    """
    if name in _MODULES:
        return cast("Backend", importlib.import_module(_MODULES[name]))
    for point in entry_points(group=ENTRY_POINT_GROUP, name=name):
        return cast("Backend", point.load())
    known = ", ".join(backend_names())
    raise ValueError(f"unknown backend {name!r}; choose one of {known}")
