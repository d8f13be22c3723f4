"""Names to objects: built-in tasks and a user's own file; one clear error for the rest."""

import sys
import textwrap

import pytest

from maker.errors import TaskError
from maker.task.load import builtin_folder, builtin_tasks, load_task, task_parameters
from maker.task.task import Task

_TASK = """
class Count:
    steps = 3

    def __init__(self, start: int = 0, step: float = 1.0, loud: bool = False, names: list[str] = [], pair: tuple[int, int] = (0, 0)):
        self.start, self.step, self.loud, self.names, self.pair = start, step, loud, names, pair

    def initial_state(self):
        return self.start

    def prompt(self, state, step):
        return str(state)

    def parse(self, text):
        return int(text)

    def legal(self, state, action):
        return True

    def apply(self, state, action):
        return state + 1

    def done(self, state):
        return state == 3

    def answer(self, state):
        return state
"""  # noqa: E501 -- the text of a user's file


@pytest.fixture
def user_file(tmp_path):
    """Return a function that writes a user's task file and returns its path; forget its modules afterwards."""
    before = set(sys.modules)

    def write(text=_TASK, name="mine.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("maker_task_"):
            del sys.modules[name]


# -- built-in tasks ------------------------------------------------------------------------------------


def test_built_in_tasks_load_by_name():
    """Every built-in name gives a complete task; hanoi is one of them."""
    assert "hanoi" in builtin_tasks()
    assert builtin_tasks() == sorted(path.stem.replace("_", "-") for path in builtin_folder().glob("[!_]*.py"))
    task = load_task("hanoi", disks=5, style="compact")
    assert isinstance(task, Task)
    assert task.parameters == {"disks": 5, "style": "compact"}
    assert isinstance(task, type(load_task("hanoi")))


def test_a_dash_in_a_name_is_an_underscore_in_its_file():
    """`dict-sum` is listed so and found in dict_sum.py, by either spelling; its parameters are known by either too."""
    assert "dict-sum" in builtin_tasks() and "dict_sum" not in builtin_tasks()
    assert (load_task("dict-sum", turns="3").name, load_task("dict_sum", turns=3).steps) == ("dict-sum", 12)
    assert list(task_parameters("dict-sum")) == ["turns", "keys", "data_seed", "design", "window"]


@pytest.mark.parametrize(("given", "numbers"), [("3,1,2", (3, 1, 2)), ("-3, 1", (-3, 1)), ([2, 1], (2, 1))])
def test_lists_are_given_with_commas(given, numbers):
    """A built-in task that takes a list takes it as the command line writes it, negative numbers included."""
    assert load_task("sorting", numbers=given).numbers == numbers


@pytest.mark.parametrize(("given", "disks"), [("7", 7), (7, 7), (" 7 ", 7), ("07", 7)])
def test_parameters_given_as_text_are_converted(given, disks):
    """The command line's strings become what the constructor's annotations say."""
    task = load_task("hanoi", disks=given)
    assert (task.disks, type(task.disks)) == (disks, int)


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({"disks": "three"}, ["disks", "three"]),
        ({"disks": "2.5"}, ["disks", "2.5"]),
        ({"disks": 2.5}, ["disks", "2.5"]),
        ({"disks": True}, ["disks", "True"]),
        ({"disks": None}, ["disks", "None"]),
        ({"disks": ""}, ["disks"]),
        ({"disks": 0}, ["disks", "0"]),
        ({"disks": "65"}, ["disks", "65"]),
        ({"style": "long"}, ["style", "long", "compact"]),
        ({"disk": 3}, ["'disk'", "disks", "style"]),
        ({"self": 3}, ["'self'"]),
    ],
)
def test_wrong_parameters_are_refused_by_name(parameters, names):
    """A parameter that does not exist or does not fit is a TaskError naming the task, the parameter and the value."""
    with pytest.raises(TaskError, match="hanoi") as caught:
        load_task("hanoi", **parameters)
    assert all(name in str(caught.value) for name in names)


@pytest.mark.parametrize(
    "name", ["hanio", "", "Hanoi", "hanoi.py", "../hanoi", "hanoi:Hanoi", "tasks/hanoi", "x.py", "os"]
)
def test_an_unknown_name_is_refused_with_the_known_ones(name):
    """A name that is no task is a TaskError that lists the built-in tasks and the form of a user's own."""
    with pytest.raises(TaskError, match=r"(?s)hanoi.*path/to/file\.py:Class|no such file"):
        load_task(name)


