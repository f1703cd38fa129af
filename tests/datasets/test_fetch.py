"""`fetch_raw` against a server on loopback: whole, cut off, changed, absent, wrong."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from rafm_datasets import DOWNLOADS, DataError, Download, fetch_raw, source_names
from rafm_datasets.fetching import FetchError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK = 1 << 18  # bytes kept at once
CONTENT = bytes(range(256)) * 4096  # 1 MiB


class Server(ThreadingHTTPServer):
    """Serves `files`; cuts the next answers off after so many bytes as `cuts` say."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.cuts: list[int] = []
        self.validator = '"one"'
        self.asked: list[tuple[str, str | None]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        ranged = self.headers.get("Range")
        self.server.asked.append((self.path, ranged))
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        start = 0
        if ranged and self.headers.get("If-Range") == self.server.validator:
            start = int(ranged.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            last = len(content) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        if self.server.validator:
            self.send_header("ETag", self.server.validator)
        self.end_headers()
        is_file = not self.path.endswith(".md5")
        cut = self.server.cuts.pop(0) if is_file and self.server.cuts else None
        self.wfile.write(content[start : None if cut is None else start + cut])

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server whose file `ml.zip` is the data set `ml`, with its md5 beside it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("rafm_datasets.transfer._WAIT_SECONDS", 0.0)
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        md5 = hashlib.md5(CONTENT).hexdigest()
        made.files = {
            "/ml.zip": CONTENT,
            "/ml.zip.md5": f"MD5 (ml.zip) = {md5}\n".encode(),
        }
        page, url = "https://example.org/page", f"{made.address}/ml.zip"
        entry = Download("movielens", page, "free", url, md5=True)
        monkeypatch.setitem(DOWNLOADS, "ml", entry)
        plain = Download("amazon", page, "free", f"{made.address}/ml.zip")
        monkeypatch.setitem(DOWNLOADS, "unsummed", plain)
        yield made
        made.shutdown()
        thread.join()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def file_requests(server: Server) -> list[str | None]:
    return [ranged for path, ranged in server.asked if path == "/ml.zip"]


def test_a_file_comes_whole_and_is_held_against_its_published_md5(
    server: Server, tmp_path: Path
) -> None:
    told: list[tuple[str, int, int | None, str]] = []
    fetched = fetch_raw("ml", tmp_path, progress=lambda *now: told.append(now))
    assert (tmp_path / "ml.zip").read_bytes() == CONTENT
    assert (fetched.size, fetched.downloaded) == (len(CONTENT), True)
    assert fetched.checksum == "the published md5"
    assert fetched.sha256 == hashlib.sha256(CONTENT).hexdigest()
    file = tmp_path / "ml.zip"
    assert fetched.prepare == f"rafm-bench prepare movielens {file} --out data/ml"
    assert told[-1] == ("fetch", len(CONTENT), len(CONTENT), "bytes")
    assert names(tmp_path) == ["ml.zip", "ml.zip.sha256"]


def test_a_file_that_is_here_is_checked_and_not_fetched_again(
    server: Server, tmp_path: Path
) -> None:
    first = fetch_raw("ml", tmp_path)
    server.asked.clear()
    again = fetch_raw("ml", tmp_path)
    assert server.asked == []
    assert not again.downloaded
    assert again.sha256 == first.sha256
    (tmp_path / "ml.zip").write_bytes(b"damaged")
    assert fetch_raw("ml", tmp_path).downloaded
    assert (tmp_path / "ml.zip").read_bytes() == CONTENT


def test_a_cut_connection_is_taken_up_where_it_broke_off(
    server: Server, tmp_path: Path
) -> None:
    server.cuts = [BLOCK, BLOCK + 5]
    fetch_raw("ml", tmp_path)
    assert (tmp_path / "ml.zip").read_bytes() == CONTENT
    assert file_requests(server) == [None, f"bytes={BLOCK}-", f"bytes={2 * BLOCK}-"]


def test_a_download_given_up_goes_on_with_the_same_command(
    server: Server, tmp_path: Path
) -> None:
    server.cuts = [3 * BLOCK, 0, 0, 0, 0, 0]
    with pytest.raises(FetchError, match=r"cut off.*\(786,432 bytes are here\)"):
        fetch_raw("ml", tmp_path)
    assert names(tmp_path) == [".ml.zip.part", ".ml.zip.part.json"]
    server.asked.clear()
    fetch_raw("ml", tmp_path)
    assert file_requests(server) == [f"bytes={3 * BLOCK}-"]
    assert (tmp_path / "ml.zip").read_bytes() == CONTENT
    assert names(tmp_path) == ["ml.zip", "ml.zip.sha256"]


@pytest.mark.parametrize("validator", ['"two"', ""])
def test_a_file_of_another_or_no_version_is_fetched_from_the_start(
    validator: str, server: Server, tmp_path: Path
) -> None:
    server.cuts = [3 * BLOCK, 0, 0, 0, 0, 0]
    server.validator = validator and '"one"'
    with pytest.raises(FetchError):
        fetch_raw("unsummed", tmp_path)
    server.files["/ml.zip"] = CONTENT[::-1]
    server.validator = validator
    fetch_raw("unsummed", tmp_path)
    assert (tmp_path / "ml.zip").read_bytes() == CONTENT[::-1]


def test_a_partial_file_that_was_whole_already_is_taken(
    server: Server, tmp_path: Path
) -> None:
    server.cuts = [3 * BLOCK, 0, 0, 0, 0, 0]
    with pytest.raises(FetchError):
        fetch_raw("ml", tmp_path)
    (tmp_path / ".ml.zip.part").write_bytes(CONTENT)
    fetch_raw("ml", tmp_path)
    assert file_requests(server)[-1] == f"bytes={len(CONTENT)}-"
    assert (tmp_path / "ml.zip").read_bytes() == CONTENT


def test_a_wrong_checksum_is_an_error_and_no_file_is_left(
    server: Server, tmp_path: Path
) -> None:
    server.files["/ml.zip"] = CONTENT[:-1] + b"?"
    with pytest.raises(FetchError, match="does not have the checksum that is known"):
        fetch_raw("ml", tmp_path)
    assert names(tmp_path) == []


def test_without_a_published_checksum_the_first_download_is_remembered(
    server: Server, tmp_path: Path
) -> None:
    fetched = fetch_raw("unsummed", tmp_path)
    assert "none is published" in fetched.checksum
    line = (tmp_path / "ml.zip.sha256").read_text()
    assert line == f"{fetched.sha256}  ml.zip\n"
    (tmp_path / "ml.zip").unlink()
    server.files["/ml.zip"] = CONTENT[::-1]
    with pytest.raises(FetchError, match=r"if it changed for good remove .*\.sha256"):
        fetch_raw("unsummed", tmp_path)
    assert names(tmp_path) == ["ml.zip.sha256"]


def test_a_file_that_is_not_there_is_told_with_the_page_to_look_at(
    server: Server, tmp_path: Path
) -> None:
    del server.files["/ml.zip"]
    with pytest.raises(FetchError, match="answers 404 Not Found; look for") as caught:
        fetch_raw("ml", tmp_path)
    assert "https://example.org/page" in str(caught.value)
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["ml", "unsummed"])
def test_without_a_connection_it_is_told_in_one_sentence(
    name: str, server: Server, tmp_path: Path
) -> None:
    server.server_close()
    server.shutdown()
    with pytest.raises(FetchError, match="cannot be reached") as caught:
        fetch_raw(name, tmp_path)
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == []


def test_a_proxy_that_is_not_there_is_told_without_debris(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(
        FetchError, match=r"Connection refused\); see to the connection"
    ):
        fetch_raw("ml-1m", tmp_path)


@pytest.mark.parametrize(
    ("name", "category", "message"),
    [
        ("netflix", None, "there is no data set 'netflix' to fetch"),
        ("criteo", None, "cannot be fetched by a program: log in, accept the rules"),
        ("frappe", None, "rafm-bench prepare frappe frappe.csv --out data/frappe"),
        ("ml-1m", "Books", "ml-1m has no categories"),
        ("amazon-2014", "../x", "category must be written as on https"),
    ],
)
def test_what_cannot_be_fetched_is_told(
    name: str, category: str | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        fetch_raw(name, tmp_path, category)


def test_every_entry_leads_to_a_source_with_page_and_terms() -> None:
    for name, entry in DOWNLOADS.items():
        assert entry.source in source_names(), name
        assert entry.page.startswith("https://"), name
        assert entry.licence, name
        assert bool(entry.url) != bool(entry.by_hand and entry.member), name
    assert DOWNLOADS["amazon-2018"].address("Books").endswith("/Books.csv")
    assert DOWNLOADS["ml-1m"].address().endswith("/movielens/ml-1m.zip")
