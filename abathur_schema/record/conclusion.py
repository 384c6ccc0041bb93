"""From a run to its record, and from both to an exit code."""

from typing import NamedTuple

from ..errors import VERIFY_FAILED, Interrupted, StepError
from .draft import Draft
from .report import compose, to_json
from .run import Run


class Record(NamedTuple):
    """The text of a report, and why it could not be written, if so."""

    content: str
    lost: OSError | None = None


def record(run: Run, draft: Draft) -> Record:
    """Keep what belongs in the folders beside the report, then write the report."""
    content = _content(run, draft)
    try:
        draft.write(content)
    except OSError as error:
        return Record(content, error)
    return Record(content)


def exit_code(run: Run, recorded: Record) -> int:
    """0: all is well; 1: checks failed; 3: a step failed, or its report could not be written;
    otherwise the code of the signal that ended the run.
    """
    failed = run.failed
    if failed and isinstance(failed.error, Interrupted):
        return failed.error.exit_code
    if failed or recorded.lost:
        return StepError.exit_code
    return VERIFY_FAILED if run.faults else 0


def _content(run: Run, draft: Draft) -> str:
    """The text of the report, after everything it mentions has been kept."""

    def content() -> str:
        if run.preserves and run.failed and not isinstance(run.failed.error, Interrupted):
            from .preserved import preserve  # only a failure pays for this import

            return preserve(run, draft.folder())
        return to_json(compose(run))

    if run.copy:
        from .preserved import complete_copy

        return complete_copy(run, content)
    return content()