@pytest.mark.parametrize(("name", "meant"), [("hanio", "hanoi"), ("sortng", "sorting"), ("Hanoi", "hanoi"), ("os", "")])
def test_a_misspelt_name_gets_the_nearest(name, meant):
    """Where a built-in task has nearly that name, the message asks for it; else it asks for none."""
    with pytest.raises(TaskError) as refused:
        load_task(name)
    assert (f"Did you mean '{meant}'?" in str(refused.value)) == bool(meant)
    assert ("Did you mean" in str(refused.value)) == bool(meant)


def test_the_parameters_of_a_built_in_task_are_known():
    """Its help can show every parameter of a built-in task with its default."""
    parameters = task_parameters("hanoi")
    assert {name: parameter.default for name, parameter in parameters.items()} == {
        "disks": 10, "style": "full", "design": None
    }  # fmt: skip


# -- a user's own file -----------------------------------------------------------------------------------


def test_a_class_in_a_file_is_a_task(user_file):
    """`path/to/file.py:Class` gives the task that the class makes, with its defaults."""
    task = load_task(f"{user_file()}:Count")
    assert isinstance(task, Task)
    assert (type(task).__name__, task.initial_state()) == ("Count", 0)


def test_a_relative_path_with_folders_and_spaces(user_file, tmp_path, monkeypatch):
    """The path may be relative and hold spaces, dots and colons in its folders."""
    user_file(name="my tasks.py/a:b/mine v1.0.py")
    monkeypatch.chdir(tmp_path)
    assert load_task("my tasks.py/a:b/mine v1.0.py:Count").initial_state() == 0


def test_text_is_converted_by_the_annotations(user_file):
    """Numbers, flags, lists and tuples given as text arrive as the constructor wants them."""
    text = {"start": "2", "step": "0.5", "loud": "true", "names": "a, b", "pair": "1,2"}
    task = load_task(f"{user_file()}:Count", **text)
    assert (task.start, task.step, task.loud, task.names, task.pair) == (2, 0.5, True, ["a", "b"], (1, 2))
    assert [type(value) for value in (task.start, task.step, task.loud)] == [int, float, bool]


def test_values_of_the_right_type_pass_unchanged(user_file):
    """What is not text must fit already: nothing is guessed from another type."""
    task = load_task(f"{user_file()}:Count", start=2, step=1, loud=True, names=["x"], pair=(1, 2))
    assert (task.start, task.loud, task.names, task.pair) == (2, True, ["x"], (1, 2))
    for wrong in ({"start": 1.0}, {"start": True}, {"loud": 1}, {"pair": (1, "2")}, {"names": 3}):
        with pytest.raises(TaskError, match=next(iter(wrong))):
            load_task(f"{user_file()}:Count", **wrong)


def test_a_function_or_a_dataclass_can_make_a_task(user_file):
    """Anything callable in the file may construct the task; its annotations convert as well."""
    path = user_file(f"""
import dataclasses
{_TASK}
def make(start: int):
    return Count(start)

@dataclasses.dataclass
class Other(Count):
    start: int = 5

    def __post_init__(self):
        self.seen = type(self.start)
""")
    assert load_task(f"{path}:make", start="4").initial_state() == 4
    assert load_task(f"{path}:Other", start="6").initial_state() == 6


def test_parameters_without_annotations_stay_as_given(user_file):
    """Without an annotation there is nothing to convert to: text stays text."""
    path = user_file(_TASK.replace("start: int = 0", "start=0"))
    assert load_task(f"{path}:Count", start="7").start == "7"


def test_annotations_that_cannot_be_resolved_do_not_stop_a_load(user_file):
    """A type that the file imports for checkers only leaves the file loadable."""
    path = user_file("from __future__ import annotations\n" + _TASK.replace("start: int", "start: OnlyForCheckers"))
    assert load_task(f"{path}:Count").initial_state() == 0


def test_annotations_of_foreign_classes_take_their_objects(user_file):
    """A parameter annotated with a class of the user's own takes an object of it."""
    path = user_file("class Box:\n    pass\n" + _TASK.replace("start: int = 0", "start: Box = None"))
    made = load_task(f"{path}:Count", step="2")
    box = sys.modules[type(made).__module__].Box()
    assert load_task(f"{path}:Count", start=box).start is box


