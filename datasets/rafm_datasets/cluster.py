"""Pools of worker processes: those of a run of its own, and of a Dask cluster."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import secrets
import signal
import sys
import tempfile
from concurrent.futures import CancelledError, ThreadPoolExecutor
from importlib import metadata
from multiprocessing.resource_tracker import ensure_running
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from rafm_datasets.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

T = TypeVar("T")
_CONNECT_SECONDS = 5
_START_SECONDS = 60
_PACKAGES = ("numpy", "pyarrow", "polars", "distributed")
_TOKEN_NAME = "seen"
ENVIRONMENT = {
    # A task is one thread's work: a pool in each worker would only cost memory.
    "POLARS_MAX_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}


class _Cluster:
    """Workers behind a Dask client; `name` is what messages call them."""

    def __init__(self, client: Any, name: str) -> None:
        self.client, self.name = client, name
        self._executor = client.get_executor(pure=False)
        workers = client.scheduler_info(n_workers=-1)["workers"]
        self.n_processes = len(workers)
        self.size = sum(worker["nthreads"] for worker in workers.values())

    def check(self, folder: Path, raw: Sequence[str]) -> None:
        """As in `Pool.check`."""
        token = folder / _TOKEN_NAME
        token.write_text(secrets.token_hex(), encoding="ascii")
        try:
            seen = self.client.run(look, str(token), tuple(raw))
        except ImportError as error:
            raise DataError(
                f"the workers of {self.name} cannot run our tasks ({error}); install "
                "rafm-bench there as it is here"
            ) from error
        finally:
            here = look(str(token), tuple(raw))
            token.unlink()
        for worker, sight in seen.items():
            _compare(worker, sight, here)

    def submit(self, task: Callable[[], T]) -> Future[T]:
        """As in `Pool.submit`."""
        future: Future[T] = self._executor.submit(task)
        return future

    def result(self, future: Future[T]) -> T:
        """As in `Pool.result`."""
        from distributed.scheduler import KilledWorker, NoValidWorkerError

        try:
            return future.result()
        except (KilledWorker, NoValidWorkerError) as error:
            raise ChildProcessError(
                f"workers of {self.name} died again and again at the same task, most "
                "likely killed for want of memory; give a lower --memory-limit or "
                "fewer workers, and the same command goes on where it stopped"
            ) from error
        except CancelledError as error:
            raise ChildProcessError(
                f"the connection to {self.name} was lost; the same command goes on "
                "where it stopped"
            ) from error


class Sight(NamedTuple):
    """What a worker is made of and what it sees."""

    host: str
    versions: dict[str, str]
    token: str | None
    missing: tuple[str, ...]


def look(token: str, raw: tuple[str, ...]) -> Sight:
    """Tell what this process is made of and which files it sees.

    Parameters
    ----------
    token : str                        path of a file whose text proves it is the same
    raw : tuple of str                 paths

    Returns
    -------
    Sight
    """
    versions = {name: metadata.version(name) for name in _PACKAGES}
    versions["python"] = ".".join(map(str, sys.version_info[:2]))
    versions["rafm_datasets"] = code_hash(Path(__file__).parent)
    text = None
    with contextlib.suppress(OSError):
        text = Path(token).read_text(encoding="ascii")
    missing = tuple(path for path in raw if not os.access(path, os.R_OK))
    return Sight(os.uname().nodename, versions, text, missing)


def code_hash(package: Path) -> str:
    """Name the code of a package by its folder: other code may make other bytes."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def compare_versions(where: str, there: dict[str, str], here: dict[str, str]) -> None:
    """Raise DataError where a worker has another version than this process."""
    for name, version in here.items():
        if there.get(name) != version:
            raise DataError(
                f"{where} has {name} {there.get(name)}, but this process has "
                f"{version}; install the same on both"
            )


def _compare(worker: str, there: Sight, here: Sight) -> None:
    where = f"worker {worker} on {there.host}"
    compare_versions(where, there.versions, here.versions)
    if there.token != here.token:
        raise DataError(
            f"{where} does not see the folder given as --out (as --work, where --out "
            "is an address); choose one on a file system that all workers share"
        )
    if there.missing:
        raise DataError(
            f"{where} cannot read {there.missing[0]}; put raw files on a file system "
            "that all workers share"
        )


@contextlib.contextmanager
def running(address: str) -> Iterator[_Cluster]:
    """Open the workers of a cluster that runs already.

    Parameters
    ----------
    address : str                      of its scheduler, such as tcp://host:8786

    Yields
    ------
    Pool

    Raises
    ------
    DataError                          no scheduler there, or one without workers
    """
    from distributed import Client

    try:
        with ThreadPoolExecutor(1) as thread:  # this one may have a loop of its own
            thread.submit(asyncio.run, _knock(address)).result()
    except (OSError, ValueError) as error:
        raise DataError(
            f"there is no Dask scheduler at {address}; check the address, which should "
            "look like tcp://host:8786"
        ) from error
    with Client(address, set_as_default=False) as client:
        pool = _Cluster(client, f"the cluster at {address}")
        if not pool.size:
            raise DataError(
                f"the Dask cluster at {address} has no workers; start some with "
                f"`dask worker {address}`"
            )
        yield pool


async def _knock(address: str) -> None:
    """Connect once: a client that finds nobody cannot be closed without noise."""
    from distributed.comm import connect

    comm = await connect(address, timeout=_CONNECT_SECONDS)
    await comm.close()


@contextlib.contextmanager
def local(n_workers: int) -> Iterator[_Cluster]:
    """Start worker processes of one thread each, for the time of a run.

    Parameters
    ----------
    n_workers : int

    Yields
    ------
    Pool
    """
    import dask
    from distributed import Client

    settings = {
        f"distributed.nanny.pre-spawn-environ.{name}": value
        for name, value in ENVIRONMENT.items()
    }
    # A nanny sets the variables of its worker in this process first.
    with (
        _restored_environment(),
        tempfile.TemporaryDirectory(prefix="rafm-workers-") as scratch,
        dask.config.set(settings),
        contextlib.ExitStack() as stack,
    ):
        workers = _started(n_workers, scratch)
        stack.callback(_close, workers)
        client = stack.enter_context(Client(workers, set_as_default=False))
        client.wait_for_workers(n_workers, timeout=_START_SECONDS)
        try:
            yield _Cluster(client, "this run")
        except ChildProcessError:  # a worker on its way back cannot be closed
            with contextlib.suppress(TimeoutError):
                client.wait_for_workers(n_workers, timeout=_START_SECONDS)
            raise


def _close(workers: Any) -> None:
    """Close workers; one that is just coming back ends with this process."""
    with contextlib.suppress(AssertionError):
        workers.close()


def _started(n_workers: int, scratch: str) -> Any:
    """Start workers that Ctrl-C leaves alone: it is for this process to stop them.

    The thread that starts them, now or again, has the signal blocked, and so have they.
    """
    from distributed import LocalCluster

    ensure_running()  # it would unblock the signal later, when the first worker starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            local_directory=scratch,
            silence_logs=logging.CRITICAL,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _restored_environment() -> Iterator[None]:
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
