"""The table of backends: name -> module, imported on first use."""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from rafm_kernels.contract import Backend

ENTRY_POINT_GROUP = "rafm_kernels.backends"

_MODULES = {
    "numpy": "rafm_kernels.backends.numpy_reference",
    "numba": "rafm_kernels.backends.numba_serial",
    "numba-parallel": "rafm_kernels.backends.numba_threads",
}
OWN_BACKENDS = tuple(_MODULES)


class BackendUnavailable(ImportError, ValueError):
    """A backend that is listed and cannot be imported: which, whose, and why."""


def backend_names() -> tuple[str, ...]:
    """Names of the backends that are listed here or by installed packages."""
    others = sorted({point.name for point in entry_points(group=ENTRY_POINT_GROUP)})
    return (*_MODULES, *(name for name in others if name not in _MODULES))


def load_backend(name: str) -> Backend:
    """Import a backend by its name; one of ours before another package's.

    Raises
    ------
    ValueError                       when no backend has that name, or two packages
                                     offer one
    BackendUnavailable               when it, or a library that it needs, is not there;
                                     an ImportError and a ValueError
    """
    if name in _MODULES:
        try:
            return cast("Backend", importlib.import_module(_MODULES[name]))
        except ImportError as error:
            raise _unavailable(name, "rafm-bench", error) from error
    points = tuple(entry_points(group=ENTRY_POINT_GROUP, name=name))
    if not points:
        known = ", ".join(backend_names())
        raise ValueError(f"unknown backend {name!r}; choose one of {known}")
    if len(points) > 1:
        owners = " and ".join(sorted(_owner(point) for point in points))
        raise ValueError(
            f"backend {name!r} is offered by {owners}; uninstall all of them but one"
        )
    try:
        return cast("Backend", points[0].load())
    except (ImportError, AttributeError) as error:
        raise _unavailable(name, _owner(points[0]), error) from error


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value


def _unavailable(name: str, owner: str, error: Exception) -> BackendUnavailable:
    return BackendUnavailable(
        f"backend {name!r} of {owner} cannot be imported: {error}; install what it "
        "needs, or choose another backend"
    )
