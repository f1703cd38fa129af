"""What the report says of how it was done, and where that is not the paper's way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rafm_bench.reproduce.paper import LIKE
from rafm_bench.reproduce.section import short_number
from rafm_bench.reproduce.sets import SETS
from rafm_bench.reproduce.shares import LEAST
from rafm_bench.versions import versions

if TYPE_CHECKING:
    from rafm_bench.reproduce.reproduce import Plan
    from rafm_bench.reproduce.sets import Found
    from rafm_bench.store import Row

READING = (
    "A figure is mean ± half of its 95 % interval (Student's t over the seeds), on one "
    "split of the data: how figures move with the split is not in it. What the paper "
    "prints stands beside ours, in brackets or below it.",
    "A claim that one model is better than another is reproduced when their intervals "
    "do not overlap that way round. Where they overlap, no difference shows and it "
    "is not reproduced; where they are apart the other way round, it is reversed too.",
    "In F_2: the share of features / of training entries that have more than the "
    f"lowest rank. Where both are below {100 * LEAST:g} %, RaFM is an FM of its lowest "
    "rank and nothing is judged by it. For ratings no FM of the lowest rank is run, so "
    "that what a lower rank does alone cannot be told from what RaFM does.",
    "Clean - paper: the loss under the clean protocol less that under the paper's. All "
    "rows: the loss of the model under the paper's protocol on every test row, not "
    "clipped, where the paper averages over random blocks.",
    "To FM: the loss beside that of the FM which the paper compares with, under the "
    "same protocol; of the paper's figures, beside the paper's FM. It may be compared "
    "where data differ.",
    "Times are means over the seeds of the least epoch of each run, in those of that "
    "FM; faster is judged by the intervals of these seconds. Train time is the pass "
    "over the training rows. Validation time is all of a validation: reading rows, "
    "scoring and metrics, under the paper protocol of random blocks with an AUC each. "
    "Much of it is the same for every model, which draws its ratio to 1; the paper's "
    "test time stands in brackets.",
    "Best epoch: the one that validation chose, of as many as a run could have. Where "
    "it is the last one, more epochs would have helped; a verdict says so.",
)
PROTOCOLS = {
    "paper": "Paper protocol: counts over all splits and thresholds; an epoch is N "
    "random blocks of neighbouring rows drawn with replacement, Adam moves every "
    "parameter each step (rate 0.001, L2 on all embeddings), test figures are means "
    "over N random blocks, probabilities clipped to [0.0001, 0.9999] and ratings to "
    "their range. L2 is searched, by as many trials for every model, on validation, "
    "save for LR, whose weights it does not shrink.",
    "clean": "Clean protocol: counts of the training split, ranks by Eq. 17, AdaGrad, "
    "full passes, metrics of all test rows; rate and L2 from one grid, as many trials "
    "for every model, chosen on validation.",
}
TUNED = (
    "Figure 4: rate, beta, thresholds and strengths of L1 were set after looking at "
    "the test AUC of earlier runs on these data, for all models alike. The claim is "
    "judged at the strengths of L1 that validation prefers: for LR, for the FM of each "
    "rank, and among the RaFMs of about the paper's size.",
    "Figure 4: the scales of the planted model behind the generated data were chosen, "
    "by test losses, so that 200,000 rows are enough to tell models apart.",
    "Grids and numbers of epochs of the budgets were set after looking at earlier runs "
    "on the small data sets. A small grid has two or three values, so that the chosen "
    "one is often at its edge.",
    "That blocks shrink on data smaller than the paper's was decided after runs of "
    "MovieLens 1M with the paper's.",
    "RaFM 128,256 on Frappe was found by a search on validation before.",
)
"""What was chosen while looking at outcomes."""
ALL_LINES = "--budget full reads all lines"
ALWAYS = (
    "every field has two more features, null and rare",
    "models compute in 32-bit floats by this program's kernels on one thread; the "
    "paper's times are those of a TensorFlow program",
    "DiFacto's ranks come from counts; its own program also drops vectors by an L1 "
    "penalty",
    "MRMA's weights of levels are fitted by gradient steps, where its paper alternates",
)


def describe(plan: Plan) -> list[str]:
    """Describe protocols, budget and choices."""
    budget = plan.place.budget
    trials = [
        f"{protocol}: "
        + " x ".join(
            f"{name.replace('_', ' ')} {', '.join(map(short_number, values))}"
            for name, values in space.items()
        )
        for protocol, space in budget.grids.items()
        if protocol.split("-")[0] in (*plan.protocols, "sparse")
    ]
    return [
        *(PROTOCOLS[one] for one in plan.protocols),
        f"Budget {budget.name}: {len(budget.seeds)} seeds; epochs at most "
        f"{'; '.join(_epochs(plan))}; grids {'; '.join(trials)}. Trials have seed 0, "
        "the runs others.",
        f"Figure 4: FTRL with L1 {', '.join(map(short_number, budget.l1))}, full "
        "passes, counts of the training split.",
    ]


def _epochs(plan: Plan) -> list[str]:
    """Tell the epochs that runs can have: of their files, or fewer by the budget."""
    told = []
    for experiment in plan.experiments:
        most: dict[str, set[int]] = {}
        for name in plan.names[experiment]:
            for cell in plan.cells(experiment, name):
                options = plan.place.budget.cap(
                    cell.options(), cell.protocol, ratings=experiment == "table3"
                )
                most.setdefault(cell.protocol, set()).add(options["epochs"])
        own = [
            f"{' or '.join(map(str, sorted(counts)))} ({protocol})"
            for protocol, counts in most.items()
        ]
        if own:
            told.append(f"{experiment}: {', '.join(own)}")
    return told


def deviations(plan: Plan, found: dict[str, Found | None]) -> list[str]:
    """List where this is not what the authors' program does."""
    there = [one for one in found.values() if one is not None]
    of_data = [
        f"{one.data_set.title}: {why}"
        for one in there
        for why in (one.choice.differs, *map(one.why_not, plan.protocols))
        if why
    ]
    if "paper" not in plan.protocols:
        return [*ALWAYS, *of_data]
    budget = plan.place.budget
    part = " a part of" if budget.name == "small" else ""
    return [
        "training stops after 5 epochs without a better validation loss, or at the "
        "most epochs above; the authors go on to 200 or 400 and take the best",
        "linear weights and bias learn from the prediction alone; in the authors' "
        "program they receive the terms of all levels",
        "rows are mixed once, by the seed, before blocks are cut; how the authors' "
        "files were mixed is not known, and N blocks are taken for test figures too",
        "where the paper's blocks would make an epoch of over three passes, blocks are "
        "smaller, so that as many of them are one pass",
        f"L2 is searched on{part} the paper's grid",
        *ALWAYS,
        *of_data,
    ]


