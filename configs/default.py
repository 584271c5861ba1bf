"""Every key there is, with its default. Other configs import this one and set a few fields."""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    """Returns the defaults: the method as this project recommends it, at CPU size."""
    c = ml_collections.ConfigDict()

    # Comma-separated; `mnist[0-4]` or `mnist[0,2,7-9]` takes some classes, `folder:PATH` is a
    # folder of images (lgaa_jax/data/folders.py), `folder:PATH[cat,dog]` takes some of its classes.
    # A path with commas or brackets in it stands in quotes, `folder:'a,b[c]'`; so does the name of
    # a class (lgaa_jax/data/quoting.py). What is named again is a task of its own.
    c.tasks = "digits,letters"
    # Tasks that the networks have room for, N; 0: as many as `tasks` names. With room left, a run
    # can be extended: the same config with more tasks at the end goes on where it ended.
    c.max_tasks = 0
    # lgaa | finetune (no replay) | joint (all tasks' real data at once) | experience_replay (some
    # real images are kept) | gan_replay (no autoencoder phase) | vae_replay (no adversarial phases)
    c.strategy = "lgaa"
    c.model = "residual"  # residual | paper32 | paper64: lgaa_jax/networks/nets.py
    c.compute_dtype = (
        "float32"  # float32 | bfloat16: of the networks; parameters and losses float32
    )
    c.seed = 0
    # GPUs or TPU chips among which the rows of a batch are divided; 0: all there are, of a CPU one.
    # Changes no result beyond rounding.
    c.devices = 0
    # Whether the devices divide large parameters and their optimisers' numbers among them, where
    # each else holds all. For networks that one device has no room for: more moves in a step.
    c.shard_state = False
    c.batch_size = 64  # rows of one training batch, real and replayed together
    c.steps_per_task = 1500  # training steps of each task; 0: use epochs_per_task
    c.epochs_per_task = 0.0  # passes over the task's real images; read when steps_per_task is 0
    c.steps_per_call = 0  # steps in one call of the program; 0: log.every, on a CPU 1
    c.labels = "all"  # all | a fraction in (0, 1), say 0.1 | none
    # Where labels are a share: the part of a batch's real images that carry one, rounded up; 0: as
    # they come, each image once an epoch.
    c.labelled_share = 0.5
    # U where labels are none: classes that q(u|x) is to find; 0: no class code.
    c.num_classes = 0

    c.data = data = ml_collections.ConfigDict()
    data.data_dir = ""  # folder of prepared TFDS sets; empty: TFDS's own default
    data.size = 16  # height and width that every image is brought to
    data.channels = 1  # 1 (grey) or 3 (RGB)
    # Pixels of the middle square that is taken of an image before it is resized: a number, or one
    # for each task, such as "128,250"; empty or 0: the largest square.
    data.crop = ""
    data.background = "white"  # white | grey | black: the ground of images with transparency
    data.skip_broken = False  # True: images of a folder that cannot be read are left out
    # Where decoded folders are kept, and the labels of sets that are streamed; empty:
    # ~/.cache/lgaa_jax/images.
    data.cache_dir = ""
    # Whether images stay on disk and are read as training needs them: on | off | the gigabytes
    # (size x size x channels bytes an image) from which on they do, say 16 | auto: from 4 on.
    # Changes no result.
    data.streaming = "auto"
    # Processes that read and decode images ahead of training where they are streamed, with Grain
    # (pip install 'lgaa-jax[stream]'); 0: a thread of this one.
    data.workers = 0

    c.net = net = ml_collections.ConfigDict()
    net.width = 0  # channels of the encoder's first convolution; 0: as the preset has it
    # Channels of the critic's first convolution; 0: the encoder's, of residual networks half of it.
    net.critic_width = 0
    net.class_width = 0  # channels of the class model's first convolution; 0: as the preset has it
    # Height and width up to which the class model does not pool an image before its first block;
    # residual only.
    net.class_full = 16
    net.code_size = 0  # Z, size of the content code; 0: as the preset has it
    net.norm = (
        "group"  # group (per-example group norm) | affine (published: a plain scale and shift)
    )
    net.projection = True  # whether the critic reads u and d, by projection; residual only
    net.dropout = 0.5  # of the class model's hidden layer, in training only

    c.loss = loss = ml_collections.ConfigDict()
    # wgan_gp (published) | hinge | relativistic: lgaa_jax/training/adversarial.py
    loss.adversarial = "hinge"
    loss.gp = 10.0  # lambda_gp, weight of the gradient penalty of wgan_gp
    # Weights of the squared slopes of the critic at real images (R1) and at generated ones (R2), of
    # hinge and relativistic.
    loss.r1 = 1.0
    loss.r2 = 1.0
    loss.info = 1.0  # lambda_info, weight of the self-supervised term of the generator phase
    loss.beta = 1.0  # weight of KL(q(z|x) to N(0, I)), against the summed squared error
    # Weight that is added to the squared error of a colour image's chroma; 0 (published): none.
    loss.chroma = 1.0
    # Weight of KL(q(u|x) to uniform); acts with loss.joint_inference or num_classes.
    loss.beta_u = 1.0
    loss.beta_d = 1.0  # weight of KL(q(d|z) to uniform)
    # Weight of KL(mean of q(u|x) over a batch's unlabelled rows to uniform); acts with num_classes.
    loss.balance = 5.0
    loss.temperature = 0.5  # of the Gumbel-softmax samples of u and d
    # The images that the class model learns from: deviation of the noise on them, and by how many
    # pixels at most they are moved along each axis.
    loss.class_noise = 0.0
    loss.class_shift = 1.0
    loss.joint_inference = False  # True (published): phase 3 trains the class and domain model too
    loss.n_critic = 1  # critic updates per step

    # One optimiser per phase. name: adam | rmsprop. For rmsprop, b2 is the decay of the squared
    # gradient's average and b1 the momentum.
    c.optim = ml_collections.ConfigDict()
    c.optim.critic = {"name": "adam", "learning_rate": 2e-4, "b1": 0.5, "b2": 0.9}
    c.optim.generator = {"name": "adam", "learning_rate": 2e-4, "b1": 0.5, "b2": 0.9}
    # With 0.999, gradients that grow can end a run in images of one colour (docs/networks.md).
    c.optim.autoencoder = {"name": "adam", "learning_rate": 1e-3, "b1": 0.9, "b2": 0.99}
    c.optim.inference = {"name": "adam", "learning_rate": 1e-3, "b1": 0.9, "b2": 0.999}
    # Shares of each task's steps: the first ones, over which all learning rates rise from 0, and
    # the last ones, over which they fall to 0; 0 (published): they do not.
    c.learning_rate_warmup = 0.05
    c.learning_rate_decay = 0.4
    # Where a loss or a gradient is not finite, the run stops; or, so many times in each task, it
    # goes back to the last checkpoint, and on with the task's learning rates times `retry_rate`.
    c.retries = 0
    c.retry_rate = 0.5  # above 0 and below 1; once more at each retry of the same task
    # For each example: of the running mean and covariance of the codes of each task's classes, with
    # which z is drawn for them; 0 (published): z is drawn from N(0, I) whatever u and d.
    c.code_decay = 0.998
    # Principal components of which that covariance is held, beside its diagonal; as many as the
    # code has numbers, or more: all of it; 0: all of it where tasks times classes are at most 100,
    # which takes little memory, else 8.
    c.code_rank = 0
    # Normals from which z is drawn for each class of each task, each with a mean and a covariance.
    # Acts with code_decay.
    c.code_modes = 1
    # Deviation of the codes of generated images and of the critic's fakes over that of the moments:
    # above 1 images vary more and more of them are bad. Acts with code_decay.
    c.code_spread = 1.0
    # Part of the noise of q(z|x) that is in the codes of these moments; all: 1.
    c.code_noise = 0.5
    c.ema_decay = 0.99  # of the averaged generator that is frozen, evaluated and drawn; 0: none

    c.replay = replay = ml_collections.ConfigDict()
    replay.fraction = (
        "balanced"  # share of replay in a batch; balanced: t/(t+1) in task t, or a number
    )
    replay.mode = (
        "online"  # online (drawn in each step) | materialised (drawn once per task, published)
    )
    # Label of a replayed image: soft (the distribution of the frozen class model) | model (its
    # argmax, published) | drawn (the u it was drawn with).
    replay.label = "soft"
    replay.temperature = 2.0  # of soft labels
    # Deviation of the codes of replay over that of the moments, whatever code_spread is. With 1 the
    # codes of a task draw closer together at each later one, as generated images vary a little
    # less. Acts with code_decay.
    replay.spread = 1.1
    replay.pool_size = 10_000  # images per earlier task that mode materialised draws
    replay.buffer_size = 200  # real images per earlier task that strategy experience_replay keeps

    # What is measured, and on which images (docs/theory.md). Nothing here but `split` changes
    # anything in training.
    c.eval = ev = ml_collections.ConfigDict()
    # What is measured on: test, or validation: a tenth of each training set, taken out of training
    # (lgaa_jax/data/held_out.py). Settings are to be chosen on the latter.
    ev.split = "test"
    # After the last task, and whenever so many tasks have ended, all learned tasks are measured and
    # drawn; after the others the task that ended alone.
    ev.every = 1
    # When generated images are measured: last (after the last task, and after the one that was it
    # before the run was given more) | each | never.
    ev.generation = "last"
    ev.samples = 5000  # images drawn of each task, most test images used, there and in the risk
    # The least probability that the class model gives to the class asked for in an image that is
    # generated, here and by a loaded model; one with less is drawn again, up to three times. 0:
    # none is.
    ev.confidence = 0.0
    ev.classifier_steps = 500  # training steps of the reference classifier and of the fitted one
    ev.reference_dir = ""  # folder of reference classifiers; empty: <workdir>/reference
    ev.inception_weights = (
        ""  # file of Inception weights (lgaa_jax/evaluation/inception.py); empty: no FID
    )

    c.log = log = ml_collections.ConfigDict()
    log.every = 50  # steps between two lines of metrics.jsonl and TensorBoard
    log.checkpoint_every = 500  # steps between two checkpoints, beside the one at each task's end
    log.keep_checkpoints = 2  # most recent checkpoints kept, beside those at task ends
    log.eval_batch = 250  # images per evaluation batch; changes no result beyond rounding

    return c.lock()  # a misspelt key is an error, here and in the configs that change a few


