"""The progress bar of a run."""

import jax.numpy as jnp

from lgaa_jax.run.progress import Progress


def test_progress_shows_task_losses_and_rate(capsys):
    with Progress(total=10, initial=4, batch_size=8) as progress:
        for _ in range(6):
            progress.update()
        progress.show("digits", {"critic": jnp.float32(-1.25)})
    shown = capsys.readouterr()
    assert shown.out == ""
    for part in ("digits", "10/10", "critic=-1.25", "images/s="):
        assert part in shown.err.splitlines()[-1].rpartition("\r")[2]
