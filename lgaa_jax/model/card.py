"""The texts of an exported model: its card, and an example that runs it with JAX alone."""

import jax

from lgaa_jax.model.model import Model
from lgaa_jax.training.modes import LENT

EXAMPLE = '''"""Generates images of a task and class, and encodes them again, with JAX alone.

    pip install jax flatbuffers safetensors
    python example.py
"""

import json
import sys
from pathlib import Path

import jax
import numpy as np
from jax import export
from safetensors.numpy import load_file

here = Path(__file__).parent
about = json.loads((here / "model.json").read_text())
weights = load_file(here / "weights.safetensors")


def call(name, network, *inputs):
    content = bytearray((here / f"{name}.stablehlo").read_bytes())
    own = {key: a for key, a in weights.items() if key.startswith(f"{network}/")}
    try:
        return np.asarray(export.deserialize(content).call(own, *inputs))
    except Exception:
        made = about["exported_with"]["jax"]  # an earlier one may not know all that it wrote
        if jax.__version_info__ >= tuple(map(int, made.split(".")[:3])):
            raise
        sys.exit(f"jax {jax.__version__} cannot run {name}.stablehlo: pip install 'jax>={made}'")


task, (name, labels) = 0, next(iter(about["labels"].items()))
label = labels[0] if labels else -1
domains = weights["domain/Dense_2/bias"].shape[0]
rng, size = np.random.default_rng(0), weights["encoder/Dense_0/bias"].shape[0]


def normal(codes, form):
    """Eight rows of normal numbers with the covariances that these arrays hold."""
    z = rng.normal(size=(8, size, 1))
    if form + "factor" in codes:  # the Cholesky factor of the covariance
        return (codes[form + "factor"] @ z)[..., 0]
    # Its principal components, and what they leave of the variances.
    loadings = codes[form + "loadings"]
    apart = np.sqrt(codes[form + "variance"]) * z[..., 0]
    return apart + (loadings @ rng.normal(size=(8, loadings.shape[-1], 1)))[..., 0]


z = rng.normal(size=(8, size))
if "codes/mean" in weights:  # where the codes of this class and task lie
    codes = {key: a[task, max(label, 0)] for key, a in weights.items() if key.startswith("codes/")}
    mean = codes["codes/mean"]
    if "codes/centres" in codes:  # a mixture of modes, each with a share of the codes
        shares = np.float64(codes["codes/shares"])
        chosen = rng.choice(len(shares), (2, 8), p=shares / shares.sum())
        held = {key: a for key, a in codes.items() if "/centres" in key or "/inner_" in key}
        mode, other = ({key: a[m] for key, a in held.items()} for m in chosen)
        # Of the covariance of each mode, this part is of the others.
        lent = LENT
        apart = mode["codes/centres"] - mean + (1 - lent) ** 0.5 * normal(mode, "codes/inner_")
        apart += lent**0.5 * normal(other, "codes/inner_")
    else:
        apart = normal(codes, "codes/")
    z = mean + about["config"].get("code_spread", 1.0) * apart
classes = weights["generator/Dense_0/kernel"].shape[0] - z.shape[1] - domains
u = np.tile(np.arange(classes) == label, (8, 1)).astype(np.float32)
d = np.tile(np.arange(domains) == task, (8, 1)).astype(np.float32)
images = call("decode", "generator", z.astype(np.float32), u, d)
codes = call("encode", "encoder", images)
tasks = call("task_of", "domain", codes)[:, : len(about["labels"])].argmax(-1)
print(f"{name}, label {label}: images {images.shape} {images.dtype}, codes {codes.shape}")
print("tasks:", [list(about["labels"])[d] for d in tasks])
'''.replace("LENT", str(LENT))


def card(model: Model) -> str:
    """The model card, with the metadata that model hubs read at its top."""
    about, form = model.card, "x".join(map(str, model.nets.image_shape))
    lines = [
        "---",
        "license: apache-2.0",
        "library_name: lgaa_jax",
        "tags: [lifelong-learning, continual-learning, generative-replay, gan, vae, jax]",
        "pipeline_tag: unconditional-image-generation",
        "---",
        "",
        f"# {', '.join(model.tasks)}",
        "",
        f"Learned one after another by strategy {about['strategy']} with seed {about['seed']}, "
        f"{about['step']} steps in all; images of {form}.",
        "",
        "| task | classes |",
        "|---|---|",
    ]
    for task in model.tasks:
        names = ", ".join(model.classes(task).values()) or "none"
        lines.append(f"| {task} | {names} |".replace("\n", " "))
    lines += ["", *_measured(model), "", "## Use", "", *_use(model), ""]
    return "\n".join(lines)


def _measured(model: Model) -> list[str]:
    """What was measured at this step, as a table."""
    results = model.card.get("results")
    if not results:
        return ["Nothing was measured at this step."]
    lines = [
        "After the last task:",
        "",
        "| task | accuracy | PSNR of reconstructions |",
        "|---|---|---|",
    ]
    rows = results.get("accuracy", [[]])[-1]
    for i, task in enumerate(model.tasks):
        value = rows[i] if i < len(rows) else None
        accuracy = "" if value is None else f"{100 * value:.1f} %"
        psnr = results.get("reconstruction", {}).get(task, {}).get("psnr")
        lines.append(f"| {task} | {accuracy} | {'' if psnr is None else f'{psnr:.1f} dB'} |")
    return lines


def _use(model: Model) -> list[str]:
    versions = ", ".join(f"{k} {v}" for k, v in model.card.get("versions", {}).items())
    return [
        f"`example.py` runs it with JAX alone, {jax.__version__} or later. With lgaa_jax, and any "
        "JAX that this supports:",
        "",
        "```python",
        "import lgaa_jax",
        'model = lgaa_jax.load("this/folder")',
        f"model.generate(8, task={model.tasks[0]!r})",
        "```",
        "",
        f"Made by `{model.card.get('command', '')}`, {versions}.",
        "",
        "## Limits",
        "",
        "It knows nothing beyond its tasks: every image is taken for one of them. Of earlier tasks "
        "it was trained on its own samples, and loses detail and rare forms with each later task. "
        "Data keep the licences of their sources.",
        "",
        "## Citation",
        "",
        "F. Ye and A. G. Bors, Lifelong Generative Adversarial Autoencoder, IEEE Transactions on "
        "Neural Networks and Learning Systems, 2024.",
    ]
