"""Results of many runs in one Parquet table, a row each, for any program to read.

Columns: `run` (its folder, from the table's on), `status` (done, failed, refused) and
`error`, `data_fingerprint`, `config_fingerprint`, every option of the config by its
name, `valid_*` and `test_*` (null where the test split was not scored) as in
`history.csv`, `best_epoch`, `epochs_run`, `seconds`, `seconds_per_epoch`,
`n_parameters`, `n_nonzero`, `peak_memory_bytes`, `version`, `commit`, `processor`,
`cores`, `written_at`. Lists such as ranks are text, as in flags: 8,32.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rafm_bench.config import TrainConfig
from rafm_bench.errors import UserError
from rafm_bench.fingerprint import config_fingerprint
from rafm_bench.lock import locked
from rafm_bench.staging import staged_file
from rafm_bench.versions import versions

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from rafm_bench.run import Run

Row = dict[str, Any]

STORE_VERSION = 1
VERSION_KEY = "rafm_bench.store_version"


def row_of_run(run: Run, name: str) -> Row:
    """Return the row of a finished run, `name` being its folder in the table."""
    result = run.result
    return {
        **_identity(run.config, name, result.data_fingerprint),
        "status": "done",
        "error": None,
        **{f"valid_{metric}": value for metric, value in result.valid.items()},
        **{f"test_{metric}": value for metric, value in (result.test or {}).items()},
        "best_epoch": result.best_epoch,
        "epochs_run": len(result.epochs),
        "seconds": sum(one.seconds + one.valid_seconds for one in result.epochs),
        "seconds_per_epoch": result.seconds_per_epoch,
        "n_parameters": result.n_parameters,
        "n_nonzero": result.n_nonzero,
        "peak_memory_bytes": result.peak_memory_bytes,
        **_made_by(result.versions),
    }


def row_of_failure(
    config: TrainConfig, name: str, data_fingerprint: str, status: str, error: str
) -> Row:
    """Return the row of a run that came to nothing, with its error."""
    return {
        **_identity(config, name, data_fingerprint),
        "status": status,
        "error": error,
        **_made_by(versions()),
    }


def put_row(file: Path, row: Row) -> None:
    """Add a row to a table, made if need be, in place of an older one of that run.

    The table is whole at any moment; two processes that add rows take turns. Columns
    that are new are null in older rows, columns that the row lacks are null in it.
    """
    import polars as pl

    file.parent.mkdir(parents=True, exist_ok=True)
    with locked(file.with_name(f".{file.name}.lock")):
        table = pl.DataFrame([row], infer_schema_length=None)
        if file.exists():
            before, after = _around(read_store(file), row["run"])
            table = pl.concat([before, table, after], how="diagonal_relaxed")
        with staged_file(file) as temporary:
            table.write_parquet(temporary, metadata={VERSION_KEY: str(STORE_VERSION)})


def read_store(file: Path) -> pl.DataFrame:
    """Read a table of runs; UserError when it is not one, or of a newer version."""
    import polars as pl

    try:
        found = pl.read_parquet_metadata(file).get(VERSION_KEY)
        table = pl.read_parquet(file) if found else pl.DataFrame()
    except (pl.exceptions.PolarsError, FileNotFoundError):
        found = None
    if found is None:
        raise UserError(
            f"{file}: not a table of runs, or damaged; pass one that `rafm-bench tune` "
            "wrote"
        )
    if int(found) > STORE_VERSION:
        raise UserError(
            f"{file}: version {found} of the table is newer than {STORE_VERSION}, the "
            "newest this version reads; upgrade rafm-bench"
        )
    return table


def read_rows(file: Path) -> list[Row]:
    """Read a table as rows; options that a row is older than have their defaults."""
    defaults = {one.name: _text(one.default) for one in fields(TrainConfig)}
    return [
        row | {name: text for name, text in defaults.items() if row.get(name) is None}
        for row in read_store(file).to_dicts()
    ]


def _around(table: pl.DataFrame, run: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows before and after that of a run; after all, where it has none."""
    places = (table["run"] == run).arg_true().to_list()
    place = places[0] if places else table.height
    return table[:place], table[place + 1 :]


def _identity(config: TrainConfig, name: str, data_fingerprint: str) -> Row:
    options = {option: _text(value) for option, value in asdict(config).items()}
    return {
        "run": name,
        "data_fingerprint": data_fingerprint,
        "config_fingerprint": config_fingerprint(config),
        **options,
    }


def _text(value: object) -> object:
    """Return the value of an option, a list as text."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else value


def _made_by(facts: dict[str, str]) -> Row:
    return {
        "version": facts["rafm-bench"],
        "commit": facts.get("commit"),
        "processor": facts["processor"],
        "cores": int(facts["cores"]) if "cores" in facts else None,
        "written_at": datetime.now(UTC).replace(microsecond=0),
    }
