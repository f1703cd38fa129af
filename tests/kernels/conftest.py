"""Fixtures: every backend of our own table; other packages test theirs."""

from __future__ import annotations

from typing import Any

import pytest

from rafm_kernels import OWN_BACKENDS, load_backend


@pytest.fixture(scope="session", params=OWN_BACKENDS)
def backend(request: pytest.FixtureRequest) -> Any:
    return load_backend(request.param)
