"""The table of sources: raw formats by name, each a module imported on first use."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from rafm_datasets.errors import DataError

if TYPE_CHECKING:
    from rafm_datasets.columns import Parsed
    from rafm_datasets.delimited import Dialect
    from rafm_datasets.manifest import Task
    from rafm_datasets.options import PrepareOptions

SOURCES = {
    "amazon": "rafm_datasets.sources.amazon",
    "avazu": "rafm_datasets.sources.avazu",
    "criteo": "rafm_datasets.sources.criteo",
    "frappe": "rafm_datasets.sources.frappe",
    "libffm": "rafm_datasets.sources.libffm",
    "libfm": "rafm_datasets.sources.libfm",
    "movielens": "rafm_datasets.sources.movielens",
    "movielens-tag": "rafm_datasets.sources.movielens_tag",
    "table": "rafm_datasets.sources.table",
}


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is the same for every file of a source.

    `members` are the file names to look for in a folder or archive, best first;
    `fields` is empty when they are known from the data only, and a field that no row
    has is left out; `lists` says that a field may hold several values; `timed` that
    rows have a time; `choice` that all rows are positives, and in which field the
    negatives that are drawn for them differ.
    """

    fields: tuple[str, ...]
    task: Task | None
    layout: str
    page: str
    licence: str
    members: tuple[str, ...] = ()
    lists: bool = False
    timed: bool = False
    choice: str | None = None


class Source(Protocol):
    """What a module in `SOURCES` offers."""

    @property
    def INFO(self) -> SourceInfo:
        """Facts on the source."""

    def dialect(self, name: str, head: bytes, options: PrepareOptions) -> Dialect:
        """Tell how a file is written from its name and first line.

        Parameters
        ----------
        name : str                     bare file name
        head : bytes                   first line, without BOM and line break
        options : PrepareOptions

        Returns
        -------
        Dialect

        Raises
        ------
        DataError                      not a file of this source; says what is
        """

    def parse(self, data: bytes, dialect: Dialect, options: PrepareOptions) -> Parsed:
        """Read and check whole records.

        Parameters
        ----------
        data : bytes                   records without header
        dialect : Dialect
        options : PrepareOptions

        Returns
        -------
        Parsed

        Raises
        ------
        BadRows                        records that cannot be read, with reasons
        """


def source_info(options: PrepareOptions) -> SourceInfo:
    """Give the facts on a source, a described table's own ones included.

    Parameters
    ----------
    options : PrepareOptions           settled, if they have a description

    Returns
    -------
    SourceInfo
    """
    if options.description is None:
        return load_source(options.source).INFO
    from rafm_datasets.sources.table import table_info

    return table_info(options.description)


def source_names() -> tuple[str, ...]:
    """List the names of the sources, sorted."""
    return tuple(sorted(SOURCES))


def load_source(name: str) -> Source:
    """Import the source of that name.

    Parameters
    ----------
    name : str                         one of `source_names()`

    Returns
    -------
    Source                             the module

    Raises
    ------
    DataError                          no such source
    """
    if name not in SOURCES:
        known = ", ".join(source_names())
        raise DataError(f"there is no source {name!r}; choose one of {known}")
    return cast("Source", importlib.import_module(SOURCES[name]))
