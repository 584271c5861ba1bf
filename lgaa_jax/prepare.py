"""Prepares TFDS sets: python -m lgaa_jax.prepare NAME [NAME...] [--data_dir=DIR].

This alone needs TensorFlow and the network, once for each set; see data/tfds_sets.py.
"""

import argparse
import sys
from collections.abc import Sequence

from lgaa_jax.data import tfds_sets
from lgaa_jax.errors import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepares the sets named on the command line; returns the exit status."""
    parser = argparse.ArgumentParser("python -m lgaa_jax.prepare", description="Prepare TFDS sets.")
    parser.add_argument("names", nargs="+", metavar="NAME", help="a TFDS name, such as mnist")
    parser.add_argument("--data_dir", default="", help="where to; default: TFDS's own folder")
    flags = parser.parse_args(arguments)
    try:
        for name in flags.names:
            print(f"{name}: prepared in {tfds_sets.prepare(name, flags.data_dir)}")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
