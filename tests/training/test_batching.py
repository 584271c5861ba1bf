"""Which rows a batch holds: pure in (config, task, step), each real image once an epoch."""

import dataclasses
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import small_config

from lgaa_jax.data.loading import Task
from lgaa_jax.data.split import Split
from lgaa_jax.data.stored import stored
from lgaa_jax.errors import UserError
from lgaa_jax.networks.nets import build_nets
from lgaa_jax.run import experiment
from lgaa_jax.training import replay
from lgaa_jax.training.batch import Batch
from lgaa_jax.training.batching import Batches

SIZES = (20, 13, 7)
LABELS = 4


def make_task(index, n):
    """Image r of task i is filled with the value 50 i + r."""
    values = (50 * index + np.arange(n)).astype(np.uint8)
    images = np.broadcast_to(values[:, None, None, None], (n, 16, 16, 1))
    labels = (np.arange(n) % LABELS).astype(np.int32)
    split = Split(images, labels, labels)
    return Task(f"task{index}", split, split, tuple(range(LABELS)), LABELS, f"task{index}")


TASKS = tuple(make_task(i, n) for i, n in enumerate(SIZES))


def make_batches(tasks=TASKS, **changes):
    config = small_config(**{"batch_size": 8, **changes})
    nets = build_nets(config, LABELS, config.max_tasks or len(tasks))
    mask = jnp.ones((nets.num_tasks, LABELS), bool)
    spec = replay.replay_spec(config, mask)
    return Batches(config, tasks, nets, spec, jax.random.key(3))


class Opened:
    """Batches of a task, as the step takes them from the pool."""

    def __init__(self, feed, task, s=None):
        self.feed, self.task, self.pool = feed, task, feed.pool(task, s)

    def __call__(self, step):
        rows = self.feed.places.indices(self.task, step)
        num_real = self.feed.places.num_pool(self.task)
        return Batch(*(np.asarray(column)[rows] for column in self.pool), num_real)


def values(batch):
    return batch.x[:, 0, 0, 0]


def test_the_real_share_shrinks_with_the_number_of_tasks():
    feed = make_batches()
    assert [feed.places.num_real(t) for t in range(3)] == [8, 4, 3]
    assert feed.places.num_replay() == 5


def test_a_fixed_share_counts_from_the_second_task_on():
    feed = make_batches(**{"replay.fraction": "0.25"})
    assert [feed.places.num_real(t) for t in range(3)] == [8, 6, 6]


@pytest.mark.parametrize("strategy", ["finetune", "joint"])
def test_without_replay_every_row_is_real(strategy):
    feed = make_batches(strategy=strategy)
    assert [feed.places.num_real(t) for t in range(3)] == [8, 8, 8]
    assert feed.places.num_replay() == 0


def test_epochs_become_steps_by_the_real_rows():
    feed = make_batches(steps_per_task=0, epochs_per_task=2.0)
    expected = [np.ceil(2 * n / real) for n, real in zip(SIZES, (8, 4, 3), strict=True)]
    assert feed.places.ends() == tuple(np.cumsum(expected))
    assert feed.places.start(1) == expected[0]


@pytest.mark.parametrize("epochs", [0.0, 2.0])
def test_what_the_program_knows_of_reserved_tasks_does_not_change_when_they_come(epochs):
    """With epochs, a reserved task is taken to be as large as the last."""
    changes = {"max_tasks": 3, "steps_per_task": 0 if epochs else 5, "epochs_per_task": epochs}
    alike = (TASKS[0], TASKS[1], TASKS[1])
    before, after = make_batches(alike[:2], **changes), make_batches(alike, **changes)
    assert before.places.num_replay() == after.places.num_replay() == 5
    assert before.places.planned_ends() == after.places.planned_ends() == after.places.ends()
    assert before.places.ends() == after.places.ends()[:2]


def test_a_task_without_labels_and_a_reserved_one_have_no_classes():
    plain = dataclasses.replace(TASKS[1], classes=(), num_classes=0)
    some = dataclasses.replace(TASKS[0], classes=(0, 3))
    mask = experiment.class_mask((some, plain), LABELS, 3)
    assert mask.tolist() == [[True, False, False, True], [False] * 4, [False] * 4]
    # Where there are no labels at all, each task may use every class.
    assert experiment.class_mask((plain,), LABELS, 2).tolist() == [[True] * 4, [False] * 4]


