"""The code of README.md and `docs/` is run, block after block, and prints what the page shows."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, environment

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)\)")

SHOWN = {"README.md": '"dark" 1\n'}  # what a block prints and the page tells in words


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_code_of_the_page_prints_what_is_shown(page: Path, tmp_path: Path) -> None:
    blocks = BLOCK.findall(page.read_text("utf-8"))
    program = "".join(text for kind, text in blocks if kind == "python")
    shown = "".join(text for kind, text in blocks if kind == "text")
    if not program:
        pytest.skip("no code")
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == SHOWN.get(page.name, "") + shown


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_links_of_the_page_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text("utf-8")):
        assert (page.parent / link).exists(), link
