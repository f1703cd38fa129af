"""Numbers and findings as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rafm_bench.metrics import spoken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rafm_bench.run import Run

NAMES = {
    "lr": "LR",
    "fm": "FM",
    "rafm": "RaFM",
    "difacto": "DiFacto",
    "mrma": "MRMA",
    "ffm": "FFM",
}


def figure(value: float | None) -> str:
    """Write a quality figure; a missing one is a dash."""
    return "-" if value is None else f"{value:.4f}"


def share(part: float | None) -> str:
    """Write a ratio as percent."""
    return "-" if part is None else f"{100 * part:.1f} %"


def times(ratio: float | None) -> str:
    """Write a ratio in brackets, to stand behind the number it explains."""
    return "" if ratio is None else f" ({ratio:.2f}x)"


def size(n_bytes: int) -> str:
    """Write a number of bytes in MiB or GiB."""
    mib = n_bytes / 2**20
    return f"{mib:,.0f} MiB" if mib < 1024 else f"{mib / 1024:,.1f} GiB"


def run_labels(runs: Sequence[Run]) -> list[str]:
    """Name each run by model and ranks; by its folder too where that is not enough."""
    results = [run.result for run in runs]
    plain = [
        f"{NAMES.get(one.model, one.model)} {','.join(map(str, one.ranks))}".strip()
        for one in results
    ]
    return [
        label if plain.count(label) == 1 else f"{label} ({run.folder.name})"
        for label, run in zip(plain, runs, strict=True)
    ]


def finding(runs: Sequence[Run], labels: Sequence[str]) -> str:
    """Say in one sentence which run has the least test loss, and beside which."""
    name = "log_loss" if runs[0].result.loss == "log" else "rmse"
    word = spoken(name)
    tested = [
        (run.result.test[name] or 0.0, label, run.result)
        for run, label in zip(runs, labels, strict=True)
        if run.result.test and name in run.result.test
    ]
    if not tested:
        return "The data holds no test rows, so no run was tested."
    (best, label, result), *others = sorted(tested, key=lambda one: one[:2])
    if not others:
        return f"{label} has a test {word} of {best:.4f} at epoch {result.best_epoch}."
    second, other, rival = others[0]
    parameters = result.n_parameters / rival.n_parameters
    seconds = result.seconds_per_epoch / rival.seconds_per_epoch
    return (
        f"{label} has the lowest test {word}, {best:.4f}: {second - best:.4f} below "
        f"{other}, with {parameters:.2f} times its parameters and {seconds:.2f} times "
        "its seconds per epoch."
    )


def option_text(value: object) -> str:
    """Write the value of an option as in a flag."""
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return "none" if value is None else f"{value}"
