"""What --mode=explore writes of a run at test size."""

import base64

import numpy as np
import pytest
import scipy.stats
from conftest import read_json, small_config, untrained_run
from sklearn.metrics import mutual_info_score

import lgaa_jax
from lgaa_jax.data import loading
from lgaa_jax.errors import UserError
from lgaa_jax.explore import disentanglement
from lgaa_jax.run import driver, exploring, illustrating
from lgaa_jax.workdir import pictures

TASKS = ["letter_factors[0-2]", "digits[0-2]"]
CHANGES = {"tasks": ",".join(TASKS), "eval.generation": "never", "steps_per_task": 2}


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    """The workdir of a run that was explored, and what that returned."""
    workdir, config = tmp_path_factory.mktemp("explored"), small_config(**CHANGES)
    untrained_run(config, workdir)
    with pytest.MonkeyPatch.context() as m:
        m.setattr(illustrating, "SHOWN", 20)  # t-SNE takes a second for some hundreds
        m.setattr(exploring, "PROBED", 300)
        for rounds in ("ROUNDS", "NAMED_ROUNDS"):
            m.setattr(disentanglement, rounds, 2)
        return workdir, exploring.explore(config, workdir)


@pytest.fixture(scope="module")
def tests():
    """The test split of each task."""
    return [task.test for task in loading.load(small_config(**CHANGES))]


def test_there_is_a_figure_of_each_kind_and_task(explored):
    workdir, _ = explored
    kinds = ("interpolation", "generation", "translation", "traversal", "neighbours")
    names = {f"{task}_{kind}" for task in ("letter_factors_0-2", "digits_0-2") for kind in kinds}
    names |= {"digits_0-2_from_the_task_before", "generation_by_task", "codes"}
    assert {path.stem for path in (workdir / "images/explore").glob("*.png")} == names
    for path in (workdir / "images/explore").glob("*.png"):
        assert np.ptp(pictures.read_png(path)) > 0


def test_the_numbers_are_in_the_results_and_stay_there(explored):
    workdir, found = explored
    results = read_json(workdir / "results.json")
    assert results["explore"] == found == read_json(workdir / "explored.json")
    for name in ("traversal", "neighbours_of_the_task", "neighbours_of_the_class", "linear_probe"):
        assert list(found[name]) == TASKS
    assert all(
        found["neighbours_of_the_class"][task] <= found["neighbours_of_the_task"][task] <= 1
        for task in TASKS
    )
    for task in TASKS:
        effects = found["traversal_effect"][task]
        assert len(effects) == len(found["traversal"][task]) == 8
        assert effects == sorted(effects, reverse=True)
    driver.evaluate(small_config(**CHANGES), workdir)
    assert read_json(workdir / "results.json")["explore"] == found


def test_the_report_has_the_figures_and_the_numbers(explored):
    workdir, found = explored
    page = (workdir / "report.html").read_text()
    for path in (workdir / "images/explore").glob("*.png"):
        assert base64.b64encode(path.read_bytes()).decode() in page
    entry = found["disentanglement"][-1]["z"]
    numbers = [*found["linear_probe"].values(), entry["mig"], entry["informativeness"]]
    numbers += found["task_detection"][TASKS[0]].values()
    for value in numbers:
        assert f'<data value="{value}">' in page


def test_tasks_are_detected_as_the_evaluation_has_it(explored, tests):
    """Its accuracy is of all test images; as many are given here as there are."""
    workdir, found = explored
    model = lgaa_jax.load(workdir)
    for name, split in zip(TASKS, tests, strict=True):
        some = illustrating.some(split, 300)
        taken = model.task_of(some.images)
        assert found["task_detection"][name] == {
            task: pytest.approx(taken.count(task) / len(taken)) for task in TASKS
        }


def test_novelty_is_what_ranks_and_normals_say_of_the_first_tasks_model(explored, tests):
    """Another way than the package's: Mann and Whitney's U, and the densities of SciPy."""
    workdir, found = explored
    (entry,) = found["novelty"]
    assert (entry["after_task"], entry["unseen"]) == tuple(TASKS)
    model = lgaa_jax.load(workdir, step=2)
    mean, factor = (np.float64(model.state.codes[name])[0, :3] for name in ("mean", "factor"))
    cells = [scipy.stats.multivariate_normal(m, f @ f.T) for m, f in zip(mean, factor, strict=True)]
    scores = {"reconstruction_error": [], "code_density": []}
    for split in tests:
        images = illustrating.some(split, 300).images
        apart = images / 255 - model.reconstruct(images, floats=True)
        scores["reconstruction_error"].append((apart**2).mean((1, 2, 3)))
        density = np.mean([cell.pdf(model.encode(images)) for cell in cells], axis=0)
        scores["code_density"].append(-density)
    for name, (known, unknown) in scores.items():
        pairs = len(known) * len(unknown)
        expected = scipy.stats.mannwhitneyu(unknown, known).statistic / pairs
        assert entry[name] == pytest.approx(expected, abs=2 / pairs), name  # but for rounded ties


def test_the_gap_is_that_of_scikit_learn_at_each_tasks_end(explored, tests):
    workdir, found = explored
    entries = found["disentanglement"]
    assert [(e["after_task"], e["task"]) for e in entries] == [(t, TASKS[0]) for t in TASKS]
    for entry, step in zip(entries, (2, 4), strict=True):
        model, split = lgaa_jax.load(workdir, step=step), tests[0]
        z = np.float64(model.encode(split.images))
        for codes, key in (
            (z, "z"),
            (np.column_stack([z, model.classify(split.images)]), "z_and_class"),
        ):
            edges = [np.histogram_bin_edges(c, disentanglement.BINS)[1:-1] for c in codes.T]
            binned = [np.digitize(c, e) for c, e in zip(codes.T, edges, strict=True)]
            for k, name in enumerate(("class", "rotation", "shear", "scale", "x", "y")):
                own = split.factors[:, k]
                told = np.sort([mutual_info_score(b, own) for b in binned])
                gap = (told[-1] - told[-2]) / mutual_info_score(own, own)
                assert entry[key]["by_factor"][name]["mig"] == pytest.approx(gap, abs=1e-9)


def test_a_strategy_without_an_encoder_cannot_be_explored(tmp_path):
    config = small_config(strategy="gan_replay", **CHANGES)
    with pytest.raises(UserError, match="strategy='gan_replay' trains no encoder"):
        exploring.explore(config, tmp_path)
