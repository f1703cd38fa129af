"""A commit built in a worktree of its own, with an environment of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rafm_bench.errors import RunError, UserError

if TYPE_CHECKING:
    from rafm_bench.progress import Reporter

BUILDS = Path(".asv", "compare")


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
        root = Path(_git(Path.cwd(), "rev-parse", "--show-toplevel"))
    except RunError:
        root = Path.cwd()
    if not (root / "asv.conf.json").is_file():
        raise UserError(
            f"{Path.cwd()}: not in a checkout of rafm-bench (no asv.conf.json at its "
            "top); run this inside one"
        )
    return root


def commit_of(root: Path, revision: str) -> str:
    """Return the full hash of a commit; UserError when there is no such one."""
    try:
        return _git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    except RunError:
        raise UserError(
            f"{root}: no commit {revision!r}; name a commit, branch or tag of this "
            "repository"
        ) from None


def is_dirty(root: Path) -> bool:
    """Whether tracked files differ from the last commit."""
    return bool(_git(root, "status", "--porcelain", "--untracked-files=no"))


def build(root: Path, name: str, commit: str, report: Reporter) -> Environment:
    """Check a commit out and install it, unless that was done before.

    Raises
    ------
    RunError                          when pip fails, with its last lines
    """
    folder = root / BUILDS / commit[:12]
    made = Environment(name, commit, folder)
    done = folder / "installed"
    if done.exists():
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
    done.touch()
    return made


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
