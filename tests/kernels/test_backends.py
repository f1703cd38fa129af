"""Every backend of the table passes the suite that authors of others run on theirs."""

from __future__ import annotations

import pytest

from rafm_kernels.testing import backend_checks


@pytest.mark.parametrize("check", backend_checks(), ids=str)
def test_backends_conform(backend, check):
    check(backend)
