"""A commit built in a worktree of its own, with an environment of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rafm_bench.errors import RunError, UserError
from rafm_bench.lock import locked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rafm_bench.progress import Reporter

BUILDS = Path(".asv", "compare")
MEASURED = ("rafm_bench", "kernels", "datasets", "benchmarks")  # folders with code


@dataclass(frozen=True, slots=True)
class Environment:
    """A commit that was built: `folder` holds src (its tree), env and scratch."""

    name: str
    commit: str
    folder: Path

    @property
    def source(self) -> Path:
        """The commit's tree."""
        return self.folder / "src"

    @property
    def python(self) -> Path:
        """The interpreter that has the commit installed."""
        return self.folder / "env" / "bin" / "python"

    @property
    def scratch(self) -> Path:
        """Where its benchmarks keep what they prepare."""
        return self.folder / "scratch"


def repository() -> Path:
    """Find the checkout that holds the working folder; UserError when none does."""
    try:
        root, why = Path(_git(Path.cwd(), "rev-parse", "--show-toplevel")), ""
    except RunError as error:
        root, why = Path.cwd(), f"; {error}"
    if not (root / "asv.conf.json").is_file():
        raise UserError(
            f"{Path.cwd()}: not in a checkout of rafm-bench (no asv.conf.json at its "
            f"top{why}); run this inside one"
        )
    return root


def commit_of(root: Path, revision: str) -> str:
    """Return the full hash of a commit; UserError when there is no such one."""
    try:
        return _git(root, "rev-parse", "--verify", f"{revision}^{{commit}}")
    except RunError as error:
        raise UserError(
            f"{root}: no commit {revision!r} ({error}); name a commit, branch or tag "
            f"of this repository{_hint(root)}"
        ) from None


def _hint(root: Path) -> str:
    try:
        shallow = _git(root, "rev-parse", "--is-shallow-repository") == "true"
    except RunError:
        return ""
    return ", whose history is cut off: git fetch --unshallow" if shallow else ""


def uncommitted(root: Path) -> list[str]:
    """Name the files that differ from the last commit, and new ones among the code."""
    changed = _git(root, "diff", "--name-only", "HEAD").splitlines()
    new = _git(root, "ls-files", "--others", "--exclude-standard", "--", *MEASURED)
    return [*changed, *new.splitlines()]


@contextmanager
def only_comparison(root: Path) -> Iterator[None]:
    """Hold off other comparisons of a checkout; UserError while one runs.

    Two at once would remove what the other one builds, and disturb its measurements.
    """
    folder = root / BUILDS
    folder.mkdir(parents=True, exist_ok=True)
    busy = f"{folder}: {{holder}} compares commits here; wait until it has ended"
    with locked(folder / "lock", busy):
        yield


def build(root: Path, name: str, commit: str, report: Reporter) -> Environment:
    """Check a commit out and install it, unless this Python did so before.

    Its scratch folder is empty: what the last comparison prepared there is of another
    suite, maybe.

    Raises
    ------
    RunError                          when pip fails, with its last lines
    """
    folder = root / BUILDS / commit[:12]
    made = Environment(name, commit, folder)
    done = folder / "installed"
    if _is_built(made, done):
        shutil.rmtree(made.scratch, ignore_errors=True)
        return made
    report.say(f"building {name} ({commit[:12]})")
    if folder.exists():
        remove(root, made)
    folder.mkdir(parents=True)
    _git(root, "worktree", "prune")
    _git(root, "worktree", "add", "--detach", "--force", str(made.source), commit)
    _run([sys.executable, "-m", "venv", str(folder / "env")], f"cannot build {name}")
    pins = made.source / "constraints.txt"
    pinned = ["-c", str(pins)] if pins.exists() else []
    _run(
        [str(made.python), "-m", "pip", "install", "--quiet",
         "--disable-pip-version-check", *pinned, str(made.source), "asv_runner"],
        f"cannot install {name} ({commit[:12]})",
    )  # fmt: skip
    done.write_text(sys.version, encoding="utf-8")
    return made


def _is_built(made: Environment, done: Path) -> bool:
    """Whether a commit was installed by this version of Python, and that still runs."""
    if not done.exists() or done.read_text(encoding="utf-8") != sys.version:
        return False
    try:
        _run([str(made.python), "-c", "import asv_runner"], "it does not start")
    except (RunError, UserError):
        return False
    return True


def remove(root: Path, environment: Environment) -> None:
    """Remove what `build` made."""
    shutil.rmtree(environment.folder, ignore_errors=True)
    _git(root, "worktree", "prune")


def _git(root: Path, *words: str) -> str:
    return _run(["git", "-C", str(root), *words], f"git {words[0]} failed").strip()


def _run(words: list[str], what: str) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UserError(f"{words[0]} is not installed; install it first") from None
    if done.returncode:
        said = " | ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
        raise RunError(f"{what}: {said or f'exit code {done.returncode}'}")
    return done.stdout