def test_a_set_that_comes_again_is_met_in_another_order():
    feed = make_batches((TASKS[0], TASKS[1], TASKS[0]), steps_per_task=100)
    first, again = (feed.places.indices(task, feed.places.start(task)) for task in (0, 2))
    assert (first[:3] != again[:3]).any()


def test_each_real_image_comes_once_an_epoch_and_the_placeholders_are_counted_out():
    feed = make_batches(steps_per_task=100)
    batch_at = Opened(feed, 1)
    batches = [batch_at(100 + step) for step in range(13)]  # 13 steps of 4 rows: 4 epochs of 13
    assert all(b.num_real == 4 and b.x.shape == (8, 16, 16, 1) for b in batches)
    seen = np.concatenate([values(b)[:4] for b in batches])
    np.testing.assert_array_equal(np.sort(seen), np.repeat(50 + np.arange(13), 4))
    for b in batches:
        np.testing.assert_array_equal(b.u, (values(b) - 50) % LABELS)
        assert (b.d == 1).all()


def partly_labelled(task):
    """The task with a label on every fourth of its images."""
    labels = np.where(np.arange(len(task.train.labels)) % 4 == 0, task.train.labels, -1)
    return dataclasses.replace(task, train=dataclasses.replace(task.train, labels=labels))


@pytest.mark.parametrize("strategy", ["lgaa", "joint", "experience_replay"])
def test_where_few_images_carry_a_label_they_make_up_their_share_of_the_real_rows(strategy):
    """Each image with a label comes once in an epoch of those, and so does each without."""
    feed = make_batches(
        tuple(partly_labelled(task) for task in TASKS), strategy=strategy, steps_per_task=100
    )
    batch_at = Opened(feed, 1)
    first = 0 if strategy == "joint" else feed.places.start(1)
    batches = [batch_at(first + step) for step in range(12)]
    rows = [values(b)[(b.d == 1) & (np.arange(8) < b.num_real)] - 50 for b in batches]
    seen = np.stack(rows)
    labelled = seen % 4 == 0
    assert (labelled.sum(axis=1) == np.ceil(0.5 * seen.shape[1])).all()
    carry = np.arange(13) % 4 == 0
    for taken, images in (
        (seen[labelled], np.flatnonzero(carry)),
        (seen[~labelled], np.flatnonzero(~carry)),
    ):
        epochs = len(taken) // len(images)
        assert epochs
        once = np.sort(taken[: epochs * len(images)])
        np.testing.assert_array_equal(once, np.repeat(images, epochs))


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_share_of_labelled_rows_changes_nothing_where_all_images_or_none_carry_one(share):
    plain = make_batches(steps_per_task=100)
    none = dataclasses.replace(
        TASKS[0], train=dataclasses.replace(TASKS[0].train, labels=-np.ones(20, np.int32))
    )
    for tasks in (TASKS, (none, *TASKS[1:])):
        feed = make_batches(tasks, steps_per_task=100, labelled_share=share)
        np.testing.assert_array_equal(feed.places.indices(0, 3), plain.places.indices(0, 3))


def test_without_a_share_of_labelled_rows_images_come_as_they_are():
    tasks = tuple(partly_labelled(task) for task in TASKS)
    feed = make_batches(tasks, steps_per_task=100, labelled_share=0.0)
    np.testing.assert_array_equal(
        feed.places.indices(0, 3), make_batches(steps_per_task=100).places.indices(0, 3)
    )


def test_a_batch_is_a_pure_function_of_seed_task_and_step():
    first, again, other = (Opened(make_batches(seed=s), 0) for s in (0, 0, 1))
    for step in (0, 4, 2):  # in any order
        for a, b in zip(first(step), again(step), strict=True):
            np.testing.assert_array_equal(a, b)
    assert (values(first(0)) != values(other(0))).any()


def test_pools_of_all_tasks_have_one_size_and_hold_only_their_task():
    feed = make_batches()
    for task, size in enumerate(SIZES):
        pool = feed.pool(task, None)
        assert pool.x.shape == (20, 16, 16, 1)
        assert (np.asarray(pool.d[:size]) == task).all()
        assert (
            max(feed.places.indices(task, feed.places.start(task) + i).max() for i in range(5))
            < size
        )


