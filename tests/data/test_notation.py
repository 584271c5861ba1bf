"""What a task text means, and which error each wrong one gives; no test here reads an image."""

import pytest
from PIL import Image

from lgaa_jax.data import notation, tfds_sets
from lgaa_jax.errors import UserError

COMMAND = r"pip install 'lgaa-jax\[prepare\]' && python -m lgaa_jax.prepare "

pytestmark = pytest.mark.usefixtures("no_network")


def test_parse_tasks():
    specs = notation.parse_tasks(" mnist[0-4], mnist [ 9, 5,7-8 ],letters ")
    assert specs == (
        notation.TaskSpec("mnist[0-4]", "mnist", (0, 1, 2, 3, 4), "mnist[0-4]"),
        notation.TaskSpec("mnist[9,5,7-8]", "mnist", (5, 7, 8, 9), "mnist[9,5,7-8]"),
        notation.TaskSpec("letters", "letters", None, "letters"),
    )


def test_what_is_named_again_is_a_task_with_a_number():
    """However it is written: it is the same images."""
    text = "digits,mnist[0,1],digits,mnist[0-1],mnist,digits"
    specs = notation.parse_tasks(text)
    names = ["digits", "mnist[0,1]", "digits#2", "mnist[0,1]#2", "mnist", "digits#3"]
    assert [spec.name for spec in specs] == names
    assert [spec.base for spec in specs] == [name.partition("#")[0] for name in names]
    assert specs[3].classes == specs[1].classes == (0, 1)
    assert notation.split_tasks(" a , b[0, 1] ,c") == ["a", "b[0, 1]", "c"]


def test_names_stay_apart_where_a_folder_is_called_like_a_repetition(tmp_path):
    for name in ("x", "x#2"):
        (tmp_path / name).mkdir()
        for image in range(20):
            Image.new("L", (4, 4)).save(tmp_path / name / f"{image}.png")
    folders = [f"folder:{tmp_path / name}" for name in ("x", "x#2")]
    assert [spec.name for spec in notation.parse_tasks(",".join(folders))] == folders
    with pytest.raises(UserError, match=r"has two tasks 'folder:.*x#2'; rename that folder"):
        notation.parse_tasks(",".join([folders[0], *folders]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "tasks='' has an empty task"),
        ("digits,,letters", "tasks='digits,,letters' has an empty task"),
        ("digits,", "tasks='digits,' has an empty task"),
        ("Fashion-MNIST", "unknown task 'Fashion-MNIST'.*celeb_a.*did you mean 'fashion_mnist'"),
        ("zzzz", r"unknown task 'zzzz': there are digits, letters, mnist.*data_dir\)\.$"),
        ("some:thing", "unknown task 'some:thing'"),
        ("mnist[0-4", r"cannot read the brackets of task 'mnist\[0-4'"),
        ("mnist[0]]", r"cannot read the brackets of task 'mnist\[0\]\]'"),
        ("mnist[]", r"cannot read '' in task 'mnist\[\]'"),
        ("mnist[0,x]", r"cannot read 'x' in task 'mnist\[0,x\]'"),
        ("mnist[-1]", "cannot read '-1' in task"),
        ("mnist[4-0]", "range '4-0' in task .* descends; write '0-4'"),
        ("mnist[1,0-3]", r"'mnist\[1,0-3\]' has class 1 more than once"),
        ("mnist[0-10]", r"'mnist\[0-10\]' asks for class 10; its classes are 0 to 9"),
        ("celeb_a[0]", r"'celeb_a\[0\]' asks for classes, but celeb_a is unlabelled"),
        ("mnist#2", "unknown task 'mnist#2'"),
    ],
)
def test_bad_task_text_is_refused(text, message, tmp_path):
    with pytest.raises(UserError, match=message):
        notation.parse_tasks(text, str(tmp_path))


@pytest.mark.parametrize("name", ["mnist", "celeb_a"])
def test_an_unprepared_set_is_reported_with_the_command_that_prepares_it(name, tmp_path):
    with pytest.raises(UserError, match=f"'{name}' is not prepared.*{COMMAND}{name} --data_dir="):
        notation.check_tasks(f"digits,{name}", str(tmp_path / "with space"))
    assert "--data_dir='" in tfds_sets.command(name, str(tmp_path / "with space"))
    assert not list(tmp_path.iterdir())
