"""Peak memory of `prepare` under a limit: by threads, by workers, on a cluster.

    python -m benchmarks.prepare_memory --rows 20000000 --memory-limit 1.5GiB

Click logs in Criteo's layout are generated (5 GB for 20 million rows), then prepared
three times: in two threads, in two worker processes, and on a Dask cluster of two
workers, whose scheduler counts too. Told are the peak of the whole process tree (what
processes share is divided among them, PSS) and the seconds; the prepared files must be
the same bytes.
"""

import contextlib
import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click

from benchmarks.program import run

_MIB = 1 << 20
WAYS = {
    "2 threads": ["--threads", "2"],
    "2 workers": ["--workers", "2"],
    "a cluster of 2 workers": ["--scheduler"],
}


@click.command()
@click.option("--rows", default=20_000_000, show_default=True, help="To generate.")
@click.option("--memory-limit", default="1.5GiB", show_default=True)
@click.option("--work", type=click.Path(path_type=Path), help="Folder for all files.")
def main(rows: int, memory_limit: str, work: Path | None) -> None:
    """Prepare generated click logs under a memory limit."""
    from rafm_datasets import generate

    with tempfile.TemporaryDirectory(dir=work) as made:
        folder = Path(made)
        raw = generate("criteo", rows, 0, str(folder / "clicks.tsv")).path
        click.echo(f"{rows:,} rows, {Path(raw).stat().st_size / 1e9:.2f} GB")
        digests = set()
        for way, words in WAYS.items():
            out = folder / "data"
            command = ["prepare", "criteo", raw, "--out", str(out), *words]
            limit = ["--memory-limit", memory_limit]
            if "--scheduler" in words:
                with cluster(folder) as (address, pids):
                    done = run(*command, address, *limit, beside=pids)
            else:
                done = run(*command, *limit)
            digests.add(digest(out))
            shutil.rmtree(out)
            click.echo(
                f"{way}: peak {done.peak / _MIB:,.0f} MiB of {memory_limit}, "
                f"{done.seconds:.0f} s"
            )
        click.echo(f"{len(digests)} content(s) of {len(WAYS)} runs")


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, list[int]]]:
    """Give the address and the processes of a scheduler with two workers."""
    from distributed import Client  # asv imports this module too: not at its top

    file = folder / "scheduler.json"
    common = ("--scheduler-file", str(file), "--no-dashboard")
    with contextlib.ExitStack() as stack:
        pids = [_start(stack, folder, "scheduler", *common, "--port", "0")]
        while not file.exists():
            time.sleep(0.1)
        alone = ("--nthreads", "1", "--local-directory", str(folder / "dask"))
        pids += [_start(stack, folder, "worker", *common, *alone) for _ in range(2)]
        with Client(scheduler_file=str(file), set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
            address = client.scheduler.address
        yield address, pids


def _start(stack: contextlib.ExitStack, folder: Path, what: str, *words: str) -> int:
    process = subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.dask_{what}", *words],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return process.pid


def digest(folder: Path) -> str:
    """Return the SHA-256 over the Parquet files of prepared data, in order."""
    sha = hashlib.sha256()
    for file in sorted(folder.rglob("*.parquet")):
        sha.update(file.relative_to(folder).as_posix().encode())
        with file.open("rb") as content:
            sha.update(hashlib.file_digest(content, "sha256").digest())
    return sha.hexdigest()


if __name__ == "__main__":
    main()