def test_joint_batches_hold_every_task_in_equal_shares():
    feed = make_batches(strategy="joint")
    batch = Opened(feed, 2)(0)
    assert np.bincount(batch.d).tolist() == [3, 3, 2]
    assert batch.num_real == 8
    np.testing.assert_array_equal(values(batch) // 50, batch.d)


def test_a_materialised_pool_fills_the_rest_of_the_batch(monkeypatch):
    """What is drawn, and that it is repeatable, is tested with replay itself."""
    drawn = np.arange(200, 230, dtype=np.uint8)[:, None, None, None] + np.zeros((1, 16, 16, 1))

    def materialise(nets, s, key, n, spec, layout):
        assert n == 30
        return drawn.astype(np.uint8), np.full(n, 2, np.int32), np.zeros(n, np.int32)

    monkeypatch.setattr(replay, "materialise", materialise)
    feed = make_batches(**{"replay.mode": "materialised", "replay.pool_size": 30})
    assert feed.places.num_replay() == 0
    start, batch_at = feed.places.start(1), Opened(feed, 1)
    batches = [batch_at(start + step) for step in (0, 1, 0)]
    assert all(b.num_real == 8 and (b.d[4:] == 0).all() and (b.d[:4] == 1).all() for b in batches)
    assert all((values(b)[4:] >= 200).all() and (b.u[4:] == 2).all() for b in batches)
    np.testing.assert_array_equal(batches[0].x, batches[2].x)
    assert (batches[0].x[4:] != batches[1].x[4:]).any()


def test_a_buffer_fills_the_rest_of_the_batch_with_the_same_real_images_of_each_task():
    feed = make_batches(strategy="experience_replay", **{"replay.buffer_size": 5})
    assert feed.places.num_replay() == 0
    assert [feed.places.num_real(t) for t in range(3)] == [8, 4, 3]
    kept = {}
    for task in (1, 2):
        batch_at = Opened(feed, task)
        batches = [batch_at(feed.places.start(task) + step) for step in range(20)]
        assert all(b.num_real == 8 for b in batches)
        real = feed.places.num_real(task)
        assert all((b.d[:real] == task).all() and (b.d[real:] < task).all() for b in batches)
        seen = np.concatenate([values(b)[real:] for b in batches])
        tasks = np.concatenate([b.d[real:] for b in batches])
        np.testing.assert_array_equal(seen // 50, tasks)  # real images of the task they claim
        kept[task] = {i: set(seen[tasks == i].tolist()) for i in range(task)}
    assert [len(kept[2][i]) for i in (0, 1)] == [5, 5]
    assert kept[1][0] == kept[2][0]


MANY = tuple(dataclasses.replace(make_task(i % 3, 7), name=f"task{i}") for i in range(11))


@pytest.mark.parametrize("strategy", ["lgaa", "experience_replay"])
def test_of_more_tasks_than_a_batch_holds_one_image_is_real_and_all_others_of_earlier_tasks(
    strategy,
):
    feed = make_batches(MANY, strategy=strategy, steps_per_task=100)
    assert [feed.places.num_real(task) for task in (0, 1, 6, 10)] == [8, 4, 1, 1]
    assert feed.places.num_replay() == (7 if strategy == "lgaa" else 0)
    batch_at = Opened(feed, 10)
    batches = [batch_at(feed.places.start(10) + step) for step in range(88)]
    assert {int(b.d[0]) for b in batches} == {10}
    seen = np.array([values(b)[0] for b in batches[:84]]).reshape(-1, 7)
    np.testing.assert_array_equal(np.sort(seen), np.tile(np.unique(seen), (12, 1)))  # epochs of 7
    if strategy == "experience_replay":
        assert set(np.concatenate([b.d[1:] for b in batches]).tolist()) == set(range(10))


def test_joint_batches_smaller_than_the_number_of_tasks_take_them_in_turns():
    feed, again = (make_batches(MANY, strategy="joint", steps_per_task=100) for _ in range(2))
    batch_at = Opened(feed, 10)
    batches = [batch_at(step) for step in range(77)]  # 56 turns of 11 tasks: 8 epochs of 7
    place = np.arange(77 * 8)
    np.testing.assert_array_equal(np.concatenate([b.d for b in batches]), place % 11)
    seen = np.concatenate([values(b) for b in batches])
    for task in range(11):
        epochs = np.sort(seen[place % 11 == task].reshape(8, 7))
        np.testing.assert_array_equal(epochs, np.tile(50 * (task % 3) + np.arange(7), (8, 1)))
    np.testing.assert_array_equal(feed.places.indices(10, 5), again.places.indices(3, 5))


def test_a_single_real_image_carries_a_label_as_often_as_the_share_says():
    tasks = tuple(partly_labelled(task) for task in MANY)
    feed = make_batches(tasks, steps_per_task=100, labelled_share=0.25)
    batch_at = Opened(feed, 10)
    batches = [batch_at(feed.places.start(10) + step) for step in range(80)]
    seen = np.array([values(b)[0] - 50 for b in batches])
    labelled = seen % 4 == 0
    np.testing.assert_array_equal(labelled, np.arange(80) % 4 == 0)
    for taken, images in ((seen[labelled], [0, 4]), (seen[~labelled], [1, 2, 3, 5, 6])):
        epochs = np.sort(taken.reshape(-1, len(images)))
        np.testing.assert_array_equal(epochs, np.tile(images, (len(epochs), 1)))


def test_a_batch_of_one_is_refused_where_it_should_hold_the_past_too():
    one = {"batch_size": 1}
    with pytest.raises(UserError, match=r"batch_size=1 cannot hold .* raise it to at least 2"):
        make_batches(**one)
    with pytest.raises(UserError, match="batch_size=1"):
        make_batches(TASKS[:1], max_tasks=2, strategy="experience_replay", **one)
    assert make_batches(TASKS[:1], **one).places.num_real(0) == 1
    joint = Opened(make_batches(strategy="joint", **one), 0)
    assert [int(joint(step).d[0]) for step in range(4)] == [0, 1, 2, 0]


class Counted:
    """Images on disk that note which of them are read."""

    def __init__(self, images):
        self.images, self.rows = images, []

    @property
    def shape(self):
        return self.images.shape

    def read(self, rows):
        self.rows += rows.tolist()
        return self.images[rows]


def on_disk(task):
    source = Counted(task.train.images)
    train = dataclasses.replace(task.train, images=stored(source))
    return dataclasses.replace(task, train=train, streamed=True), source


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"strategy": "finetune"},
        {"strategy": "joint"},
        {"strategy": "experience_replay", "replay.buffer_size": 3},
        {"labelled_share": 0.5},
    ],
)
def test_rows_that_are_read_ahead_are_the_batches_of_the_pool_and_each_is_read_once(changes):
    tasks = TASKS
    if "labelled_share" in changes:  # every third image has no label
        hidden = [
            np.where(np.arange(n) % 3, t.train.labels, -1)
            for n, t in zip(SIZES, TASKS, strict=True)
        ]
        tasks = tuple(
            dataclasses.replace(t, train=dataclasses.replace(t.train, labels=u))
            for t, u in zip(TASKS, hidden, strict=True)
        )
    stored_tasks, sources = zip(*map(on_disk, tasks), strict=True)
    held, streamed = make_batches(tasks, **changes), make_batches(stored_tasks, **changes)
    for task in range(3):
        pool = held.pool(task, None)
        first = held.places.start(task)
        calls = np.array([[first, first + 3], [first + 3, first + 5]])
        rows = streamed.rows(task, None, calls, 3, slice(0, 8))
        for source in sources:
            source.rows.clear()
        for call, (start, end) in enumerate(calls):
            found = rows[call]
            assert found.x.shape == (3, 8, 16, 16, 1)
            for k, step in enumerate(range(start, end)):
                places = held.places.indices(task, step)
                for column, whole in zip(found, pool, strict=True):
                    np.testing.assert_array_equal(column[k], np.asarray(whole)[places])
            assert not found.x[end - start :].any()
            part = streamed.rows(task, None, calls, 3, slice(4, 8))[call]
            np.testing.assert_array_equal(part.x, found.x[:, 4:])
            for source in sources:
                source.rows.clear()
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(rows))[0].x, rows[0].x)
        for source in sources:
            source.rows.clear()
        rows[0]
        read = [row for source in sources for row in source.rows]
        asked = [held.places.indices(task, first + k) for k in range(3)]
        assert len(read) <= len(np.unique(asked))
        assert all(len(set(source.rows)) == len(source.rows) for source in sources)
