"""Whether a benchmark changed between two commits: a ratio, its interval, a verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Pairs = Sequence[tuple[Sequence[float], Sequence[float]]]

Verdict = Literal[
    "slower", "slightly slower", "no difference shown", "slightly faster", "faster"
]
ERROR_RATE = 0.05  # of one false verdict among all benchmarks of a comparison
BEYOND_A_TAIL = 50  # resamples, so that its limit is more than their extreme
MOST_DRAWN = 6_400_000  # pairs in all resamples: 400,000 of sixteen
LEAST = 0.25  # error of a resample, in that of all: near 0 where its pairs are alike
TYPICAL = 0.25  # the lower quartile: what else runs on a machine only adds time
SAME_THRESHOLD = 1.002  # of values that do not vary: a loss 1 % higher must count
MEMORY_THRESHOLD = 48 << 20  # bytes, for peaks of which a tenth is more than that


@dataclass(frozen=True, slots=True)
class Ratio:
    """HEAD over BASE, an interval for it, and a typical value of both."""

    base: float
    head: float
    ratio: float
    low: float
    high: float
    verdict: Verdict


def never_varies(pairs: Pairs) -> bool:
    """Whether BASE has the same value in all samples, and HEAD has too."""
    sides = zip(*pairs, strict=True)
    return all(len({value for one in side for value in one}) == 1 for side in sides)


def judge(
    pairs: Pairs, n_benchmarks: int, threshold: float, *, is_memory: bool = False
) -> Ratio:
    """Judge one benchmark by the samples of pairs of processes.

    Parameters
    ----------
    pairs : for each pair the samples of BASE and of HEAD, all above 0
    n_benchmarks : how many that vary are judged; the interval is the wider for it
    threshold : ratio from which a slowdown counts, > 1; SAME_THRESHOLD takes its place
                where neither commit's value ever varies and both are no memory
    is_memory : the values are bytes, and MEMORY_THRESHOLD more of them count as well

    Returns
    -------
    Ratio                             slower (faster) where the whole interval lies
                                      above a threshold (below its inverse), slightly
                                      so where it only leaves 1 out

    References
    ----------
    The ratio of a pair is that of its lower quartiles, and of all of them the
    geometric mean. Its interval is the wider one of a studentised bootstrap over pairs
    (Davison and Hinkley 1997, section 5.2.1), which follows their distribution, and of
    Student's t, as resamples of few pairs know little of a tail. A pair's ratio holds
    the noise of its processes and of their samples both. Bonferroni's correction for
    `n_benchmarks`.
    """
    typical = np.array(
        [[np.quantile(side, TYPICAL) for side in pair] for pair in pairs]
    )
    logs = np.log(typical[:, 1] / typical[:, 0])
    low, high = _interval(logs, ERROR_RATE / n_benchmarks / 2)
    base, head = np.median(typical, axis=0).tolist()
    if never_varies(pairs) and not is_memory:
        threshold = min(threshold, SAME_THRESHOLD)
    up, down = threshold, 1 / threshold
    if is_memory:
        up = min(up, 1 + MEMORY_THRESHOLD / base)
        down = max(down, 1 - MEMORY_THRESHOLD / base)
    return Ratio(
        base=base,
        head=head,
        ratio=math.exp(logs.mean()),
        low=low,
        high=high,
        verdict=_verdict(low, high, up, down),
    )


def _interval(logs: NDArray[np.float64], tail: float) -> tuple[float, float]:
    """Return the limits of exp(mean) that leave `tail` outside on each side."""
    n = len(logs)
    mean = logs.mean()
    error = logs.std(ddof=1) / math.sqrt(n)
    if error == 0:  # what is tracked and always the same
        return math.exp(mean), math.exp(mean)
    counts = _resamples(n, min(MOST_DRAWN // n, math.ceil(BEYOND_A_TAIL / tail)))
    centred = logs - mean
    means = counts @ centred / n
    variances = (counts @ centred**2 - n * means**2) / (n - 1)
    errors = np.sqrt(np.maximum(variances, 0) / n)
    t = means / np.maximum(errors, LEAST * error)
    below, above = np.quantile(t, [tail, 1 - tail])
    by_student = student_quantile(1 - tail, n - 1)
    return (
        math.exp(mean - max(above, by_student) * error),
        math.exp(mean - min(below, -by_student) * error),
    )


@cache
def _resamples(n: int, number: int) -> NDArray[np.float64]:
    """Return for each resample of n pairs how often it has each: [number, n]."""
    rng = np.random.default_rng(0)
    return rng.multinomial(n, np.full(n, 1 / n), size=number).astype(np.float64)


def student_quantile(p: float, freedom: int) -> float:
    """Return below which t lies with probability p > 0.5, for whole degrees of freedom.

    References
    ----------
    Abramowitz and Stegun 1964, 26.7.3 and 26.7.4: P(|T| < t) as a sum in
    atan(t / sqrt(freedom)), which grows with it and is inverted by bisection.
    """
    below, above = 0.0, math.pi / 2
    for _ in range(60):
        angle = (below + above) / 2
        if _within(angle, freedom) < 2 * p - 1:
            below = angle
        else:
            above = angle
    return math.tan(below) * math.sqrt(freedom)


def _within(angle: float, freedom: int) -> float:
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for k in range(freedom // 2):
        total += term
        term *= math.cos(angle) ** 2 * (2 * k + 1 + odd) / (2 * k + 2 + odd)
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total


def _verdict(low: float, high: float, up: float, down: float) -> Verdict:
    if low > 1:
        return "slower" if low > up else "slightly slower"
    if high < 1:
        return "faster" if high < down else "slightly faster"
    return "no difference shown"
