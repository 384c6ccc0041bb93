"""The end of a run: what belongs into the folders beside the report is kept, then it is told."""

from ..errors import Interrupted
from .draft import Draft
from .report import compose, to_json
from .run import Run


def concluded(run: Run, draft: Draft) -> str:
    """The text of the report, when all that belongs into the folders beside it is kept there."""

    def content() -> str:
        if run.failed and not isinstance(run.failed.error, Interrupted):
            from .preserved import preserve  # only a failure pays for its import

            return preserve(run, draft.folder())
        return to_json(compose(run))

    if run.copy:
        from .preserved import complete_copy

        return complete_copy(run, content)
    return content()
