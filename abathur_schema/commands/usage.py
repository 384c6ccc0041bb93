"""Exit with code 2 when Invoke cannot read a command line or configuration, as for any wrong input.

By itself, Invoke exits with 1 (`Program.run`), which here means that `verify` found something, and
reports an unreadable configuration file with a stack trace.
"""

from collections.abc import Callable
from typing import NoReturn

from invoke.config import Config
from invoke.exceptions import Exit, ParseError
from invoke.parser.parser import ParseMachine

from ..errors import UsageError
from ..wording import as_called


class CommandLineError(ParseError, Exit):
    """Invoke prints it as a ParseError; the program then exits as an Exit says."""

    def __init__(self, message: str, machine: ParseMachine) -> None:
        super().__init__(message, machine.context)
        hint = as_called("`invoke --list` shows the tasks, `invoke --help TASK` options.")
        self.args = (f"{message} {hint}",)
        self.message = None  # already printed
        self._code = UsageError.exit_code


def _error(self: ParseMachine, msg: str) -> NoReturn:
    raise CommandLineError(msg, self)


def _explained(load: Callable[[Config, bool], None]) -> Callable[[Config, bool], None]:
    def loaded(self: Config, merge: bool = True) -> None:
        try:
            load(self, merge)
        except Exception as error:  # each file format has its own errors
            message = f"Invoke's configuration cannot be read. Fix it:\n{error}"
            raise Exit(message, UsageError.exit_code) from error

    return loaded


def exit_2_on_wrong_usage() -> None:
    """Patch Invoke's exit code; called where the tasks are defined, before Invoke reads their
    options and the configuration beside them.
    """
    ParseMachine.error = _error  # type: ignore[method-assign]
    Config.load_project = _explained(Config.load_project)  # type: ignore[method-assign, assignment]
    Config.load_runtime = _explained(Config.load_runtime)  # type: ignore[method-assign, assignment]
