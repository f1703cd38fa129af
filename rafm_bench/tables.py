"""Results as text for people: tables and bars on a console."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from rafm_bench.backend_check import REFERENCE
from rafm_bench.compare import compare
from rafm_bench.metrics import shown
from rafm_bench.words import figure, finding, run_labels, size, times

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from rafm_bench.backend_check import BackendCheck
    from rafm_bench.compare import Comparison
    from rafm_bench.demo import Demo
    from rafm_bench.evaluate import Evaluation
    from rafm_bench.explain import Feature
    from rafm_bench.run import Run
    from rafm_datasets import Download, EncodedFile, Fetched, SourceInfo, Verification


def table(*columns: str, left: int = 1) -> Table:
    """Make a plain table whose columns after the first `left` are right-aligned."""
    made = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for index, column in enumerate(columns):
        made.add_column(column, justify="left" if index < left else "right")
    return made


def show_run(run: Run, console: Console) -> None:
    """Print what a finished run came to."""
    show_comparison(compare([run]), console)
    console.print(
        f"best epoch {run.result.best_epoch} of {len(run.result.epochs)}, peak memory "
        f"{size(run.result.peak_memory_bytes)}, written to {run.folder}"
    )


def show_imported(run: Run, console: Console) -> None:
    """Print the quality of an imported model."""
    result = run.result
    measured = {"valid": result.valid, "test": result.test}
    names = list(shown(result.test or result.valid))
    made = table("split", *names)
    for split, metrics in measured.items():
        if metrics:
            made.add_row(split, *(figure(metrics.get(name)) for name in names))
    console.print(made)
    console.print(f"{result.n_parameters:,} parameters, written to {run.folder}")


def show_sources(infos: Mapping[str, SourceInfo], console: Console) -> None:
    """Print the raw formats that can be prepared, a paragraph each."""
    for name, info in infos.items():
        console.print(f"[bold]{name}[/bold]")
        facts = {"layout": info.layout, "page": info.page, "licence": info.licence}
        for title, text in facts.items():
            console.print(f"  {title:8} {text}", markup=False, highlight=False)


def show_verification(found: Verification, console: Console) -> None:
    """Print what is wrong with prepared data, or that nothing is."""
    seen = f"{found.files:,} files, {found.rows:,} rows"
    if found.sound:
        console.print(f"{found.folder} is sound: {seen}", highlight=False)
        return
    count = f"{len(found.problems)} problem{'s' if len(found.problems) > 1 else ''}"
    console.print(f"{found.folder} has {count} in {seen}:", highlight=False)
    for problem in found.problems:
        console.print(f"  {problem}", markup=False, highlight=False)


def show_downloads(entries: Mapping[str, Download], console: Console) -> None:
    """Print what can be fetched, and what by hand, a paragraph each."""
    for name, entry in entries.items():
        by_hand = "" if entry.url else " (by hand)"
        console.print(f"[bold]{name}[/bold]{by_hand}", highlight=False)
        facts = {"page": entry.page, "licence": entry.licence}
        facts["how" if by_hand else "file"] = entry.by_hand or entry.address()
        for title, text in facts.items():
            console.print(f"  {title:8} {text}", markup=False, highlight=False)


def show_fetched(fetched: Fetched, console: Console) -> None:
    """Print where a raw file is now, what it was held against, and how to go on."""
    how = "fetched" if fetched.downloaded else "here already, nothing was fetched"
    lines = (
        f"{fetched.path}: {size(fetched.size)}, {how}; checked against "
        f"{fetched.checksum}",
        f"go on with: {fetched.prepare}",
    )
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def encoded_as_dict(encoded: EncodedFile) -> dict[str, Any]:
    """Return what an encoded file holds, as JSON has it."""
    return {**asdict(encoded), "path": str(encoded.path)}


def show_encoded(encoded: EncodedFile, console: Console) -> None:
    """Print what became of new rows, and where their values are not known."""
    labels = "with labels" if encoded.labeled else "without labels"
    console.print(f"{encoded.rows:,} rows {labels} in {encoded.path}", highlight=False)
    if encoded.quarantined_rows:
        console.print(f"rows set aside: {encoded.quarantined_rows:,}")
    counts = {
        name: (encoded.unknown[name], encoded.missing[name]) for name in encoded.fields
    }
    if not any(map(any, counts.values())):
        console.print("every value is known to the data, none is missing")
        return
    shown = table("field", "unknown (rare)", "missing (null)")
    for name, pair in counts.items():
        if any(pair):
            shown.add_row(name, *(f"{count:,}" for count in pair))
    console.print(shown)


def show_metrics(evaluation: Evaluation, console: Console) -> None:
    """Print the quality of a run on a split."""
    metrics = shown(evaluation.metrics)
    made = table("split", "rows", *metrics)
    rows = {evaluation.split: metrics}
    for level, measured in enumerate(evaluation.levels or (), start=1):
        rows[f"{evaluation.split}, level {level}"] = shown(measured)
    for name, row in rows.items():
        values = (figure(value) for value in row.values())
        made.add_row(name, f"{evaluation.n_rows:,}", *values)
    console.print(made)
    show_notes(evaluation.notes, console)


def show_comparison(comparison: Comparison, console: Console) -> None:
    """Print runs beside each other, in brackets relative to the first."""
    names = dict.fromkeys(name for run in comparison.runs for name in shown(run.test))
    sparse = any(run.sparse for run in comparison.runs)
    sizes = ("parameters", *["not 0"] * sparse)
    made = table("run", "model", "ranks", *names, *sizes, "s/epoch", "work/row", left=3)
    for run in comparison.runs:
        later = run is not comparison.runs[0]
        test = run.test or {}
        made.add_row(
            run.run,
            run.model,
            ",".join(map(str, run.ranks)) or "-",
            *(figure(test.get(name)) for name in names),
            f"{run.n_parameters:,}" + later * times(run.relative_parameters),
            *[f"{run.n_nonzero:,}"] * sparse,
            f"{run.seconds_per_epoch:.2f}" + later * times(run.relative_seconds),
            f"{run.cost_per_row:,.0f}" + later * times(run.relative_cost),
        )
    console.print(made)
    show_notes(comparison.notes, console)


def show_demo(made: Demo, comparison: Comparison, console: Console) -> None:
    """Print what the demo came to, and what to type next."""
    show_comparison(comparison, console)
    folder = made.folder
    console.print(finding(made.runs, run_labels(made.runs)))
    console.print(f"\nThe report with pictures is {made.report}. What to type next:")
    for command in (
        f"rafm-bench inspect {folder}/data --ranks 4,16,64",
        f"rafm-bench explain {folder}/data --id 0 --ranks 4,16,64",
        f"rafm-bench train {folder}/data --ranks 8,64 --out {folder}/runs/mine",
        f"rafm-bench compare {folder}/runs/fm {folder}/runs/mine --html mine.html",
        "rafm-bench prepare --help    to bring your own data",
    ):
        console.print(f"  {command}")


def show_feature(feature: Feature, console: Console) -> None:
    """Print one feature."""
    made = table("what", "value")
    value = "-" if feature.value is None else feature.value
    rows = {
        "id": f"{feature.id}",
        "field": feature.field,
        "value": value,
        "kind": feature.kind,
        **{f"rows in {name}": f"{n:,}" for name, n in feature.counts.items()},
        "mean label in train": figure(feature.label_mean),
    }
    if feature.level is not None:
        rows |= {"level": f"{feature.level}", "rank": f"{feature.rank}"}
    for name, text in rows.items():
        made.add_row(name, text)
    console.print(made)
    show_notes([feature.note] if feature.note else [], console)


def show_backends(checks: Sequence[BackendCheck], cpus: int, console: Console) -> None:
    """Print the backends and their self-check."""
    made = table("backend", "available", "self-check", "seconds", left=3)
    for check in checks:
        available = "yes" if check.available else "no"
        made.add_row(check.name, available, _verdict(check), f"{check.seconds:.2f}")
    console.print(made)
    console.print(f"{cpus} processors are usable here")


def _verdict(check: BackendCheck) -> str:
    if check.difference is None:
        return check.problem or "-"
    if check.name == REFERENCE:
        return "is the reference"
    words = "agrees to" if check.agrees else "DIFFERS by"
    refused = f"; has no {', '.join(check.refused)}" if check.refused else ""
    return f"{words} {check.difference:.0e} in {', '.join(check.models)}{refused}"


def show_notes(notes: Sequence[str], console: Console) -> None:
    """Print remarks, one a line."""
    for note in notes:
        console.print(f"note: {note}", markup=False)