def check_preset(preset: str, presets: tuple[str, ...], config: str) -> None:
    """Raises ValueError when the config called `config` has no such preset; "" is always one."""
    if preset and preset not in presets:
        raise ValueError(
            f"configs/{config}.py has no preset {preset!r}; leave it out or use "
            f"{', '.join(filter(None, presets))}."
        )


def colour(c: ml_collections.ConfigDict, size: int, preset: str, small_steps: int) -> None:
    """Colour images of this height and width, at the scale that the preset names.

    "": `wide`. published: `published`. small: the default width, `small_steps` of each task. smoke:
    for tests.
    """
    c.data.update(size=size, channels=3)
    if preset == "small":
        c.steps_per_task = small_steps
    elif preset == "smoke":
        shrink(c)
    elif preset == "published":
        published(c)
    else:
        wide(c)


def wide(c: ml_collections.ConfigDict) -> None:
    """Networks of about the published size, and the paper's schedule of 20 epochs a task."""
    c.net.update(width=64, class_width=32, code_size=128)
    _schedule(c)


def published(c: ml_collections.ConfigDict) -> None:
    """The published networks and schedule at `data.size`, 32 or 64, in colour.

    Takes the published code's side of every departure that is a config key (docs/fidelity.md).
    """
    c.model = f"paper{c.data.size}"
    c.data.channels = 3
    _schedule(c)
    c.net.update(norm="affine", projection=False)
    c.loss.update(adversarial="wgan_gp", joint_inference=True, beta=1.0, chroma=0.0)
    c.loss.class_shift = 0.0
    c.loss.n_critic = 5 if c.data.size == 64 else 1
    c.ema_decay = 0.0
    c.code_decay = 0.0
    c.code_modes = 1
    c.code_spread = 1.0
    c.eval.confidence = 0.0
    c.learning_rate_warmup = c.learning_rate_decay = 0.0
    c.replay.update(mode="materialised", label="model", spread=1.0)
    for phase in ("critic", "generator"):
        c.optim[phase].update(name="rmsprop", learning_rate=1e-4, b1=0.0, b2=0.9)
    for phase in ("autoencoder", "inference"):
        c.optim[phase].update(name="adam", learning_rate=1e-4, b1=0.9, b2=0.999)


