"""Whether costs are what the RaFM paper says: parameters, order of regimes, exponents.

    python -m benchmarks.check_theory

Three tables. Parameters of each regime of Table 1: those that the arrays hold beside
Prop. 1's sum_k D_k |F_k|, which must be equal. Times of the regimes, all of one m in
turns, over those of an FM, for m >= 4: linear-linear must be above the two mixed ones,
these above exponential-exponential. Exponents of time in D and in n(F) over two
decades: within 0.1 of 1 where arithmetic dominates, which is training row by row in
one thread; of the others it is told what comes in beside arithmetic. Exit code 1 when
something does not hold. It takes about a minute, and wants a quiet machine for what two
threads do; one thread is timed by the processor's seconds.
"""

import sys

import click

from benchmarks import regimes, scaling
from benchmarks.cases import BACKENDS, make_case, new_case

TOLERANCE = 0.1
# Where an exponent of 1 is not claimed, and why.
BESIDE_ARITHMETIC = {
    ("D", "train batches of 256"): "a batch is put in order whatever the rank",
    ("D", "score"): "an entry is looked up whatever the rank",
    ("n(F)", "train batches of 256"): "a feature that recurs in a batch makes one step",
    ("n(F)", "score"): "a row has costs whatever its length",
}
WAITING = "threads wait for each other"


@click.command()
@click.option("--turns", default=7, show_default=True, help="The least time counts.")
def main(turns: int) -> None:
    """Check costs against theory."""
    holds = [parameters(), order(turns), exponents(turns)]
    sys.exit(not all(holds))


def parameters() -> bool:
    """Compare stored numbers with Prop. 1."""
    rows = regimes.Regimes().setup_cache()
    lines, holds = [], True
    for name, m, dims, sizes in _regimes(regimes.LEVELS):
        case = new_case(rows, "rafm", dims, sizes=sizes)
        theory = sum(d * n for d, n in zip(dims, sizes, strict=True))
        stored = case.embedding_numbers()
        # A bias and a linear weight for each feature are stored besides.
        counted = case.model.layout.n_parameters - 1 - sizes[0]
        same = stored == counted == theory
        holds &= same
        lines.append([name, m, f"{theory:,}", f"{stored:,}", _word(same)])
    _show("Embeddings", ["regime", "m", "Prop. 1", "stored", ""], lines)
    return holds


def order(turns: int) -> bool:
    """Compare the regimes' times with each other."""
    rows = regimes.Regimes().setup_cache()
    lines, holds = [], True
    for backend in BACKENDS:
        for m in (m for m in regimes.LEVELS if m >= 4):
            cases = {
                name: make_case(rows, "rafm", dims, sizes=sizes, backend=backend)
                for name, _, dims, sizes in _regimes([m])
            }
            fm = make_case(rows, "fm", [regimes.RANK], backend=backend)
            for what in ("train", "score"):
                *ours, theirs = scaling.least_seconds(
                    [*cases.values(), fm], what, turns
                )
                cost = dict(zip(cases, (one / theirs for one in ours), strict=True))
                right = _in_order(cost)
                holds &= right
                told = [f"{cost[n]:.2f}" if n in cost else "" for n in regimes.REGIMES]
                lines.append([what, backend, m, *told, _word(right)])
    short = [name.replace("exponential", "exp.") for name in regimes.REGIMES]
    _show("Times over an FM's", ["what", "backend", "m", *short, ""], lines)
    return holds


def exponents(turns: int) -> bool:
    """Compare fitted exponents with 1."""
    suite = scaling.Slopes()
    rows = suite.setup_cache()
    lines, holds = [], True
    whats, backends = suite.params
    fits = {"D": scaling.slope_in_rank, "n(F)": scaling.slope_in_entries}
    for size, fit in fits.items():
        for what in whats:
            for backend in backends:
                found = fit(rows, what, backend, turns)
                near = abs(found - 1) <= TOLERANCE
                reason = BESIDE_ARITHMETIC.get((size, what))
                if backend != "numba":
                    reason = f"{reason}; {WAITING}" if reason else WAITING
                holds &= near or reason is not None
                word = _word(near) if near or reason is None else reason
                lines.append([size, what, backend, f"{found:.2f}", word])
    _show("Exponents of time", ["in", "what", "backend", "fitted", ""], lines)
    return holds


def _in_order(cost: dict[str, float]) -> bool:
    """Whether the mixed regimes that exist lie below the first and above the last."""
    first, *mixed, last = regimes.REGIMES
    middle = [cost[name] for name in mixed if name in cost]
    return cost[first] > max(middle) and (last not in cost or min(middle) > cost[last])


def _regimes(levels):
    """Give name, m, D_k and |F_k| of each regime that exists with so many levels."""
    for name in regimes.REGIMES:
        for m in levels:
            found = regimes.regime(name, m)
            if found is not None:
                yield name, m, *found


def _word(right: bool) -> str:
    return "holds" if right else "DOES NOT HOLD"


def _show(title: str, heads: list[str], lines: list[list[object]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*heads, title=title)
    for line in lines:
        table.add_row(*map(str, line))
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
