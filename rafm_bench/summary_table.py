"""What prepared data holds, as text for people: tables and a histogram."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rafm_bench.tables import table
from rafm_bench.words import figure, share

if TYPE_CHECKING:
    from rich.console import Console

    from rafm_bench.summary import DataSummary, FrequencyBin

BAR_WIDTH = 40


def show_summary(summary: DataSummary, console: Console) -> None:
    """Print what prepared data holds."""
    console.print(
        f"{summary.folder}: {summary.task}, {summary.n_features:,} features of "
        f"{len(summary.fields)} fields, {summary.n_trained:,} seen in training, "
        f"fingerprint {summary.fingerprint[:12]}"
    )
    splits = table("split", "rows", "label mean")
    for split in summary.splits:
        splits.add_row(split.name, f"{split.n_rows:,}", figure(split.label_mean))
    fields = table("field", "features", "values per row", left=1)
    for field in summary.fields:
        multi = "several" if field.multi else "one"
        fields.add_row(field.name, f"{field.n_features:,}", multi)
    console.print(splits)
    console.print(fields)
    _show_levels(summary, console)
    _show_frequencies(summary, console)


def _show_levels(summary: DataSummary, console: Console) -> None:
    cost = summary.cost
    if cost is None:
        return
    if not summary.levels:
        console.print(f"parameters {cost.n_parameters:,}: a weight a feature, and bias")
        return
    made = table("level", "rank", "features", "share", "per row", "least count")
    for k, level in enumerate(summary.levels, start=1):
        made.add_row(
            f"{k}",
            f"{level.rank}",
            f"{level.n_features:,}",
            share(level.n_features / summary.n_features),
            f"{level.features_per_row:.2f}",
            "-" if level.least_count is None else f"{level.least_count:,}",
        )
    console.print(made)
    rank = summary.levels[-1].rank
    console.print(
        f"parameters {cost.n_parameters:,}: "
        f"{share(cost.n_parameters / cost.fm_n_parameters)} of an FM of rank {rank}, "
        f"which has {cost.fm_n_parameters:,}\n"
        f"embedding numbers per row {cost.per_row:,.1f}: {share(cost.ratio)} of that "
        "FM, the predicted time"
    )


def _show_frequencies(summary: DataSummary, console: Console) -> None:
    most = max(one.n_features for one in summary.frequencies)
    made = table(f"seen in {summary.counted_in}", "features", "", "")
    made.columns[2].justify = made.columns[3].justify = "left"
    for one in summary.frequencies:
        span = f"{one.lowest:,}"
        if one.highest > one.lowest:
            span += f"-{one.highest:,}"
        bar = "█" * round(BAR_WIDTH * one.n_features / most)
        made.add_row(span, f"{one.n_features:,}", bar, _cuts_in(one, summary))
    console.print(made)


def _cuts_in(one: FrequencyBin, summary: DataSummary) -> str:
    """Name the rank levels whose least count lies in this bin."""
    cuts = [
        f"rank {level.rank} from {level.least_count:,}"
        for level in summary.levels[1:]
        if level.least_count is not None
        and one.lowest <= level.least_count <= one.highest
    ]
    return ", ".join(cuts)
