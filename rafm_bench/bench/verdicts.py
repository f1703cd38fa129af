"""Whether a benchmark changed between two commits: a ratio, its interval, a verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Verdict = Literal["slower", "faster", "no difference shown"]
ERROR_RATE = 0.05  # of one false verdict among all benchmarks of a comparison
RESAMPLES = 40_000
LEAST = 0.25  # error of a resample, in that of all: near 0 where its pairs are alike
TYPICAL = 0.25  # the lower quartile: what else runs on a machine only adds time


@dataclass(frozen=True, slots=True)
class Ratio:
    """HEAD over BASE, an interval for it, and a typical value of both."""

    base: float
    head: float
    ratio: float
    low: float
    high: float
    verdict: Verdict


def judge(
    pairs: Sequence[tuple[Sequence[float], Sequence[float]]],
    n_benchmarks: int,
    threshold: float,
) -> Ratio:
    """Judge one benchmark by the samples of pairs of processes.

    Parameters
    ----------
    pairs : for each pair the samples of BASE and of HEAD, all above 0
    n_benchmarks : how many are judged together; the interval is the wider for it
    threshold : ratio from which a slowdown counts, > 1

    Returns
    -------
    Ratio                             slower (faster) where the whole interval lies
                                      above `threshold` (below its inverse)

    References
    ----------
    The ratio of a pair is that of its lower quartiles, and of all of them the
    geometric mean. Its interval is a studentised bootstrap over pairs (Davison and
    Hinkley 1997, section 5.2.1): a pair's ratio holds the noise of its processes and
    of their samples both. Bonferroni's correction for `n_benchmarks`.
    """
    typical = np.array(
        [[np.quantile(side, TYPICAL) for side in pair] for pair in pairs]
    )
    logs = np.log(typical[:, 1] / typical[:, 0])
    low, high = _interval(logs, ERROR_RATE / n_benchmarks / 2)
    base, head = np.median(typical, axis=0).tolist()
    return Ratio(
        base=base,
        head=head,
        ratio=math.exp(logs.mean()),
        low=low,
        high=high,
        verdict=_verdict(low, high, threshold),
    )


def _interval(logs: NDArray[np.float64], tail: float) -> tuple[float, float]:
    """Return the limits of exp(mean) that leave `tail` outside on each side."""
    n = len(logs)
    error = logs.std(ddof=1) / math.sqrt(n)
    if error == 0:  # what is tracked and always the same
        return math.exp(logs[0]), math.exp(logs[0])
    drawn = np.random.default_rng(0).integers(n, size=(RESAMPLES, n))
    resampled = logs[drawn]
    errors = resampled.std(axis=1, ddof=1) / math.sqrt(n)
    t = (resampled.mean(axis=1) - logs.mean()) / np.maximum(errors, LEAST * error)
    below, above = np.quantile(t, [tail, 1 - tail])
    return (
        math.exp(logs.mean() - above * error),
        math.exp(logs.mean() - below * error),
    )


def _verdict(low: float, high: float, threshold: float) -> Verdict:
    if low > threshold:
        return "slower"
    return "faster" if high < 1 / threshold else "no difference shown"
