"""One of two processes that tell each other what they have; prints the facts it found as JSON.

test_hosts.py starts them: two_processes.py PORT NUMBER.
"""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np

from configs import default
from lgaa_jax.errors import UserError
from lgaa_jax.run import likeness
from lgaa_jax.training import hosts
from lgaa_jax.training.devices import build_layout


def refused(act):
    """What a UserError says."""
    try:
        act()
    except UserError as error:
        return str(error)
    return None


def placing(devices):
    """What comes of arrays that lie on all devices of both."""
    config = default.get_config()
    config.update({"devices": devices, "batch_size": 8})
    layout = build_layout(config)
    host = np.arange(8 * 3, dtype=np.float32).reshape(8, 3)
    key = jax.random.key(3)
    with jax.transfer_guard("disallow"):
        rows, whole, placed_key = layout.place(
            (host, host, key), (layout.by_row(), layout.whole, layout.whole)
        )
    drawn = jax.jit(lambda x, key: x + jax.random.normal(key, x.shape))(rows, placed_key)
    expected = host + jax.random.normal(key, host.shape)
    return {
        "devices": layout.num_devices,
        "own rows": [np.asarray(shard.data)[0, 0].item() for shard in rows.addressable_shards],
        "whole": bool((np.asarray(whole) == host).all()),
        "fetched": bool(np.allclose(layout.fetch(drawn), expected)),
        "local": [str(d.process_index) for d in layout.local({"x": whole})["x"].devices()],
    }


def agreed(numbers):
    """What the processes agree on in each round; the last is told to be that."""
    agree = hosts.Agreement()
    return [agree(number, (), i == len(numbers) - 1) for i, number in enumerate(numbers)]


def main():
    """Joins the other, and prints what was found."""
    port, number = sys.argv[1], int(sys.argv[2])
    jax.distributed.initialize(f"localhost:{port}", 2, number)

    def fail():
        raise UserError(f"of process {number}")

    config = default.get_config()
    config.seed = 5 + number
    config.data.data_dir = f"somewhere/{number}"
    same = default.get_config()
    state = {"w": jnp.float32(7), "n": jnp.arange(3)}
    spread = hosts.spread(state if number == 0 else None, jax.eval_shape(lambda: state))
    facts = {
        "who": [hosts.count(), hosts.number(), hosts.first()],
        "shared": hosts.shared(lambda: {"pair": (number, None), "text": "x" * 1000}),
        "error": refused(lambda: hosts.shared(fail)),
        "gathered": hosts.gathered("y" * (number * 500 + 1)),
        "spread": [spread["w"].item(), spread["n"].tolist()],
        "layouts": [placing(0), placing(4)],
        "odd": refused(lambda: placing(3)),
        "stopped": agreed([0, number, 0, 0]),
        "stopped last": agreed([0, 2 * (1 - number)]),
        "config": refused(lambda: likeness.require_same_settings(config)),
        "same": refused(lambda: likeness.require_same_settings(same)),
        "data": refused(lambda: likeness.require_same_data({"digits": {"images": number}})),
    }
    hosts.together()
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
