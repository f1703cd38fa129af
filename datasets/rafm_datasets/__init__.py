"""Files in, partitioned Parquet out, batches back: sources, counts, ids, reader.

Names are imported on first use: reading prepared data loads neither Dask nor Polars.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rafm_datasets.budget import default_limit as default_limit
    from rafm_datasets.description import TableDescription as TableDescription
    from rafm_datasets.description import parse_description as parse_description
    from rafm_datasets.description import read_description as read_description
    from rafm_datasets.downloads import DOWNLOADS as DOWNLOADS
    from rafm_datasets.downloads import Download as Download
    from rafm_datasets.encoded import EncodedFile as EncodedFile
    from rafm_datasets.encoded import open_encoded as open_encoded
    from rafm_datasets.encoded import stream_encoded as stream_encoded
    from rafm_datasets.encoding import EncodeOptions as EncodeOptions
    from rafm_datasets.encoding import encode_like as encode_like
    from rafm_datasets.epoch_order import WINDOW_GROUPS as WINDOW_GROUPS
    from rafm_datasets.epoch_order import rows_of_shard as rows_of_shard
    from rafm_datasets.epochs import stream as stream
    from rafm_datasets.errors import DataError as DataError
    from rafm_datasets.errors import WriteError as WriteError
    from rafm_datasets.execute import Progress as Progress
    from rafm_datasets.fetching import Fetched as Fetched
    from rafm_datasets.fetching import fetch_raw as fetch_raw
    from rafm_datasets.generation import Generated as Generated
    from rafm_datasets.generation import generate as generate
    from rafm_datasets.generators import generator_names as generator_names
    from rafm_datasets.location import Address as Address
    from rafm_datasets.location import locate as locate
    from rafm_datasets.manifest import Field as Field
    from rafm_datasets.manifest import Manifest as Manifest
    from rafm_datasets.mixture import Mixing as Mixing
    from rafm_datasets.mixture import mixing as mixing
    from rafm_datasets.options import PrepareOptions as PrepareOptions
    from rafm_datasets.pipeline import find_finished as find_finished
    from rafm_datasets.pipeline import prepare as prepare
    from rafm_datasets.planning import Estimate as Estimate
    from rafm_datasets.planning import Plan as Plan
    from rafm_datasets.planning import PlannedFile as PlannedFile
    from rafm_datasets.planning import plan_prepare as plan_prepare
    from rafm_datasets.planning import short_of_disk as short_of_disk
    from rafm_datasets.prepared import PreparedData as PreparedData
    from rafm_datasets.prepared import open_prepared as open_prepared
    from rafm_datasets.reading import Kept as Kept
    from rafm_datasets.reading import Reading as Reading
    from rafm_datasets.reading import decoded_bytes as decoded_bytes
    from rafm_datasets.reading import stream_bytes as stream_bytes
    from rafm_datasets.reading import window_bytes as window_bytes
    from rafm_datasets.rows import Rows as Rows
    from rafm_datasets.sources import SOURCES as SOURCES
    from rafm_datasets.sources import SourceInfo as SourceInfo
    from rafm_datasets.sources import load_source as load_source
    from rafm_datasets.sources import source_names as source_names
    from rafm_datasets.verification import Verification as Verification
    from rafm_datasets.verification import verify as verify

_HOMES = {
    "Address": "location",
    "DOWNLOADS": "downloads",
    "DataError": "errors",
    "Download": "downloads",
    "EncodeOptions": "encoding",
    "EncodedFile": "encoded",
    "Estimate": "planning",
    "Fetched": "fetching",
    "Field": "manifest",
    "Generated": "generation",
    "Kept": "reading",
    "Manifest": "manifest",
    "Mixing": "mixture",
    "Plan": "planning",
    "PlannedFile": "planning",
    "PrepareOptions": "options",
    "PreparedData": "prepared",
    "Progress": "execute",
    "Reading": "reading",
    "Rows": "rows",
    "SOURCES": "sources",
    "SourceInfo": "sources",
    "TableDescription": "description",
    "Verification": "verification",
    "WINDOW_GROUPS": "epoch_order",
    "WriteError": "errors",
    "decoded_bytes": "reading",
    "default_limit": "budget",
    "encode_like": "encoding",
    "fetch_raw": "fetching",
    "find_finished": "pipeline",
    "generate": "generation",
    "generator_names": "generators",
    "load_source": "sources",
    "locate": "location",
    "mixing": "mixture",
    "open_encoded": "encoded",
    "open_prepared": "prepared",
    "parse_description": "description",
    "plan_prepare": "planning",
    "prepare": "pipeline",
    "read_description": "description",
    "rows_of_shard": "epoch_order",
    "short_of_disk": "planning",
    "source_names": "sources",
    "stream": "epochs",
    "stream_bytes": "reading",
    "stream_encoded": "encoded",
    "verify": "verification",
    "window_bytes": "reading",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    """Import a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    value: object = getattr(module, name)
    globals()[name] = value
    return value
