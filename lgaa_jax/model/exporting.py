"""A folder that stands alone: a model's functions as StableHLO, its arrays, and what it is.

    model.json            what `lgaa_jax.load` builds the model from, and checksums of all files
    weights.safetensors   parameters as <network>/<module>/<name>, moments as codes/<name>
    encode.stablehlo      (encoder/..., images uint8 [b, H, W, C]) -> z [b, Z]
    classify.stablehlo    (class/..., images) -> logits [b, U]; absent where there are no classes
    task_of.stablehlo     (domain/..., z) -> logits [b, N]
    decode.stablehlo      (generator/..., z [b, Z], u [b, U], d [b, N]) -> images uint8
    README.md, example.py the model card; how to use it with JAX alone

Functions are those of `jax.export` for any batch size, on CPU, CUDA and TPU; each takes a dict of
the arrays whose names begin as shown.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import export as jax_export
from safetensors import SafetensorError
from safetensors.numpy import load, save

from lgaa_jax.data.images import to_uint8
from lgaa_jax.errors import UserError
from lgaa_jax.evaluation import inference
from lgaa_jax.files import read_json, write_bytes, write_json
from lgaa_jax.model.card import EXAMPLE, card
from lgaa_jax.model.model import Model
from lgaa_jax.networks.nets import Nets
from lgaa_jax.seals import SEAL, checksum, opened, sealed
from lgaa_jax.training.settings import fixed_settings
from lgaa_jax.training.state import TrainState

PLATFORMS = ("cpu", "cuda", "tpu")
MODEL, WEIGHTS = "model.json", "weights.safetensors"
CHECKSUMS = "checksums"  # key of model.json: of the other files
Flat = dict[str, Any]  # arrays by path: {"encoder/Dense_0/kernel": ...}
Forms = dict[str, tuple[tuple[int, ...], Any]]  # shape of one, and dtype, by name


@fixed_settings()
def export(model: Model, written: dict[str, Any], folder: Path) -> None:
    """Writes the folder. written: what config.json of the run holds."""
    weights = _weights(model.state)
    files = {WEIGHTS: save({key: np.asarray(a) for key, a in weights.items()})}
    for name, (network, function, inputs) in _functions(model.nets).items():
        own = {key: a for key, a in weights.items() if key.startswith(f"{network}/")}
        files[f"{name}.stablehlo"] = _serialized(function, own, inputs)
    files |= {"example.py": EXAMPLE.encode(), "README.md": card(model).encode()}
    for name, content in files.items():
        write_bytes(folder / name, content)
    own = {"step": model.card["step"], "task": int(model.state.task)}
    own |= {"results": model.card.get("results", {})}
    own |= {"exported_with": {"jax": jax.__version__}}
    own |= {CHECKSUMS: {name: checksum(content) for name, content in files.items()}}
    # Last: where it is, the folder is whole.
    write_json(folder / MODEL, sealed({**written, **own}))


def read_model(folder: Path) -> dict[str, Any]:
    """What `model.json` holds. Raises ValueError where it is damaged."""
    written = read_json(folder / MODEL)
    if isinstance(written, dict) and not {SEAL, CHECKSUMS} & written.keys():
        return written  # of a version without checksums
    if (held := opened(written)) is None:
        raise ValueError("damaged")
    return held


def damaged(folder: Path, written: dict[str, Any]) -> list[str]:
    """The files of an export that are not what was written. written: what `model.json` holds."""
    checksums = written.get(CHECKSUMS, {}).items()
    return [name for name, known in checksums if _checksum_of(folder / name) != known]


def _checksum_of(path: Path) -> str | None:
    try:
        return checksum(path.read_bytes())
    except OSError:
        return None


def read_state(folder: Path, written: dict[str, Any]) -> TrainState:
    """The state of an exported model. written: what `model.json` holds. Raises UserError."""
    try:
        content = (folder / WEIGHTS).read_bytes()
        if written.get(CHECKSUMS, {}).get(WEIGHTS, known := checksum(content)) != known:
            raise ValueError("it is not what was written")
        tree = unflatten_dict(load(content), sep="/")
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(f"{folder / WEIGHTS} cannot be read ({error}); export again.") from error
    codes, params = tree.pop("codes", {}), tree
    return TrainState(
        step=jnp.int32(written["step"]),
        task=jnp.int32(written["task"]),
        params=jax.tree.map(jnp.asarray, params),
        opt={},
        ema={},
        codes=jax.tree.map(jnp.asarray, codes),
        replay={},
    )


def _weights(state: TrainState) -> Flat:
    return flatten_dict({**state.evaluated, "codes": state.codes}, sep="/")


def _functions(nets: Nets) -> dict[str, tuple[str, Callable[..., jax.Array], Forms]]:
    """Network, function of its parameters and inputs, and form of the inputs, by name."""
    images: Forms = {"x": (nets.image_shape, jnp.uint8)}
    codes: Forms = {
        "z": ((nets.code_size,), jnp.float32),
        "u": ((nets.num_classes,), jnp.float32),
        "d": ((nets.num_tasks,), jnp.float32),
    }
    encode, classify, task_of = (
        functools.partial(program, nets)
        for program in (inference.encode, inference.class_logits, inference.domain_logits)
    )

    def decode(params: Any, z: jax.Array, u: jax.Array, d: jax.Array) -> jax.Array:
        return to_uint8(inference.decode(nets, params, z, u, d))

    found: dict[str, tuple[str, Callable[..., jax.Array], Forms]] = {
        "encode": ("encoder", encode, images),
        "task_of": ("domain", task_of, {"z": codes["z"]}),
        "decode": ("generator", decode, codes),
    }
    return found | ({"classify": ("class", classify, images)} if nets.num_classes else {})


def _serialized(function: Callable[..., jax.Array], own: Flat, inputs: Forms) -> bytes:
    """The function for every batch size and platform, of a flat dict of its parameters."""
    (batch,) = jax_export.symbolic_shape("b")
    forms = [jax.ShapeDtypeStruct((batch, *shape), dtype) for shape, dtype in inputs.values()]
    arrays = {key: jax.ShapeDtypeStruct(a.shape, a.dtype) for key, a in own.items()}

    def flat(weights: Flat, *given: jax.Array) -> jax.Array:
        return function(unflatten_dict(weights, sep="/"), *given)

    return bytes(jax_export.export(jax.jit(flat), platforms=PLATFORMS)(arrays, *forms).serialize())
