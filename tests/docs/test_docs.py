"""The pages say what is so: links lead somewhere, examples run, pictures are current."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, Page, pages
from tests.support.processes import running, wait_until

PAGES = pages()


def by_name(page: Page) -> str:
    return page.name


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_link_leads_somewhere(page: Page) -> None:
    """What a page links to in the project exists, and so does the heading that it names."""
    broken = [target for target in page.links() if not leads_somewhere(page, target)]

    assert [] == broken


def leads_somewhere(page: Page, target: str) -> bool:
    path, _, anchor = target.partition("#")
    file = (page.path.parent / path).resolve() if path else page.path
    if not file.exists() or not file.is_relative_to(ROOT):
        return False
    return not anchor or (file.suffix == ".md" and anchor in Page(file).anchors())


def test_the_index_leads_to_every_page() -> None:
    """Starting at the README, every page in docs/ can be reached by links."""
    waiting, reached = [ROOT / "README.md"], set()
    while waiting:
        path = waiting.pop()
        if path not in reached and path.exists():
            reached.add(path)
            targets = (target.partition("#")[0] for target in Page(path).links())
            waiting += [(path.parent / target).resolve() for target in targets if target.endswith(".md")]

    assert [] == sorted(str(path) for path in (ROOT / "docs").rglob("*.md") if path not in reached)


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_code_shown_from_a_file_stands_there(page: Page) -> None:
    """A block that claims to be from a file is in that file, word for word."""
    for block in page.blocks():
        if "file" in block.options:
            assert block.text in (ROOT / block.options["file"]).read_text(), f"{page.name}:{block.line}"


@pytest.mark.timeout(240)
@pytest.mark.parametrize("page", [page for page in PAGES if page.runnable() and not page.for_vm], ids=by_name)
def test_the_examples_of_a_page_run(page: Page, tmp_path: Path) -> None:
    """Typed in order, every example of the page succeeds."""
    for name in ("examples", "proto", "src"):
        (tmp_path / name).symlink_to(ROOT / name)
    with ExitStack() as stack:
        Reader(page, tmp_path, stack).read()


class Reader:
    """Types a page's examples: 8080 is a free port instead, /tmp a directory of the test's own."""

    def __init__(self, page: Page, directory: Path, stack: ExitStack) -> None:
        self._page = page
        self._directory = directory
        self._stack = stack
        self._servers: dict[str, ExitStack] = {}
        self._port = free_port()
        self._environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(directory),
            "XDG_DATA_HOME": str(directory / "data"),
            "G2DISK_ENDPOINT": f"127.0.0.1:{self._port}",
            "G2DISK_RUN_DIR": str(directory / "run"),
        }

    def read(self) -> None:
        for block in self._page.runnable():
            if "serve" in block.options:
                self._serve(block)
            else:
                self._run(block)

    def _serve(self, block: Block) -> None:
        """Start a server, in place of the page's earlier one of that kind."""
        command = self._typed(block)
        kind = shlex.split(command)[0]
        if kind in self._servers:
            self._servers.pop(kind).close()
        stack = self._servers[kind] = self._stack.enter_context(ExitStack())
        ready = block.options["serve"]
        path = Path(self._typed_text(ready)) if ready.startswith("/") else None
        shell = ["bash", "-c", f"cd {shlex.quote(str(self._directory))}; exec {command}"]
        process = stack.enter_context(
            running(shell, self._directory, env=self._environment, ready=None if path else ready)
        )
        if path:
            wait_until(f"{path} is there", path.is_socket, process)

    def _run(self, block: Block) -> None:
        text = self._typed(block)
        command = (
            [sys.executable, "-c", text] if block.language == "python" else ["bash", "-euo", "pipefail", "-c", text]
        )
        done = subprocess.run(
            command,
            cwd=self._directory,
            env={**os.environ, **self._environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
        )

        assert 0 == done.returncode, f"{self._page.name}:{block.line}:\n{done.stdout}"

    def _typed(self, block: Block) -> str:
        text = self._typed_text(block.text)
        if "serve" in block.options:
            text = text.replace("g2disk serve", f"g2disk serve --listen 127.0.0.1:{self._port}")
        return text

    def _typed_text(self, text: str) -> str:
        return re.sub(r":8080\b", f":{self._port}", text).replace("/tmp/", f"{self._directory}/")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_the_pictures_are_current(tmp_path: Path) -> None:
    """Drawing the pictures again gives the committed files; else run ./dev docs."""
    subprocess.run([sys.executable, ROOT / "scripts" / "pictures.py", tmp_path], check=True)
    for drawn in tmp_path.glob("*.svg"):
        assert (ROOT / "docs" / drawn.name).read_text() == drawn.read_text(), drawn.name
