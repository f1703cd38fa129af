"""Raw data sets fetched: checksum and place by Pooch, resumed by `transfer`."""

from __future__ import annotations

import logging
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rafm_datasets.downloads import DOWNLOADS, Download
from rafm_datasets.errors import DataError
from rafm_datasets.execute import Progress, silent
from rafm_datasets.files import replacing, sha256_of
from rafm_datasets.transfer import Resuming

if TYPE_CHECKING:
    import requests

_TIMEOUT = (20, 60)
_NOT_FOUND = 404


class FetchError(OSError):
    """A download that failed though it was asked for rightly: one sentence."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A raw file that is here now; `checksum` says what it was held against."""

    name: str
    path: str
    size: int
    sha256: str
    checksum: str
    downloaded: bool
    prepare: str


def fetch_raw(
    name: str,
    out: str | Path = ".",
    category: str | None = None,
    progress: Progress | None = None,
) -> Fetched:
    """Download a data set of the table `DOWNLOADS`, or go on with a broken download.

    A file that is here already is held against its checksum: the one published, or
    the one that was recorded beside it (FILE.sha256) when it came.

    Parameters
    ----------
    name : str                         in `DOWNLOADS`
    out : str or Path                  folder to put the file into
    category : str or None             of products, for Amazon
    progress : Progress or None        told of the bytes

    Returns
    -------
    Fetched

    Raises
    ------
    DataError                          no such name, or one to be fetched by hand
    FetchError                         no connection, not there, wrong checksum
    """
    entry = _entry(name, category)
    url = entry.address(category)
    path = Path(out) / url.rsplit("/", 1)[-1]
    before = _stamp(path)
    known, checksum = _known_hash(entry, url, path)
    _retrieve(entry, url, path, known, progress or silent)
    sha256 = sha256_of(path)
    record = _record_of(path)
    if not record.exists():
        with replacing(record) as temporary:
            temporary.write_text(f"{sha256}  {path.name}\n", encoding="utf-8")
    return Fetched(
        name=name,
        path=str(path),
        size=path.stat().st_size,
        sha256=sha256,
        checksum=checksum,
        downloaded=_stamp(path) != before,
        prepare=shlex.join(
            ["rafm-bench", "prepare", entry.source, str(path), "--out", f"data/{name}"]
        ),
    )


def _entry(name: str, category: str | None) -> Download:
    if name not in DOWNLOADS:
        raise DataError(
            f"there is no data set {name!r} to fetch; choose one of "
            f"{', '.join(DOWNLOADS)}"
        )
    entry = DOWNLOADS[name]
    if entry.url is None:
        raise DataError(
            f"{name} cannot be fetched by a program: {entry.by_hand} at {entry.page}, "
            f"then run `rafm-bench prepare {entry.source} {entry.member} --out "
            f"data/{name}`"
        )
    if category is not None and entry.category is None:
        raise DataError(f"{name} has no categories; leave --category out")
    if category is not None and not re.fullmatch(r"\w+", category):
        raise DataError(
            f"category must be written as on {entry.page}, such as Movies_and_TV, got "
            f"{category!r}"
        )
    return entry


def _stamp(path: Path) -> tuple[int, int] | None:
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _known_hash(entry: Download, url: str, path: Path) -> tuple[str | None, str]:
    """Find what the file must hash to, and say from where that is known."""
    record = _record_of(path)
    if record.exists():
        found = re.match(r"[0-9a-f]{64}\b", record.read_text(encoding="utf-8"))
        if not found:
            raise DataError(f"{record} holds no sha256; remove it, and fetch again")
        return f"sha256:{found[0]}", f"the sha256 recorded in {record}"
    if entry.md5:
        answer = _get(f"{url}.md5", entry)
        found = re.search(r"\b[0-9a-f]{32}\b", answer.text.lower())
        if found and answer.ok:
            return f"md5:{found[0]}", "the published md5"
    return None, f"nothing, for none is published; its sha256 is now in {record}"


def _get(url: str, entry: Download) -> requests.Response:
    import requests

    try:
        answer = requests.get(url, timeout=_TIMEOUT)
    except requests.RequestException as error:
        raise _unreachable(url, entry, error) from error
    if not answer.ok and answer.status_code != _NOT_FOUND:
        raise _refused(url, entry, answer)
    return answer


def _retrieve(
    entry: Download, url: str, path: Path, known: str | None, progress: Progress
) -> None:
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.WARNING)
    downloader = Resuming(path, progress)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pooch.retrieve(
            url, known, fname=path.name, path=path.parent, downloader=downloader
        )
    except requests.HTTPError as error:
        raise _refused(url, entry, error.response) from error
    except requests.RequestException as error:
        raise _unreachable(url, entry, error, downloader.part) from error
    except ValueError as error:  # of Pooch: the hash differs, nothing was moved
        raise FetchError(
            f"what {url} sent does not have the checksum that is known ({known}) and "
            f"was thrown away; fetch it again, and if it changed for good remove "
            f"{_record_of(path)}"
        ) from error
    except OSError as error:
        raise DataError(
            f"cannot write {path}: {error.strerror or error}; free some space, or "
            "choose another --out"
        ) from error


def _refused(url: str, entry: Download, answer: requests.Response) -> FetchError:
    return FetchError(
        f"{url} answers {answer.status_code} {answer.reason}; look for its new place "
        f"at {entry.page}"
    )


def _unreachable(
    url: str, entry: Download, error: Exception, part: Path | None = None
) -> FetchError:
    kept = ""
    if part is not None and part.exists():
        kept = f" where it broke off ({part.stat().st_size:,} bytes are here)"
    return FetchError(
        f"{url} cannot be reached ({_reason(error)}); see to the connection, and the "
        f"same command goes on{kept}, or fetch it by hand from {entry.page}"
    )


def _reason(error: BaseException) -> str:
    """Give the innermost reason of an error of requests, in a few words."""
    if "IncompleteRead" in str(error):
        return "the connection was cut off"
    inner = error
    while inner.args and isinstance(inner.args[0], BaseException):
        inner = inner.args[0]
    reason = getattr(inner, "reason", None) or inner
    text = str(reason).rsplit(": ", 1)[-1].splitlines()
    words = text[0].rstrip("\"')")[:100] if text else ""  # of errors within errors
    return words or type(reason).__name__
