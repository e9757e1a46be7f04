"""Files of the page, as the gateway serves them."""

import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

from gateway.web.api.page_files import FOLDER, MEDIA_TYPES, files_version, page_files
from tests.web.gateway_server import served
from transports.scripted import tokens

HTML = {"accept": "text/html"}
MOST_COMPRESSED = 350_000


async def test_every_file_has_a_type_and_may_be_kept(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        for path, file in page_files().items():
            answer = await gateway.http.get(f"/page/{files_version()}/{path}")
            assert answer.status_code == 200, path
            assert answer.content == file.read_bytes()
            assert answer.headers["content-type"] == MEDIA_TYPES[file.suffix]
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_page_links_the_present_version_below_its_prefix(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), root_path="/chat") as gateway:
        page = await gateway.http.get("/", headers=HTML)
        links = re.findall(r'(?:src|href)="(/chat/page/[^"]+)"', page.text)
        answers = [await gateway.http.get(link.removeprefix("/chat")) for link in links]
    assert len(links) >= 3
    assert {answer.status_code for answer in answers} == {200}
    assert all(f"/page/{files_version()}/" in link for link in links)


async def test_another_version_gets_the_present_file_and_does_not_keep_it(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        answer = await gateway.http.get("/page/0123456789abcdef/app/main.js")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_files_are_compressed_for_those_who_accept_it(tmp_path: Path, encoding: str) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        path = f"/page/{files_version()}/vendor/marked.js"
        answer = await gateway.http.get(path, headers={"accept-encoding": encoding})
    assert answer.headers.get("content-encoding", "identity") == encoding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.content == (FOLDER / "vendor/marked.js").read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "app/none.js",
        "../../settings.py",
        "app/%2e%2e/index.html",
        "index.html",
        "vendor/vendor.json",
        "",
        "app/",
    ],
)
async def test_nothing_else_is_served(tmp_path: Path, path: str) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        answer = await gateway.http.get(f"/page/{files_version()}/{path}")
    assert answer.status_code == 404


def test_libraries_are_those_of_their_list() -> None:
    listed = json.loads((FOLDER / "vendor/vendor.json").read_text())
    hashes = {entry["file"]: entry["sha256"] for entry in listed}
    files = [file for file in (FOLDER / "vendor").iterdir() if file.suffix in MEDIA_TYPES]
    assert {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files} == hashes
    for package in (package for entry in listed for package in entry["packages"]):
        assert (FOLDER / f"vendor/LICENSE.{package['name'].rpartition('/')[2]}.txt").exists()


def test_the_page_is_small_and_asks_no_other_host() -> None:
    own = [file for path, file in page_files().items() if not path.startswith("vendor/")]
    assert sum(len(gzip.compress(file.read_bytes())) for file in page_files().values()) < MOST_COMPRESSED
    for file in own:
        assert not re.search(r"https?://(?!www\.w3\.org/)", file.read_text()), file
