"""Exit with code 2 when Invoke cannot read a command line or configuration, as for any wrong input.

By itself, Invoke exits with 1 (`Program.run`), which here means that `verify` found something, and
reports an unreadable configuration file with a stack trace.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from invoke import program
from invoke.config import Config
from invoke.exceptions import Exit, ParseError
from invoke.parser.parser import ParseMachine, ParseResult

from ..errors import UsageError
from ..wording import as_called
from .output import say


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


READS = ("load_system", "load_user", "load_project", "load_runtime", "merge")
"""The methods by which Invoke reads its configuration."""


def _explained(read: Callable[..., None]) -> Callable[..., None]:
    def explained(self: Config, *args: Any, **kwargs: Any) -> None:
        try:
            read(self, *args, **kwargs)
        except Exit:  # it is explained already
            raise
        except Exception as error:  # each file format has its own errors
            message = f"Invoke's configuration cannot be read. Fix it:\n{error}"
            raise Exit(message, UsageError.exit_code) from error

    return explained


def _there(load: Callable[..., None]) -> Callable[..., None]:
    """By itself, Invoke takes a file that does not exist (`-f FILE`) for an empty one."""

    def loaded(self: Config, *args: Any, **kwargs: Any) -> None:
        path = self._runtime_path
        if path and not Path(path).exists():
            raise FileNotFoundError(f"there is no {path}")
        load(self, *args, **kwargs)

    return loaded


LEFT_OUT = "\0"
"""The value of an argument that was left out: no path, and not empty, as that of a variable of a
script that was never set."""

MAY_BE_LEFT_OUT = {
    ("show", "report"),
    ("restore", "state"),
    ("backup", "folder"),
    ("forget", "rules"),
}
"""The arguments without a name that may be missing: a task and its argument. To Invoke all such
arguments are required."""


def _lenient(complete: Callable[[ParseMachine], None]) -> Callable[[ParseMachine], None]:
    def completed(self: ParseMachine) -> None:
        for argument in self.context.missing_positional_args if self.context else ():
            if (self.context.name, argument.name) in MAY_BE_LEFT_OUT:
                argument.set_value(LEFT_OUT, cast=False)
        complete(self)

    return completed


def _with_ours(complete: Callable[..., Exit]) -> Callable[..., Exit]:
    def completed(names: list[str], core: ParseResult, *rest: object, **more: object) -> Exit:
        from .completion import candidates  # only a shell that completes pays for this import

        found = candidates(core.remainder)
        if found is None:
            return complete(names, core, *rest, **more)
        for one in found:
            say(one)
        raise Exit

    return completed


def exit_2_on_wrong_usage() -> None:
    """Patch Invoke's exit code, and what it completes; called where the tasks are defined, before
    Invoke reads their options and the configuration beside them.
    """
    program.complete = _with_ours(program.complete)  # type: ignore[attr-defined]
    ParseMachine.error = _error  # type: ignore[method-assign]
    complete = ParseMachine.complete_context
    ParseMachine.complete_context = _lenient(complete)  # type: ignore[method-assign, assignment]
    Config.load_runtime = _there(Config.load_runtime)  # type: ignore[method-assign]
    for name in READS:
        setattr(Config, name, _explained(getattr(Config, name)))
