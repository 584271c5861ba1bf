"""An exported model: the numbers of the live one, with the package and without it."""

import json
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
from conftest import read_json
from jax import export as jax_export
from safetensors.numpy import load_file

import lgaa_jax
from lgaa_jax.errors import UserError
from lgaa_jax.evaluation import inference
from lgaa_jax.model.core import one_hot

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 16, 16, 1), np.uint8)


@pytest.fixture(scope="module")
def live(learned):
    return lgaa_jax.load(learned)


@pytest.fixture(scope="module")
def folder(learned):
    return lgaa_jax.export(learned)


def call(folder, name, network, *inputs):
    """What an exported function gives, as its users call it."""
    content = (folder / f"{name}.stablehlo").read_bytes()
    weights = load_file(folder / "weights.safetensors")
    own = {key: a for key, a in weights.items() if key.startswith(f"{network}/")}
    return np.asarray(jax_export.deserialize(bytearray(content)).call(own, *inputs))


def test_what_is_loaded_from_it_is_the_live_model(folder, live, learned):
    assert folder == learned / "export"
    model = lgaa_jax.load(folder)
    assert (model.tasks, model.card) == (live.tasks, live.card)
    assert model.nets.num_tasks == 3
    assert model.task_of(IMAGES, probabilities=True).shape == (7, 2)  # not of the reserved task
    np.testing.assert_array_equal(model.class_mask, live.class_mask)
    for name in ("encode", "reconstruct", "classify", "task_of"):
        np.testing.assert_array_equal(getattr(model, name)(IMAGES), getattr(live, name)(IMAGES))
    np.testing.assert_array_equal(model.generate(20, "letters"), live.generate(20, "letters"))


def codes(n):
    """Class C of the second task, as the generator takes it."""
    return one_hot(np.full(n, 2), 10), one_hot(np.full(n, 1), 3)


def assert_live(found, live, x):
    """What its functions found of images is what the live ones say."""
    nets, params = live.nets, live.params
    expected = {
        "z": inference.encode(nets, params, x),
        "of_class": inference.class_logits(nets, params, x),
        "of_task": inference.task_logits(nets, params, x),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-5)
    images = live.decode(np.asarray(expected["z"]), "letters", "C")
    assert found["images"].shape == images.shape
    assert np.abs(np.int16(found["images"]) - images).max() <= 1  # they are rounded to 8 bits


@pytest.mark.parametrize("n", [1, 7])
def test_its_functions_give_the_numbers_of_the_live_ones(folder, live, n):
    x = IMAGES[:n]
    z = call(folder, "encode", "encoder", x)
    found = {
        "z": z,
        "of_class": call(folder, "classify", "class", x),
        "of_task": call(folder, "task_of", "domain", z),
        "images": call(folder, "decode", "generator", z, *codes(n)),
    }
    assert_live(found, live, x)


def test_its_functions_are_for_every_platform(folder):
    for path in folder.glob("*.stablehlo"):
        found = jax_export.deserialize(bytearray(path.read_bytes()))
        assert set(found.platforms) == {"cpu", "cuda", "tpu"}


def test_with_jax_alone_its_example_runs_and_its_functions_give_the_same(folder, live, tmp_path):
    """Without this package, and without what it is made of."""
    shutil.copytree(folder, tmp_path / "export")
    np.savez(tmp_path / "given.npz", x=IMAGES, **dict(zip("ud", codes(7), strict=True)))
    without = ("lgaa_jax", "flax", "optax", "orbax", "ml_collections", "PIL", "tensorflow_datasets")
    code = f"""
import runpy, sys
sys.modules |= dict.fromkeys({without})
import numpy as np
call = runpy.run_path("export/example.py", run_name="__main__")["call"]
given = np.load("given.npz")
z = call("encode", "encoder", given["x"])
np.savez("found.npz", z=z, of_class=call("classify", "class", given["x"]),
         of_task=call("task_of", "domain", z),
         images=call("decode", "generator", z, given["u"], given["d"]))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first = "digits[0-4], label 0: images (8, 16, 16, 1) uint8, codes (8, 16)"
    assert done.stdout.startswith(first)
    assert_live(np.load(tmp_path / "found.npz"), live, IMAGES)


@pytest.mark.parametrize("made", ["999.1.0.dev2", None])
def test_its_example_says_which_jax_what_it_cannot_run_was_made_with(folder, tmp_path, made):
    shutil.copytree(folder, tmp_path / "export")
    about = read_json(folder / "model.json")
    assert about["exported_with"] == {"jax": jax.__version__}
    about["exported_with"]["jax"] = made or jax.__version__
    (tmp_path / "export/model.json").write_text(json.dumps(about))
    (tmp_path / "export/decode.stablehlo").write_bytes(b"of another version")
    command = [sys.executable, tmp_path / "export/example.py"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    sentence = f"jax {jax.__version__} cannot run decode.stablehlo: pip install 'jax>={made}'\n"
    if made:
        assert done.stderr == sentence
    else:  # it is no matter of versions
        assert "Traceback" in done.stderr
        assert "pip install" not in done.stderr


def test_its_card_says_what_it_is_and_what_was_measured(folder, learned):
    card, results = (folder / "README.md").read_text(), read_json(learned / "results.json")
    assert card.startswith("---\nlicense: apache-2.0\n")
    assert "| letters | A, B, C, D, E, F, G, H, I, J |" in card
    accuracy = 100 * results["accuracy"][-1][1]
    assert f"| letters | {accuracy:.1f} % |" in card


def test_an_earlier_step_goes_where_it_is_told(learned, tmp_path):
    folder = lgaa_jax.export(learned, tmp_path / "first", step=5)
    model = lgaa_jax.load(folder)
    assert (model.tasks, model.card["step"]) == (["digits[0-4]"], 5)
    assert "Nothing was measured at this step." in (folder / "README.md").read_text()
    with pytest.raises(UserError, match="holds step 5 alone; leave step=10 out"):
        lgaa_jax.load(folder, step=10)


def test_damaged_weights_get_one_sentence(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "export")
    path = tmp_path / "export/weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"weights\.safetensors cannot be read .*; export again"):
        lgaa_jax.load(tmp_path / "export")
