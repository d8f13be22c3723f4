"""The task protocol: what it needs, what it is called, and whose fault an exception of its code is."""

import pytest

from counted import Counted
from maker.errors import TaskError
from maker.task.load import load_task
from maker.task.task import Task, guarded, task_name

HANOI = load_task("hanoi", disks=3)


# -- whose fault it is -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [ValueError("v"), KeyError("k"), RecursionError("deep"), StopIteration(), OSError(5, "x")]
)
def test_what_task_code_raises_names_step_and_method(error):
    """Any exception of the user's code is a TaskError with step, method and cause; the cause is chained."""

    def broken(*args):
        raise error

    with pytest.raises(TaskError, match=f"step 7: apply raised {type(error).__name__}") as caught:
        guarded(broken, 7, "apply", 1, 2)
    assert caught.value.__cause__ is error
    with pytest.raises(TaskError, match=r"^initial_state raised"):
        guarded(broken, None, "initial_state")


def test_a_task_error_of_the_task_is_passed_on():
    """A TaskError that the task raises itself keeps its own words."""
    mine = TaskError("my own words")

    def broken():
        raise mine

    with pytest.raises(TaskError) as caught:
        guarded(broken, 1, "legal")
    assert caught.value is mine


def test_an_interrupt_is_not_a_task_error():
    """KeyboardInterrupt and SystemExit pass through: they are not the task's fault."""
    for leave in (KeyboardInterrupt, SystemExit):

        def stop(leave=leave):
            raise leave

        with pytest.raises(leave):
            guarded(stop, 1, "legal")


def test_guarded_passes_arguments_and_result():
    """A call that raises nothing is just that call."""
    assert guarded(max, 0, "prompt", 3, 5) == 5


def test_a_task_has_the_seven_methods_and_steps():
    """The protocol recognises a complete task and misses any one of its members."""
    assert isinstance(HANOI, Task)
    assert isinstance(Counted(), Task)
    for name in ("initial_state", "prompt", "parse", "legal", "apply", "done", "answer", "steps"):
        parts = {key: value for key, value in vars(Counted).items() if key != name and not key.startswith("__")}
        assert not isinstance(type("Part", (), parts)(), Task), name


def test_a_task_is_called_by_its_name_or_its_class():
    """`name` wins; a task without one is called by its class."""
    assert task_name(HANOI) == "hanoi"
    assert task_name(Counted()) == "Counted"
