"""A command line that Invoke cannot read ends with exit code 2, as all wrong input does here.

Invoke itself answers with 1 (`Program.run`), which here means that `verify` found something.
"""

from typing import NoReturn

from invoke.exceptions import Exit, ParseError
from invoke.parser.parser import ParseMachine

from .errors import UsageError


class CommandLineError(ParseError, Exit):
    """Printed by Invoke as a ParseError; then the program ends as an Exit says."""

    def __init__(self, message: str, machine: ParseMachine) -> None:
        super().__init__(message, machine.context)
        self.args = (f"{message} `invoke --list` shows the tasks, `invoke --help TASK` options.",)
        self.message = None  # printed already
        self._code = UsageError.exit_code


def _error(self: ParseMachine, msg: str) -> NoReturn:
    raise CommandLineError(msg, self)


def exit_2_on_wrong_options() -> None:
    """Teach Invoke's parser the exit code; called where the tasks are defined."""
    ParseMachine.error = _error  # type: ignore[method-assign]
