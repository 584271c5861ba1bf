"""The strategies: what a run keeps of its earlier tasks, and which phases of a step it takes."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Strategy:
    """One way to meet a sequence of tasks; everything else is the same for all of them.

    memory: what stands for the earlier tasks in a batch: "replay" (of the frozen generator),
        "buffer" (a few real images of each), "data" (all real images of all tasks, from the start)
        or "none"
    adversarial: whether phases 1 and 2 (critic, generator) are taken
    autoencodes: whether phase 3 (autoencoder) is taken
    """

    memory: str
    adversarial: bool = True
    autoencodes: bool = True


STRATEGIES = {
    "lgaa": Strategy("replay"),
    "finetune": Strategy("none"),
    "joint": Strategy("data"),
    "experience_replay": Strategy("buffer"),
    "gan_replay": Strategy("replay", autoencodes=False),
    "vae_replay": Strategy("replay", adversarial=False),
}
