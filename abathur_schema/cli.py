"""The console command `abathur-schema`: the tasks of `tasks.py`, wherever they are installed."""

from importlib.util import module_from_spec, spec_from_file_location

from invoke.collection import Collection
from invoke.program import Program

from . import __version__, wording
from .declared.declaration import bundled


def _tasks() -> Collection:
    """Load `tasks.py`: inside the package in a wheel, beside it in the checkout."""
    spec = spec_from_file_location("abathur_schema.tasks", bundled("tasks.py"))
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    namespace: Collection = module.namespace
    return namespace


wording.called = wording.CONSOLE
program = Program(version=__version__, namespace=_tasks(), name=wording.CONSOLE)
