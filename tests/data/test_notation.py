"""What a task text means, and which error each wrong one gives; no test here reads an image."""

import pytest
from PIL import Image

from lgaa_jax.data import notation, tfds_sets
from lgaa_jax.data.quoting import quoted, unquoted
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
        ("zzzz", r"unknown task 'zzzz': there are digits, letters, letter_.*data_dir\)\.$"),
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


@pytest.mark.parametrize("tasks", [None, 3, ["digits"]])
def test_tasks_that_are_no_text_are_refused(tasks):
    for read in (notation.split_tasks, notation.parse_tasks):
        with pytest.raises(UserError, match=r"tasks=.* cannot be used; it must be text such as"):
            read(tasks)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a,b[0,1],c", ["a", "b[0,1]", "c"]),
        (" a , b [ 0 , 1 ] ", ["a", "b [ 0 , 1 ]"]),
        ("folder:'a,b[c]',d", ["folder:'a,b[c]'", "d"]),
        ('folder:"a,b"[0,1],d', ['folder:"a,b"[0,1]', "d"]),
        ("folder:'it''s, so'[x],d", ["folder:'it''s, so'[x]", "d"]),
        ("folder:it's,folder:b's", ["folder:it's", "folder:b's"]),
        ("folder:x['a,b','c]'],d", ["folder:x['a,b','c]']", "d"]),
        ("folder:x[it's,b's],d", ["folder:x[it's,b's]", "d"]),
        ("folder:C:\\a b,d", ["folder:C:\\a b", "d"]),
        ("a[0,b", ["a[0,b"]),
        ("a,", ["a", ""]),
        ("", [""]),
    ],
)
def test_commas_in_quotes_and_brackets_part_no_tasks(text, parts):
    assert notation.split_tasks(text) == parts


@pytest.mark.parametrize(
    "text", ["a b", "a,b", "a]b", "'a'", '"a', "it's", "it's, so", """'"',[""", " a ", "été"]
)
def test_quoted_text_is_read_as_it_was(text):
    assert unquoted(quoted(text)) == text
    (part, rest) = notation.split_tasks(f"folder:{quoted(text)},rest")
    assert unquoted(part.removeprefix("folder:")) == text
    assert rest == "rest"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Makes a folder of classes, four images each, and returns it as a source."""

    def make(*names):
        root = tmp_path_factory.mktemp("folder")
        for name in names:
            (root / name).mkdir()
            for i in range(4):
                (root / name / f"{i}.png").touch()
        return f"folder:{root}"

    return make


@pytest.mark.parametrize(
    ("names", "brackets", "labels"),
    [
        ("cat dog emu", "[cat]", (0,)),
        ("cat dog emu", "[ emu , cat ]", (0, 2)),
        ("cat dog emu", "[dog-emu]", (1, 2)),
        ("cat dog emu", "[1-2]", (1, 2)),
        ("cat dog emu", "[cat,2]", (0, 2)),
        ("0 1 2 3 4 5 6 7 8 9 10 11", "[2]", (2,)),
        ("0 1 2 3 4 5 6 7 8 9 10 11", "[9-11]", (9, 10, 11)),
        ("1 2 3", "[1]", (0,)),  # the name of a class comes before its label
        ("1 2 3", "[2-3]", (1, 2)),
        ("00 01 02", "[2]", (2,)),
        ("0-4 5-9 a", "[0-4]", (0,)),
        ("t-shirt x-y z", "[t-shirt-x-y]", (0, 1)),
    ],
)
def test_brackets_of_a_folder_hold_names_or_labels(folder, names, brackets, labels):
    (spec,) = notation.parse_tasks(folder(*names.split()) + brackets)
    assert spec.classes == labels
    assert spec.name == spec.source + brackets.replace(" ", "")


@pytest.mark.parametrize(
    ("brackets", "message"),
    [
        ("[4]", "cannot read|asks for class 4; its classes are 0 to 2"),
        ("[dgo]", "cannot read 'dgo' in task .* or with names of its classes, such as 2"),
        ("[0-2]", "the range '0-2' .* one end that is the name of a class"),
        ("[6-2]", "the range '6-2' in task .* descends; write '2-6'"),
        ("[cat,dog,2,dog]", "cannot read 'cat'"),
        ("[2,0]", "has class 0 more than once"),
    ],
)
def test_brackets_that_mean_no_class_are_refused(folder, brackets, message):
    with pytest.raises(UserError, match=message):
        notation.parse_tasks(folder("2", "4.5", "6") + brackets)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("folder:'a,b", 'cannot read the quotes of task "folder:\'a"'),
        ("folder:'a'b", "cannot read the quotes of task"),
        ("folder:", "task 'folder:' names no folder"),
        ("folder:''", "names no folder"),
        ("folder:a[b]c", "cannot read the brackets of task .* in quotes, like folder:"),
        ("folder:/nowhere/\0", "cannot be read|there is no folder"),
        ("folder:/dev/null", "there is no folder /dev/null"),
    ],
)
def test_a_folder_that_cannot_be_read_is_refused(text, message):
    with pytest.raises(UserError, match=message):
        notation.parse_tasks(text)


def test_one_folder_is_one_source_however_its_path_is_quoted(folder):
    source = folder("a", "b")
    path = source.removeprefix("folder:")
    specs = notation.parse_tasks(f"{source},folder:'{path}',folder:\"{path}\"['a']")
    assert [spec.source for spec in specs] == [source] * 3
    assert [spec.name for spec in specs] == [source, f"{source}#2", f"{source}[a]"]
