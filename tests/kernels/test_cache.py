"""Compiled code on disk: stale with any source, and where it cannot be kept."""

from __future__ import annotations

import pickle

import numba
import pytest

from rafm_kernels.backends import numba_cache


def test_compiled_code_is_stamped_with_the_sources_of_all_backends():
    """An edit in another file than the entry function's must not run old code."""
    kept = numba_cache._source_hash()
    compiled = numba_cache.cached_jit(lambda x: x)
    assert compiled._cache._cache_file._source_stamp == kept  # type: ignore[attr-defined]


def test_an_index_of_other_sources_is_stale_even_if_it_cannot_be_read(tmp_path):
    kept = numba_cache.cached_jit(lambda x: x)._cache._cache_file  # type: ignore[attr-defined]
    kept._index_path = str(tmp_path / "index")
    gone = b"cnowhere.to_be_found\nShape\n."  # the pickle of a class that is gone
    older = kept._version.replace(kept._source_stamp.hex(), "0" * 64)
    (tmp_path / "index").write_bytes(pickle.dumps(older) + gone)
    assert kept._load_index() == {}
    (tmp_path / "index").write_bytes(pickle.dumps(kept._version) + gone)
    with pytest.raises(ModuleNotFoundError):
        kept._load_index()


@pytest.mark.parametrize("missing", ["the cache's attributes", "a folder to write to"])
def test_without_a_cache_code_is_compiled_anew_with_one_warning(monkeypatch, missing):
    whole = numba.njit

    def njit(cache=False, **flags):
        def decorate(function):
            if cache and missing == "a folder to write to":
                raise RuntimeError("cannot cache function 'f': no locator available")
            return whole(**flags)(function)  # has no file of a cache

        return decorate

    monkeypatch.setattr(numba_cache, "njit", njit)
    numba_cache._warn_once.cache_clear()
    with pytest.warns(RuntimeWarning, match="is not kept on disk") as told:
        found = [numba_cache.cached_jit(f)(2) for f in (lambda x: x + 1, lambda x: -x)]
    assert found == [3, -2]
    assert len(told) == 1
    numba_cache._warn_once.cache_clear()


def test_another_error_of_numba_is_not_taken_for_a_cache_that_is_absent(monkeypatch):
    def njit(**flags):
        raise RuntimeError("of another kind")

    monkeypatch.setattr(numba_cache, "njit", njit)
    with pytest.raises(RuntimeError, match="of another kind"):
        numba_cache.cached_jit(lambda x: x)