def _schedule(c: ml_collections.ConfigDict) -> None:
    c.steps_per_task = 0
    c.epochs_per_task = 20.0
    c.log.checkpoint_every = 5000  # half a minute of an H200, on which one costs a second or two


def shrink(c: ml_collections.ConfigDict) -> None:
    """Makes `c` small enough for a test: narrow networks, 16x16 images, a few steps."""
    c.data.size = 16
    c.steps_per_task = 5
    c.batch_size = 16
    c.net.width = 8
    c.net.class_width = 8
    c.net.code_size = 16
    c.eval.samples = 50
    c.eval.classifier_steps = 5
    c.log.every = 2
    c.log.checkpoint_every = 4


def split(c: ml_collections.ConfigDict, source: str) -> None:
    """Five tasks of two classes each of a source of ten, and the settings of Split MNIST."""
    c.tasks = ",".join(f"{source}[{first}-{first + 1}]" for first in range(0, 10, 2))
    c.steps_per_task = 2000
    c.loss.beta = 0.03  # what replay covers decides here, and detail: codes may carry much
    # All tasks are of one kind here: against telling replay from real images by its look.
    c.loss.class_noise = 0.3
    c.replay.temperature = 4.0
    c.replay.spread = 1.2
    c.replay.fraction = "0.5"  # a new class must be told from all earlier ones (docs/networks.md)
