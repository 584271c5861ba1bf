"""Mistakes at random: command lines, configs and folders of images as nobody should write them.

Some of them are no mistake after all. Every choice comes from the generator of random numbers that
is given, so that a seed makes the same again; hypothesis gives one that it can shrink.
"""

import io
import os
import pathlib
import random

import numpy as np
from PIL import Image

NUMBERS = ("0", "-1", "1", "2", "3", "1.5", "1e-9", "1e9", "-0.0", "nan", "inf", "2147483648")
WORDS = ("", " ", "True", "None", "lgaa", "digits", "last", "auto", "all", "x", "é", "日本", "a,b")
SIZES = ("0", "-1", "1", "7", "16", "17", "32", "48", "64", "nan", "x", "")  # none takes minutes
SCALES = ("data.size", "data.channels", "batch_size", "max_tasks", "num_classes", "steps_per_call")
SCALES += ("net.width", "net.critic_width", "net.class_width", "net.code_size", "loss.n_critic")
TOKENS = ("digits", "letters", "folder:", "mnist", "[", "]", ",", "-", "'", '"', "0", "3", "12")
TOKENS += ("#2", "/", "..", "~", " ", "\\", "\n", "é", "?", "*", "nosuchset", "0-4", "%", ":", "=")
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F")
FORMATS = ("png", "jpg", "gif", "bmp", "tif", "webp", "ppm", "tga", "ico", "sgi", "pcx", "jp2")
NAMES = ("a", "b", "train", "test", "val", "Training", "10", "9", "a,b", "[x]", "'q'", ".hidden")
NAMES += ("é", "a b", "-", "~", "#1", "CON", "a\nb", "x" * 200, "\udcff\udcfe")  # last: bytes
PATHS = ("", "configs", "configs/nosuch.py", "configs/quickstart.py:nosuch", "launch.py")
PATHS += ("README.md", "configs/quickstart.py:", ":smoke", "configs/default.py", "/dev/null")
MODES_OF_RUNS = ("eval", "compare", "explore", "verify", "rerun", "export", "tran", "")
FLAGS = ("--workdr=x", "-", "--", "---", "--config", "--=", "train", "-x", "--help=")


def notation(rng: random.Random) -> str:
    """A text for `tasks`."""
    return "".join(rng.choice(TOKENS) for _ in range(rng.randint(0, 8)))


def value(rng: random.Random, key: str) -> str:
    """A text for a key of the config."""
    if key == "tasks":
        return notation(rng)
    if key in SCALES:
        return rng.choice(SIZES)
    return rng.choice(NUMBERS + WORDS)


def config_flags(rng: random.Random, keys: list[str]) -> list[str]:
    """Flags that change some keys of a config, as they are written or nearly so."""
    flags = []
    for key in rng.sample(keys, rng.randint(1, 3)):
        if rng.random() < 0.1:  # misspelt
            place = rng.randrange(len(key))
            key = key[:place] + rng.choice("x.-_") + key[place + 1 :]
        flags.append(f"--config.{key}={value(rng, key)}")
    return flags


def command_line(rng: random.Random, keys: list[str]) -> list[str]:
    """Flags of launch.py beside --workdir, some of them no flags at all."""
    kinds = (
        lambda: f"--mode={rng.choice(MODES_OF_RUNS)}",
        lambda: f"--step={rng.choice([*NUMBERS, *WORDS])}",
        lambda: f"--strategies={rng.choice(['lgaa', 'lgaa,', 'nosuch', '', 'lgaa,lgaa'])}",
        lambda: f"--seeds={rng.choice([*NUMBERS, *WORDS, '0,1', '0,,1', '1-3'])}",
        lambda: f"--devices={rng.choice([*NUMBERS, *WORDS])}",
        lambda: rng.choice(FLAGS),
        lambda: f"--config={rng.choice(PATHS)}",
        lambda: rng.choice(config_flags(rng, keys)),
    )
    flags = [rng.choice(kinds)() for _ in range(rng.randint(1, 3))]
    return flags if rng.random() < 0.2 else ["--config=configs/quickstart.py:smoke", *flags]


def config_file(rng: random.Random, source: str) -> str:
    """A config program with some characters left out, doubled or changed."""
    text = list(source)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(text))
        text[place] = rng.choice(["", text[place] * 2, rng.choice("()=.,:'\" \n0x")])
    return "".join(text)


def image(rng: random.Random) -> tuple[bytes, str]:
    """The content of an image file and its suffix, sometimes damaged."""
    suffix, mode = rng.choice(FORMATS), rng.choice(MODES)
    size = rng.choice([1, 2, 8, 24, 40]), rng.choice([1, 3, 8, 24, 200])
    noise = np.frombuffer(rng.randbytes(size[0] * size[1] * 3), np.uint8)
    picture = Image.fromarray(noise.reshape(size[1], size[0], 3))
    buffer = io.BytesIO()
    try:
        picture.convert("L").convert(mode).save(buffer, Image.registered_extensions()[f".{suffix}"])
    except (OSError, ValueError, KeyError):  # that format has no such mode
        picture.save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    kind = rng.random()
    if kind < 0.1:
        content = content[: rng.randrange(len(content))]
    elif kind < 0.2:
        for _ in range(rng.randint(1, 8)):
            content[rng.randrange(len(content))] = rng.randrange(256)
    elif kind < 0.23:
        content = bytearray(rng.randbytes(rng.randint(0, 99)))
    return bytes(content), rng.choice([suffix, suffix.upper(), rng.choice(FORMATS)])


def image_folder(rng: random.Random, root: pathlib.Path, depth: int = 2) -> None:
    """Makes the folder `root`, with folders, images, other files and links in it."""
    root.mkdir(parents=True)
    for number in range(rng.choice([0, 1, 2, 5, 12])):
        content, suffix = image(rng)
        (root / f"{number}.{suffix}").write_bytes(content)
    for name in rng.sample(NAMES, rng.randint(0, 3)) if depth else ():
        image_folder(rng, root / name, depth - 1)
    kind = rng.random()
    if kind < 0.1:
        (root / "notes.txt").write_text("no image")
    elif kind < 0.15:
        (root / "dead.png").symlink_to(root / "nowhere.png")
    elif kind < 0.2:
        (root / "loop").symlink_to(root)
    elif kind < 0.23:
        os.mkfifo(root / "pipe.png")
