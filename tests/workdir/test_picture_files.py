"""Where the grids of a run lie, and what its tasks are called there."""

import pytest

from lgaa_jax.workdir import picture_files


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("mnist", "mnist"),
        ("mnist[0-4]", "mnist_0-4"),
        ("mnist[0,2,7-9]", "mnist_0_2_7-9"),
        ("mnist[2]#3", "mnist_2-3"),
        ("folder:cats", "cats"),
        ("folder:/data/animals/cats[0-1]", "animals_cats_0-1"),
        ("folder:/data/animals/cats/", "animals_cats"),
        ("folder:~/Bilder/Kätzchen", "Bilder_Kätzchen"),
        ("folder:/data/写真", "data_写真"),
        ("folder:Ka\N{COMBINING DIAERESIS}tzchen", "Kätzchen"),
        ("folder:a\udcff b", "a_b"),
        ("folder:.", "task"),
        ("folder:../-x", "x"),
    ],
)
def test_a_stem_is_readable(name, stem):
    assert picture_files.stems([name]) == [stem]


@pytest.mark.parametrize(
    "names",
    [
        ["folder:a/b", "folder:a_b"],
        ["folder:x/set/images", "folder:y/set/images"],
        ["folder:Cats", "folder:cats", "folder:CATS"],
        ["folder:Straße", "folder:STRASSE"],
        ["mnist#2", "mnist-2", "mnist[2]", "folder:mnist/2", "folder:mnist[2]"],
        ["folder:.", "folder:..", "folder:/"],
        [f"folder:{'x' * 300}{n}" for n in range(4)],
        [f"folder:{'é' * 200}", f"folder:{'É' * 200}"],
    ],
)
def test_no_two_stems_are_alike_and_later_tasks_change_none(names):
    stems = picture_files.stems(names)
    assert len({stem.lower() for stem in stems}) == len(names)
    assert all(len(stem.encode()) <= 80 for stem in stems)
    for n in range(len(names)):
        assert picture_files.stems(names[:n]) == stems[:n]


def test_a_stem_that_looks_like_anothers_with_its_checksum_is_told_apart():
    plain, marked = picture_files.stems(["folder:a/b", "folder:a_b"])
    assert plain == "a_b"
    assert marked.startswith("a_b-")
    stems = picture_files.stems([f"folder:{marked}", "folder:a/b", "folder:a_b"])
    assert stems[:2] == [marked, "a_b"]
    assert len(set(stems)) == 3
