"""Whether a benchmark changed between two commits: a ratio, its interval, a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Verdict = Literal["slower", "faster", "no difference shown"]
ERROR_RATE = 0.05  # of one false verdict among all benchmarks of a comparison
RESAMPLES = 10_000
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
    Bootstrap in two stages (Davison and Hinkley 1997, section 3.8): pairs are drawn
    again, then the samples within each; the ratio of a pair is that of its lower
    quartiles, and of all of them the geometric mean. Bonferroni's correction for
    `n_benchmarks`.
    """
    rng = np.random.default_rng(0)
    logs = np.stack([_log_ratios(base, head, rng) for base, head in pairs])
    drawn = rng.integers(len(pairs), size=(len(pairs), RESAMPLES))
    means = logs[drawn, np.arange(RESAMPLES)].mean(axis=0)
    tail = ERROR_RATE / n_benchmarks / 2
    low, high = np.exp(np.quantile(means, [tail, 1 - tail])).tolist()
    typical = np.array(
        [[np.quantile(side, TYPICAL) for side in pair] for pair in pairs]
    )
    ratio = float(np.exp(np.mean(np.log(typical[:, 1] / typical[:, 0]))))
    base, head = np.median(typical, axis=0).tolist()
    return Ratio(base, head, ratio, low, high, _verdict(low, high, threshold))


def _verdict(low: float, high: float, threshold: float) -> Verdict:
    if low > threshold:
        return "slower"
    return "faster" if high < 1 / threshold else "no difference shown"


def _log_ratios(
    base: Sequence[float], head: Sequence[float], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw the log ratio of a pair's quartiles again and again: float64[RESAMPLES]."""
    return _log_quartiles(head, rng) - _log_quartiles(base, rng)


def _log_quartiles(
    samples: Sequence[float], rng: np.random.Generator
) -> NDArray[np.float64]:
    drawn = rng.integers(len(samples), size=(RESAMPLES, len(samples)))
    resampled = np.asarray(samples)[drawn]
    found: NDArray[np.float64] = np.log(np.quantile(resampled, TYPICAL, axis=1))
    return found
