"""Whether `rafm-bench bench compare` finds changes that were planted, and only those.

    python -m benchmarks.planted_changes --tries 10

In a clone of this repository's last commit it makes three more commits: one whose
FFM scores take 1.3 times as long in the backend `numba`, one whose training there
holds 100 MB more, one with no change but a line of README. Each is compared with the
commit below it, the last one `--tries` times. Exit code 1 when a verdict is wrong.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import click

KERNELS = Path("kernels", "rafm_kernels", "backends", "numba_serial.py")
README = Path("README.md")


class Plant(NamedTuple):
    """An edit to one file, and the benchmarks that it must slow down or enlarge."""

    what: str
    file: Path
    old: str
    new: str
    found: tuple[str, ...]  # words that a flagged benchmark has, all of them


SLOWER = Plant(
    "FFM's scores 1.3 times slower",
    KERNELS,
    "    return numba_threads.scores(model, parameters, batch)\n",
    """\
    if model.name == "ffm":
        n = 3 * batch.n_rows // 10
        end = batch.indptr[n]
        part = batch._replace(
            indptr=batch.indptr[: n + 1],
            ids=batch.ids[:end],
            fields=batch.fields[:end],
            labels=batch.labels[:n],
        )
        numba_threads.scores(model, parameters, part)
    return numba_threads.scores(model, parameters, batch)
""",
    ("time_score", "ffm", "numba"),
)
LARGER = Plant(
    "training holds 100 MB more",
    KERNELS,
    "    return numba_threads.train(model, state, optimizer, batch, batch_size)\n",
    """\
    import numpy

    held = numpy.ones(100_000_000, numpy.uint8)
    assert held[0]
    return numba_threads.train(model, state, optimizer, batch, batch_size)
""",
    ("peakmem_train", "numba"),
)
NOTHING = Plant("no change", README, "\n", "\n\n", ())


@click.command()
@click.option("--tries", default=10, show_default=True, help="Of no change.")
@click.option("--suite", default="models.Score.*numba$", show_default=True)
@click.option("--work", type=click.Path(path_type=Path), help="Folder for the clone.")
def main(tries: int, suite: str, work: Path | None) -> None:
    """Plant changes and compare commits."""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        clone = Path(folder, "rafm-bench")
        _git(Path.cwd(), "clone", "--quiet", ".", str(clone))
        wrong = 0
        for plant, times in ((SLOWER, 1), (LARGER, 1), (NOTHING, tries)):
            commit(clone, plant)
            for _ in range(times):
                wrong += report(plant, compare(clone, suite))
        click.echo(f"{wrong} wrong verdicts")
        sys.exit(bool(wrong))


def commit(clone: Path, plant: Plant) -> None:
    """Commit a planted change on top of the last commit without plants."""
    _git(clone, "reset", "--quiet", "--hard", "origin/HEAD")
    text = (clone / plant.file).read_text(encoding="utf-8")
    if plant.old not in text:
        raise SystemExit(f"{plant.file} has changed: mend {plant.what!r} here")
    (clone / plant.file).write_text(
        text.replace(plant.old, plant.new, 1), encoding="utf-8"
    )
    _git(
        clone, "-c", "user.name=plant", "-c", "user.email=plant@example.org",
        "commit", "--quiet", "--all", "--message", plant.what,
    )  # fmt: skip


def compare(clone: Path, suite: str) -> dict:
    """Compare the clone's last commit with the one below it."""
    words = ["bench", "compare", "HEAD~1", "HEAD", "--suite", suite, "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "rafm_bench", *words],
        cwd=clone,
        stdout=subprocess.PIPE,
        text=True,
    )
    if not done.stdout:
        raise SystemExit(f"bench compare ended with {done.returncode}")
    return json.loads(done.stdout)


def report(plant: Plant, found: dict) -> int:
    """Print what was flagged; return how many verdicts are not as planted."""
    judged = [one for one in found["benchmarks"] if "verdict" in one]
    click.echo(f"{plant.what}: {len(judged)} benchmarks")
    wrong = 0
    for one in judged:
        label = f"{one['name']}({', '.join(one['params'])})"
        expected = "slower" if _is_planted(plant, one) else "no difference shown"
        right = one["verdict"] == expected
        wrong += not right
        if not right or expected == "slower":
            click.echo(
                f"  {label}: {one['ratio']:.3f} ({one['low']:.3f} to "
                f"{one['high']:.3f}), {one['verdict']}{'' if right else ': WRONG'}"
            )
    widest = max(judged, key=lambda one: one["high"] / one["low"])
    click.echo(f"  widest interval {widest['low']:.3f} to {widest['high']:.3f}")
    return wrong


def _is_planted(plant: Plant, one: dict) -> bool:
    words = [one["name"].split(".")[-1], *(p.split()[0] for p in one["params"])]
    return bool(plant.found) and all(word in words for word in plant.found)


def _git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True)


if __name__ == "__main__":
    main()
