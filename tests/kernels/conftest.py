"""Fixtures: every backend of the table, and small seeded problems."""

from __future__ import annotations

from typing import Any

import pytest

from rafm_kernels import backend_names, load_backend


@pytest.fixture(scope="session", params=backend_names())
def backend(request: pytest.FixtureRequest) -> Any:
    return load_backend(request.param)
