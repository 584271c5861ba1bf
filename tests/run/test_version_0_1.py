"""A run of version 0.1 as it was before formats were numbered, kept in miniature.

`version_0_1.tar.xz` was written by commit 08e46f4: tasks=digits, networks of width 4 that were not
trained, `tests/conftest.py::untrained_run`.
"""

import tarfile
from pathlib import Path

import pytest
from conftest import small_config

import lgaa_jax
from lgaa_jax.errors import UserError
from lgaa_jax.run import driver
from lgaa_jax.run.session import open_session
from lgaa_jax.run.verifying import verify
from lgaa_jax.workdir.metadata import FORMAT, read_metadata, write_metadata

ARCHIVE = Path(__file__).parents[1] / "workdir" / "version_0_1.tar.xz"
WIDTHS = dict.fromkeys(("net.width", "net.critic_width", "net.class_width", "net.code_size"), 4)
# What it has without a key of the config, and two whose defaults have changed.
EARLIER = {"loss.chroma": 0.0, "loss.r2": 0.0, "net.class_full": 0, "replay.spread": 1.0}
EARLIER |= {"optim.autoencoder.b2": 0.999}


def config(**changes):
    changes = {"tasks": "digits", "eval.generation": "never", "log.keep_checkpoints": 1, **changes}
    return small_config(**WIDTHS, **(EARLIER | changes))


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder / "run"


def test_it_is_verified_loaded_and_goes_on(old, capsys):
    """Nothing is trained: it has finished. What it lacks is written down."""
    assert "format" not in read_metadata(old)
    assert verify(old)
    assert "checkpoint of step 5            readable; saved without checksums" in (
        capsys.readouterr().out
    )
    assert lgaa_jax.load(old).tasks == ["digits"]
    for changes, told in (
        ({"seed": 1}, r"another seed \(there 0, now 1\)"),
        ({"net.class_full": 16}, r"another net.class_full \(there 0, now 16\)"),
    ):
        with pytest.raises(UserError, match=told):
            open_session(config(**changes), old)
    results = (old / "results.json").read_bytes()
    driver.run(config(), old)
    assert (old / "results.json").read_bytes() == results
    written = read_metadata(old)
    assert written["format"] == FORMAT
    assert written["data"]["digits"]["training"] == 1297


def test_a_run_of_a_later_format_is_refused_in_one_sentence(tmp_path):
    session = open_session(config(), tmp_path)
    write_metadata(tmp_path, {**session.written, "format": FORMAT + 1})
    message = rf"is of format {FORMAT + 1} and was written by a later version of lgaa_jax; this one"
    for start in (lambda: open_session(config(), tmp_path), lambda: lgaa_jax.load(tmp_path)):
        with pytest.raises(UserError, match=message):
            start()