def missing(found: dict[str, Found | None]) -> list[tuple[str, str, str]]:
    """Return data set, what stood in for the paper's own, and how to get that."""
    told = [
        (one.data_set.title, one.choice.told, _way_to(one))
        for name, one in found.items()
        if one is not None
        and one.choice.kind in ("near", "part", "sample", "stand-in")
        and name not in LIKE
    ]
    for name in (name for name, one in found.items() if one is None):
        like = [
            SETS[one].title for one in found if LIKE.get(one) == name and found[one]
        ]
        here = f"nothing; in its place {' and '.join(like)}" if like else "nothing"
        told.append((SETS[name].title, here, SETS[name].get))
    return told


def _way_to(found: Found) -> str:
    """Say how to have the paper's own data, or all of them."""
    return ALL_LINES if found.choice.kind == "part" else found.data_set.get


def facts(plan: Plan) -> dict[str, str]:
    """Say what computed the results, and on which data, from their rows."""
    rows = plan.place.rows()
    if not rows:
        return versions()
    seconds = sum(row.get("seconds") or 0.0 for row in rows)
    times = [row["written_at"] for row in rows]
    return {
        "runs": f"{len(rows)}, {seconds:,.0f} s of training and validation, searches "
        f"not counted; {min(times):%Y-%m-%d %H:%M} to {max(times):%Y-%m-%d %H:%M} UTC",
        "computed by": _distinct(rows, "version", "commit"),
        "on": _distinct(rows, "processor", "cores") + " cores",
        "results": "results.parquet",
        "drawn by": ", ".join(f"{name} {value}" for name, value in versions().items()),
    } | {
        f"data {row['data_set']}, {row['protocol']}": row["data_fingerprint"][:16]
        for row in rows
    }


def _distinct(rows: list[Row], *columns: str) -> str:
    told = {
        ", ".join(f"{row[one]}" for one in columns if row[one]): None for row in rows
    }
    return "; ".join(told)
