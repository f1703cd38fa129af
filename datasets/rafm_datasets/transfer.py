"""A download over HTTP that goes on where it broke off: the `downloader` for Pooch.

Pooch checks sums and moves a file into place once it is whole, but begins every
download anew. Here the bytes go into `.NAME.part` beside the file, with what the
server said of its version in `.NAME.part.json`, and the rest is asked for by `Range`
with `If-Range`, so that a file that changed meanwhile is fetched from the start.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

from rafm_datasets.files import write_json

if TYPE_CHECKING:
    from pathlib import Path

    import requests

    from rafm_datasets.execute import Progress

_BLOCK_BYTES = 1 << 18
_TIMEOUT = (20, 60)  # seconds: to connect, without a byte
_TRIES = 5  # in a row that bring no byte
_WAIT_SECONDS = 1.0
_PARTIAL, _PAST_THE_END = 206, 416


class Resuming:
    """Downloads to where Pooch says, by way of a partial file that outlives a failure.

    Parameters
    ----------
    target : Path                      the final name; the partial file is beside it
    progress : Progress
    """

    def __init__(self, target: Path, progress: Progress) -> None:
        self.part = target.with_name(f".{target.name}.part")
        self.version = target.with_name(f".{target.name}.part.json")
        self._progress = progress

    def __call__(
        self, url: str, output_file: Any, pooch: Any, check_only: bool = False
    ) -> None:
        """Download `url`; see `pooch.HTTPDownloader`.

        Raises
        ------
        requests.RequestException      refused, or cut off too often in a row
        """
        del pooch, check_only
        import requests

        left = _TRIES
        while left:
            size = self._size()
            try:
                self._go_on(url)
                break
            except (
                requests.ConnectionError,
                requests.Timeout,
                requests.exceptions.ChunkedEncodingError,
            ):
                left = _TRIES if self._size() > size else left - 1
                if not left:
                    raise
                time.sleep(_WAIT_SECONDS)
        self.part.replace(output_file)
        self.version.unlink(missing_ok=True)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _go_on(self, url: str) -> None:
        """Ask for what is missing, once."""
        import requests

        start, validator = self._size(), self._validator(url)
        headers = {"Accept-Encoding": "identity"}
        if start and validator:
            headers |= {"Range": f"bytes={start}-", "If-Range": validator}
        with requests.get(
            url, headers=headers, stream=True, timeout=_TIMEOUT
        ) as answer:
            if answer.status_code == _PAST_THE_END:
                if _length(answer) == start:
                    return
                self.part.unlink()
                raise requests.ConnectionError("the partial file did not fit")
            answer.raise_for_status()
            resumed = answer.status_code == _PARTIAL
            if not resumed:
                start = 0
                write_json(self.version, {"url": url, "validator": _version(answer)})
            total = _length(answer)
            with self.part.open("ab" if resumed else "wb") as file:
                for block in answer.iter_content(_BLOCK_BYTES):
                    file.write(block)
                    start += len(block)
                    self._progress("fetch", start, total, "bytes")
        if total is not None and start < total:
            raise requests.ConnectionError(f"cut off after {start} of {total} bytes")

    def _validator(self, url: str) -> str | None:
        """Recall the version that the partial file is of, if it is from `url`."""
        try:
            content = json.loads(self.version.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        known: str | None = content["validator"]
        return known if content["url"] == url else None


def _version(answer: requests.Response) -> str | None:
    """Give what tells this version of a file from others: a strong ETag, or a date."""
    tag: str = answer.headers.get("ETag", "")
    date: str | None = answer.headers.get("Last-Modified")
    return tag if tag.startswith('"') else date


def _length(answer: requests.Response) -> int | None:
    """Give the length of the whole file, where the server tells it."""
    ranged = re.search(r"/(\d+)$", answer.headers.get("Content-Range", ""))
    if ranged:
        return int(ranged[1])
    length = answer.headers.get("Content-Length")
    return int(length) if length and answer.status_code != _PAST_THE_END else None