def test_a_file_is_loaded_once(user_file):
    """Two tasks of one file share its module, so their classes are the same."""
    path = user_file()
    assert type(load_task(f"{path}:Count")) is type(load_task(f"{path}:Count"))


def test_files_of_the_same_name_are_told_apart(user_file):
    """Two files of one name in different folders are two modules."""
    one = user_file(name="a/same.py")
    two = user_file(_TASK.replace("steps = 3", "steps = 4"), name="b/same.py")
    steps = [load_task(f"{path}:Count").steps for path in (one, two, one)]
    assert steps == [3, 4, 3]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("raise RuntimeError('at import')", ["RuntimeError", "at import", "mine.py"]),
        ("import no_such_module_anywhere", ["ModuleNotFoundError", "no_such_module_anywhere"]),
        ("def broken(:\n", ["SyntaxError", "mine.py"]),
        ("x = 1\x00", ["mine.py"]),
    ],
)
def test_a_file_that_raises_is_a_task_error(user_file, text, names):
    """Whatever a file raises when it is loaded is a TaskError with file, type and message; nothing half-made stays."""
    path = user_file(text)
    for _ in range(2):
        with pytest.raises(TaskError) as caught:
            load_task(f"{path}:Count")
        assert all(name in str(caught.value) for name in names)
    assert "maker_task_mine" not in sys.modules
    path.write_text(_TASK)
    assert load_task(f"{path}:Count").steps == 3


def test_a_constructor_that_raises_is_a_task_error(user_file):
    """Whatever a constructor raises is a TaskError with type and message; its own TaskError keeps its words."""
    path = user_file("""
from maker import TaskError

class Bad:
    def __init__(self, kind: str):
        if kind == "own":
            raise TaskError("my words")
        raise LookupError("no luck")
""")
    with pytest.raises(TaskError, match=r"cannot be made: LookupError: no luck"):
        load_task(f"{path}:Bad", kind="x")
    with pytest.raises(TaskError, match=r"^my words$"):
        load_task(f"{path}:Bad", kind="own")
    with pytest.raises(TaskError, match="kind"):
        load_task(f"{path}:Bad")


@pytest.mark.parametrize("missing", ["initial_state", "prompt", "parse", "legal", "apply", "done", "answer", "steps"])
def test_a_task_without_one_of_its_methods_is_refused_by_its_name(user_file, missing):
    """An incomplete task is refused when it is loaded, not in the middle of a run."""
    path = user_file(_TASK.replace(f"def {missing}", "def gone").replace(f"{missing} = 3", "gone = 3"))
    with pytest.raises(TaskError, match=rf"lacks {missing}\b"):
        load_task(f"{path}:Count")


def test_a_class_that_is_not_there_is_refused_with_those_that_are(user_file):
    """A wrong class name is a TaskError that lists the tasks the file has."""
    path = user_file()
    with pytest.raises(TaskError, match=r"no class 'Cuont'.*Count"):
        load_task(f"{path}:Cuont")
    with pytest.raises(TaskError, match="no class ''"):
        load_task(f"{path}:")
    with pytest.raises(TaskError, match="no task at all"):
        load_task(f"{user_file('x = 1', name='nothing.py')}:x")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    """A missing file and a folder are a TaskError with the path."""
    with pytest.raises(TaskError, match=r"gone\.py: no such file"):
        load_task(f"{tmp_path}/gone.py:Count")
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(TaskError, match=r"folder\.py: no such file"):
        load_task(f"{tmp_path}/folder.py:Count")


def test_the_built_in_file_loads_as_a_users_file_too():
    """A built-in task by its path is the same kind of task."""
    task = load_task(f"{builtin_folder() / 'hanoi.py'}:Hanoi", disks="3")
    assert (task.name, task.disks) == ("hanoi", 3)


def test_a_design_of_a_users_task_is_known_by_its_table(user_file):
    """A class with `designs` takes those only, and says what each is; one without has no such parameter."""
    path = user_file(_TASK.replace("    steps = 3\n", "    steps = 3\n    designs = {'fine': 'small steps'}\n"))
    with pytest.raises(TaskError, match=r"has no design 'odd'\. It has: fine: small steps\."):
        load_task(f"{path}:Count", design="odd")
    with pytest.raises(TaskError, match="no parameter 'design'"):
        load_task(f"{user_file(name='plain.py')}:Count", design="odd")
