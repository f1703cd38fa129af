"""Whether `rafm-bench bench compare` finds changes that were planted, and only those.

    python -m benchmarks.planted_changes --tries 10

In a clone of this repository's last commit it makes three more commits: one whose
kernel of FFM scores, which both compiled backends use, takes 1.3 times as long, one
whose training in the backend `numba` holds 100 MB more, one with no change but a line
of README. Each is compared with the commit below it, the last one `--tries` times. Only
"slower" and "faster" count as flagged. Exit code 1 when a verdict is wrong.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import click

BACKENDS = Path("kernels", "rafm_kernels", "backends")
README = Path("README.md")


class Plant(NamedTuple):
    """An edit to one file, and the benchmarks that it must slow down or enlarge."""

    what: str
    file: Path
    old: str
    new: str
    found: tuple[str, ...]  # patterns of a flagged benchmark's name and parameters


# Pairs of three rows of five are summed twice, the second time from the cache. Scores
# stay the same to the last bit: half of the sum of two equal numbers.
SLOWER = Plant(
    "FFM's scores 1.3 times slower",
    BACKENDS / "numba_ffm.py",
    """\
        z += _pair_products(dim, table, at, place, x, n, table, 0, 0, False, False)
        out[r] = z
""",
    """\
        n_sums = 2 if r % 5 < 3 else 1
        pairs = 0.0
        for _ in range(n_sums):
            pairs += _pair_products(
                dim, table, at, place, x, n, table, 0, 0, False, False
            )
        z += pairs / n_sums
        out[r] = z
""",
    ("time_score", "ffm.*", "numba.*"),
)
# Held from the first call on, which is in a benchmark's setup: no call takes longer.
LARGER = Plant(
    "training holds 100 MB more",
    BACKENDS / "numba_serial.py",
    "    return numba_threads.train(model, state, optimizer, batch, batch_size)\n",
    """\
    if not hasattr(train, "held"):
        import numpy

        train.held = numpy.ones(100_000_000, numpy.uint8)
    return numba_threads.train(model, state, optimizer, batch, batch_size)
""",
    ("peakmem_train", ".*", "numba"),
)
NOTHING = Plant("no change", README, "\n", "\n\n", ())


@click.command()
@click.option("--plants/--no-plants", default=True, help="Plant changes at all.")
@click.option("--tries", default=10, show_default=True, help="Of no change.")
@click.option("--suite", default="^models.Score", show_default=True)
@click.option("--work", type=click.Path(path_type=Path), help="Folder for the clone.")
def main(plants: bool, tries: int, suite: str, work: Path | None) -> None:
    """Plant changes and compare commits."""
    root = _git(Path.cwd(), "rev-parse", "--show-toplevel")
    with tempfile.TemporaryDirectory(dir=work) as folder:
        clone = Path(folder, "rafm-bench")
        _git(Path(root), "clone", "--quiet", ".", str(clone))
        base = _git(clone, "rev-parse", "HEAD")  # origin may have no HEAD
        wrong = 0
        for plant, times in ((SLOWER, plants), (LARGER, plants), (NOTHING, tries)):
            commit(clone, base, plant)
            for _ in range(times):
                wrong += report(plant, compare(clone, suite))
        click.echo(f"{wrong} wrong verdicts")
        sys.exit(bool(wrong))


def commit(clone: Path, base: str, plant: Plant) -> None:
    """Commit a planted change on top of `base`, the last commit without plants."""
    _git(clone, "reset", "--quiet", "--hard", base)
    text = (clone / plant.file).read_text(encoding="utf-8")
    if plant.old not in text:
        raise SystemExit(f"{plant.file} has changed: mend {plant.what!r} here")
    (clone / plant.file).write_text(
        text.replace(plant.old, plant.new, 1), encoding="utf-8"
    )
    _git(
        clone, "-c", "user.name=plant", "-c", "user.email=plant@example.org",
        "-c", "commit.gpgsign=false",
        "commit", "--quiet", "--no-verify", "--all", "--message", plant.what,
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
    failed = [
        one for one in found["benchmarks"] if one.get("error", "skipped") != "skipped"
    ]
    click.echo(f"{plant.what}: {len(judged)} benchmarks")
    for one in failed:
        click.echo(f"  {one['name']}({', '.join(one['params'])}): {one['error']}")
    planted = [one for one in judged if _is_planted(plant, one)]
    if not judged or (plant.found and not planted):
        click.echo("  nothing judged that was to be found: WRONG; see --suite")
        return 1
    wrong = len(failed)
    for one in judged:
        label = f"{one['name']}({', '.join(one['params'])})"
        right = (one["verdict"] == "slower") == (one in planted)
        right = right and one["verdict"] != "faster"
        wrong += not right
        if not right or one in planted:
            click.echo(
                f"  {label}: {one['ratio']:.3f} ({one['low']:.3f} to "
                f"{one['high']:.3f}), {one['verdict']}{'' if right else ': WRONG'}"
            )
    widest = max(judged, key=lambda one: one["high"] / one["low"])
    click.echo(f"  widest interval {widest['low']:.3f} to {widest['high']:.3f}")
    return wrong


def _is_planted(plant: Plant, one: dict) -> bool:
    words = [one["name"].split(".")[-1], *one["params"]]
    return len(words) == len(plant.found) and all(
        re.fullmatch(pattern, word)
        for pattern, word in zip(plant.found, words, strict=True)
    )


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
