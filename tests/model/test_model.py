"""A model that was loaded from the workdir of a run: what it says, against the run itself."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from conftest import LEARNED, read_json, small_config, untrained_run

import lgaa_jax
from lgaa_jax.data import loading
from lgaa_jax.errors import UserError
from lgaa_jax.model import programs
from lgaa_jax.training.sampling import generate
from lgaa_jax.training.state import TrainState
from lgaa_jax.workdir.metadata import read_metadata, write_metadata

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model(learned):
    return lgaa_jax.load(learned)


@pytest.fixture(scope="module")
def tasks():
    return loading.load(small_config(**LEARNED))


def test_it_knows_its_tasks_and_classes(model, learned):
    assert model.tasks == ["digits[0-4]", "letters"]
    assert model.classes("digits[0-4]") == {i: str(i) for i in range(5)}
    assert model.classes(1) == dict(enumerate("ABCDEFGHIJ"))
    results = read_json(learned / "results.json")
    assert model.card["results"]["accuracy"] == results["accuracy"]
    assert (model.card["strategy"], model.card["step"]) == ("lgaa", 10)
    assert repr(model) == "<lgaa_jax model of digits[0-4], letters: 16x16x1, step 10>"


def test_the_example_of_the_readme_runs(learned):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(import lgaa_jax\n.*?)```", readme, flags=re.DOTALL)
    found: dict = {}
    exec(code.replace("runs/quickstart", str(learned)), found)
    assert found["images"].shape == (64, 16, 16, 1)
    assert found["z"].shape == (64, 16)


def test_probabilities_are_those_of_the_answers(model, tasks):
    images = tasks[1].test.images[:5]
    of_class, of_task = (f(images, probabilities=True) for f in (model.classify, model.task_of))
    assert (of_class.shape, of_task.shape) == ((5, 10), (5, 2))
    np.testing.assert_allclose(of_class.sum(-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(of_class.argmax(-1), model.classify(images))
    assert [model.tasks[d] for d in of_task.argmax(-1)] == model.task_of(images)


def test_one_image_in_is_one_result_out(model, tasks):
    images = tasks[0].test.images[:20]
    for method in (model.encode, model.reconstruct, model.classify):
        several, one = method(images), method(images[3])
        assert one.shape == several.shape[1:]
        np.testing.assert_allclose(np.float64(one), np.float64(several[3]), rtol=1e-4, atol=1e-4)
    assert model.task_of(images)[3] == model.task_of(images[3])


def test_samples_are_of_the_seed_and_the_class_that_was_asked_for(model):
    x = model.generate(300, "letters", label="C", seed=1)
    assert (x.shape, x.dtype) == ((300, 16, 16, 1), np.uint8)
    np.testing.assert_array_equal(x, model.generate(300, 1, label=2, seed=1))
    assert (x != model.generate(300, "letters", label="C", seed=2)).any()
    assert (x != model.generate(300, "letters", label="D", seed=1)).any()
    turns = model.generate(20, "letters", seed=3)
    np.testing.assert_array_equal(turns, model.generate(20, "letters", [*range(10)] * 2, seed=3))


def test_samples_of_every_class_and_task_are_of_the_same_normal_numbers(model):
    moments, size = model.state.codes, model.nets.code_size
    codes = jax.tree.map(np.asarray, moments)
    rank = codes["loadings"].shape[-1]
    key = jax.random.fold_in(jax.random.key(3), 0)
    keys = jax.random.key(3), jax.random.split(key)[1]
    noises = [np.asarray(jax.random.normal(k, (5, size + rank))) for k in keys]
    for u, d in ((1, 0), (4, 1)):
        cells = np.full((2, 5), [[u], [d]], np.int32)
        z, *_ = programs.sample(model.nets, moments, jax.random.key(3), *cells, 1.5)
        # The model is not trained: its first mode has all.
        loadings, variance = codes["inner_loadings"][d, u, 0], codes["inner_variance"][d, u, 0]
        apart = [np.sqrt(variance) * n[:, :size] + n[:, size:] @ loadings.T for n in noises]
        mean, centre = codes["mean"][d, u], codes["centres"][d, u, 0]
        apart = centre - mean + 0.8**0.5 * apart[0] + 0.2**0.5 * apart[1]
        np.testing.assert_allclose(z, mean + 1.5 * apart, rtol=1e-4, atol=1e-5)


def test_samples_are_spread_as_the_config_has_it(model, learned, tmp_path):
    """Without any spread they are all of the mean code."""
    shutil.copytree(learned, tmp_path / "run")
    metadata = read_metadata(tmp_path / "run")
    metadata["config"]["code_spread"] = 0.0
    write_metadata(tmp_path / "run", metadata)
    x = lgaa_jax.load(tmp_path / "run").generate(4, "letters", label="C")
    np.testing.assert_array_equal(x, np.repeat(x[:1], 4, axis=0))
    mean = np.asarray(model.state.codes["mean"][1, 2])
    np.testing.assert_array_equal(x[0], model.decode(mean, "letters", "C"))


def test_samples_are_drawn_again_until_they_are_read_as_asked_for(model):
    """The others are as they were; also in more than one batch."""
    plain = model.generate(40, "letters", seed=2)
    labels = np.resize(np.arange(10), 40)

    def sure(x):
        return model.classify(x, task="letters", probabilities=True)[np.arange(40), labels]

    least = float(np.median(sure(plain)))
    np.testing.assert_array_equal(plain, model.generate(40, "letters", seed=2, confidence=0.0))
    small = dataclasses.replace(model, batch_size=15, confidence=least)
    for own, x in (
        (plain, model.generate(40, "letters", seed=2, confidence=least)),
        (
            small.generate(40, "letters", seed=2, confidence=0),
            small.generate(40, "letters", seed=2),
        ),
    ):
        kept = sure(own) >= least
        np.testing.assert_array_equal(x[kept], own[kept])
        assert (sure(x) >= sure(own)).all()
        assert (sure(x) >= least).sum() > kept.sum()


def test_a_decoded_code_is_what_the_generator_makes_of_it(model):
    z = np.random.default_rng(0).normal(size=(3, 16)).astype(np.float32)
    u, d = np.array([2, 2, 2]), np.array([1, 1, 1])
    expected = jax.jit(generate, static_argnums=0)(
        model.nets, model.state.sampling_generator, z, u, d
    )
    got = model.decode(z, "letters", "C")
    np.testing.assert_allclose(got / 127.5 - 1, expected, atol=0.005)
    np.testing.assert_array_equal(model.decode(z[0], "letters", "C"), got[0])


def test_ways_between_images_begin_and_end_at_their_reconstructions(model, tasks):
    first, last = tasks[0].test.images[0], tasks[1].test.images[0]
    way = model.interpolate(first, last, 5)
    assert way.shape == (5, 16, 16, 1)
    np.testing.assert_array_equal(way[[0, -1]], model.reconstruct(np.stack([first, last])))
    along = model.traverse(first, 3, steps=3, span=2.0)
    np.testing.assert_array_equal(along[1], way[0])
    assert (along[0] != along[2]).any()


def test_a_carried_code_has_the_same_place_in_its_new_cell(model, tasks):
    """Whitened by the moments of its cell it is the same, computed here with NumPy."""
    z = model.encode(tasks[0].test.images[:4])
    u, d, to_u, to_d = (np.full(4, i) for i in (1, 0, 2, 1))
    codes = {name: np.float64(a) for name, a in model.state.codes.items()}
    alike = []
    for found, cell in ((z, (0, 1)), (model.carry(z, u, d, to_u, to_d), (1, 2))):
        own, loadings = np.diag(codes["variance"][cell]), codes["loadings"][cell]
        factor = np.linalg.cholesky(loadings @ loadings.T + own)
        alike.append(np.linalg.solve(factor, (found - codes["mean"][cell]).T))
    np.testing.assert_allclose(*alike, rtol=1e-3, atol=1e-4)


def test_a_translation_decodes_what_was_carried(model, tasks):
    images = tasks[0].test.images[:4]
    z, u, d = model.codes_of(images)
    got = model.translate(images, "letters", "B")
    carried = model.carry(z, u.argmax(-1), d.argmax(-1), np.full(4, 1), np.full(4, 1))
    np.testing.assert_array_equal(got, model.decode(carried, "letters", "B"))
    plain = model.translate(images, "letters", "B", carried=False)
    np.testing.assert_array_equal(plain, model.decode(z, "letters", "B"))
    # Of themselves they keep their class where the task has it.
    own = np.where(model.classify(images) < 5, model.classify(images), 0)
    np.testing.assert_array_equal(
        model.translate(images, "digits[0-4]", carried=False), model.decode(z, 0, [*own])
    )


def test_an_earlier_step_knows_the_tasks_learned_by_then(learned):
    model = lgaa_jax.load(learned, step=5)
    assert model.tasks == ["digits[0-4]"]
    assert "results" not in model.card
    with pytest.raises(UserError, match="has learned no task 'letters'; it has digits"):
        model.generate(1, "letters")


def test_a_task_without_classes_beside_one_that_has_some(tmp_path, monkeypatch):
    untrained_run(small_config(labels="none", **{"eval.generation": "never"}), tmp_path)
    model = lgaa_jax.load(tmp_path)
    assert model.classes("digits") == {}
    x = model.generate(3, "digits")
    assert x.shape == (3, 16, 16, 1)
    assert model.decode(model.encode(x), "letters").shape == (3, 16, 16, 1)
    for label in (0, "A"):
        with pytest.raises(UserError, match="task 'digits' has no classes; leave the label out"):
            model.generate(3, "digits", label)
    with pytest.raises(UserError, match="the model has no classes"):
        model.classify(x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.generate(1, "mnist"), r"no task 'mnist'; it has digits\[0-4\], letters"),
        (lambda m: m.generate(1, 2), "no task 2"),
        (lambda m: m.generate(0, "letters"), "n=0 images cannot be generated"),
        (lambda m: m.generate(2.5, "letters"), "n=2.5 images cannot"),
        (lambda m: m.generate(1, "letters", confidence=1), "confidence=1 cannot be used"),
        (lambda m: m.generate(1, "letters", confidence="a"), "confidence='a' cannot be used"),
        (lambda m: m.generate(1, "letters", "K"), "'letters' has no class 'K'; it has 0, .* A, B"),
        (
            lambda m: m.generate(1, 0, 7),
            r"task 'digits\[0-4\]' has no class 7; it has 0, 1, 2, 3, 4",
        ),
        (lambda m: m.generate(2, "letters", ["A"]), "there are 1 labels for 2 images"),
        (lambda m: m.classes("x"), "no task 'x'"),
        (lambda m: m.encode([]), "there are no images"),
        (lambda m: m.decode(np.zeros((2, 3)), "letters", "A"), r"shape \(2, 3\); give \[n, 16\]"),
        (lambda m: m.decode(np.zeros(16), "letters"), "'letters' has classes; name the label"),
        (lambda m: m.interpolate(np.zeros((2, 16, 16)), np.zeros((16, 16))), "give two images"),
        (lambda m: m.interpolate(*np.zeros((2, 16, 16)), 1), "steps=1 cannot be used"),
        (lambda m: m.traverse(np.zeros((16, 16)), 16), "dim=16 is none of z; it has 0 to 15"),
        (lambda m: m.traverse(np.zeros((2, 16, 16)), 1), "traverse takes one image"),
    ],
)
def test_a_wrong_call_gets_one_sentence(model, call, message):
    with pytest.raises(UserError, match=message) as raised:
        call(model)
    assert "\n" not in str(raised.value)


def test_what_is_no_workdir_gets_one_sentence(tmp_path, learned):
    with pytest.raises(UserError, match="nowhere is no folder, so it is not the workdir of a run"):
        lgaa_jax.load(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"holds no config\.json"):
        lgaa_jax.load(tmp_path)
    with pytest.raises(UserError, match=r"there is no checkpoint of step 3 in .*: take 5, 10"):
        lgaa_jax.load(learned, step=3)
    written = read_json(learned / "config.json")
    del written["labels"]
    del written["seal"]  # as in the versions that did not write labels
    (tmp_path / "config.json").write_text(json.dumps(written))
    with pytest.raises(UserError, match="of an earlier version"):
        lgaa_jax.load(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(UserError, match="is not the config of a run"):
        lgaa_jax.load(tmp_path)


def test_a_checkpoint_of_other_networks_is_refused(tmp_path, learned):
    shutil.copytree(learned, tmp_path / "run")
    written = read_metadata(learned)
    written["config"]["net"]["width"] = 16
    write_metadata(tmp_path / "run", written)
    with pytest.raises(UserError, match=r"is of another model: .* put the config back"):
        lgaa_jax.load(tmp_path / "run")


def test_it_holds_neither_optimisers_nor_critic_nor_replay(model):
    state: TrainState = model.state
    assert (state.opt, state.replay) == ({}, {})
    assert set(state.params) == {"encoder", "domain", "class"}


def test_loading_and_generating_imports_nothing_of_training_data(learned):
    code = (
        "import sys, lgaa_jax; assert 'jax' not in sys.modules\n"
        f"lgaa_jax.load({str(learned)!r}).generate(2, 'letters')\n"
        "slow = {'tensorflow', 'tensorflow_datasets', 'matplotlib', 'sklearn', 'tensorboardX'}\n"
        "print(*sorted(slow & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
