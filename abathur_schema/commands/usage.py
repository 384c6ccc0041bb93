"""A command line or a configuration that Invoke cannot read ends with exit code 2, as all wrong
input does here.

Invoke itself answers with 1 (`Program.run`), which here means that `verify` found something, and
to a configuration file that it cannot read with a stack trace.
"""

from collections.abc import Callable
from typing import NoReturn

from invoke.config import Config
from invoke.exceptions import Exit, ParseError
from invoke.parser.parser import ParseMachine

from ..errors import UsageError
from ..wording import as_called


class CommandLineError(ParseError, Exit):
    """Printed by Invoke as a ParseError; then the program ends as an Exit says."""

    def __init__(self, message: str, machine: ParseMachine) -> None:
        super().__init__(message, machine.context)
        hint = as_called("`invoke --list` shows the tasks, `invoke --help TASK` options.")
        self.args = (f"{message} {hint}",)
        self.message = None  # printed already
        self._code = UsageError.exit_code


def _error(self: ParseMachine, msg: str) -> NoReturn:
    raise CommandLineError(msg, self)


def _explained(load: Callable[[Config, bool], None]) -> Callable[[Config, bool], None]:
    def loaded(self: Config, merge: bool = True) -> None:
        try:
            load(self, merge)
        except Exception as error:  # each format has errors of its own
            message = f"Invoke's configuration cannot be read. Mend it:\n{error}"
            raise Exit(message, UsageError.exit_code) from error

    return loaded


def exit_2_on_wrong_usage() -> None:
    """Teach Invoke the exit code; called where the tasks are defined, which is before Invoke reads
    the options of tasks and the configuration beside them.
    """
    ParseMachine.error = _error  # type: ignore[method-assign]
    Config.load_project = _explained(Config.load_project)  # type: ignore[method-assign, assignment]
    Config.load_runtime = _explained(Config.load_runtime)  # type: ignore[method-assign, assignment]
