"""What ran: labels and texts for the head of a report."""

from collections.abc import Iterator
from typing import Any

from lgaa_jax.report.metric_names import metric
from lgaa_jax.report.tables import Cell, number
from lgaa_jax.report.written import Written

Fact = tuple[str, str]


def facts(written: Written) -> Iterator[Fact]:
    """Of one run."""
    results, config = written.results, written.metadata["config"]
    yield "strategy", results["strategy"]
    yield "labels", str(config["labels"])
    yield "seed", str(results["seed"])
    size, _, channels = written.image_shape
    yield "images", f"{size}x{size}, {'grey' if channels == 1 else 'in colour'}"
    yield "steps", f"{results['steps']:,} of {config['batch_size']} images"
    yield "training took", duration(results["seconds"])
    if retries := results.get("retries"):
        rates = (
            f"{r['task']}: learning rates x {r['rate']:g} from step {r['back_to']}" for r in retries
        )
        yield "after numbers not finite", "; ".join(rates)
    yield from machine(written.metadata)


def machine(metadata: dict[str, Any]) -> Iterator[Fact]:
    """Device, commit and versions."""
    if device := metadata.get("device"):
        several = f" ({device['count']} devices)" if device["count"] > 1 else ""
        yield "device", f"{device['kind']}{several}"
    if commit := metadata.get("commit"):
        changes = ", with changes" if commit.endswith("+") else ""
        yield "commit", f"{commit[:12].rstrip('+')}{changes}"
    versions = metadata.get("versions", {})
    yield "versions", ", ".join(f"{name} {version}" for name, version in versions.items())


def headline(written: Written) -> Iterator[tuple[str, Cell]]:
    """The figures that stand first: title and number."""
    for name in ("average_accuracy", "forgetting"):
        if name in written.results:
            yield metric(name).title, number(name, written.results[name])
    psnr = [values["psnr"] for values in written.results.get("reconstruction", {}).values()]
    if psnr:
        yield "mean PSNR (dB)", number("psnr", sum(psnr) / len(psnr))
    text = f"{written.learned} of {len(written.names)}"
    yield "tasks learned", Cell(text, written.learned)


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, as far as they are needed."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
