"""Writes a prepared TFDS image set as a folder of PNG files, to try `folder:PATH` on real images.

    python benchmarks/png_folder.py omniglot data/omniglot [--by=alphabet] [--size=64]

All splits are written, in one folder, or with --by in a folder for each value of that feature.
--size enlarges or reduces the images, which are otherwise as they are.
"""

import argparse
import io
import os
import pathlib

import tensorflow_datasets as tfds
from PIL import Image


def group(features: tfds.features.FeaturesDict, by: str, row: dict) -> str:
    """Name of the folder of an example: the value of the feature `by`; "" where there is none."""
    if not by:
        return ""
    feature = features[by]
    named = isinstance(feature, tfds.features.ClassLabel)
    return feature.int2str(row[by]) if named else str(row[by])


def write(builder: tfds.core.DatasetBuilder, out: pathlib.Path, by: str, size: int) -> int:
    """Writes all examples below `out`; returns how many there are."""
    written = 0
    for split in builder.info.splits:
        decoders = {"image": tfds.decode.SkipDecoding()}
        for i, row in enumerate(builder.as_data_source(split, decoders=decoders)):
            image = Image.open(io.BytesIO(row["image"]))
            if size:
                image = image.resize((size, size), Image.BICUBIC)
            folder = out / group(builder.info.features, by, row)
            folder.mkdir(parents=True, exist_ok=True)
            image.save(folder / f"{split}_{i:06}.png")
            written += 1
    return written


def main() -> None:
    """Parses the flags, writes and says how many images there are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="a TFDS name, such as omniglot")
    parser.add_argument("out", type=pathlib.Path, help="the folder to write")
    parser.add_argument("--by", default="", help="feature whose values become folders")
    parser.add_argument("--size", type=int, default=0, help="height and width; default as they are")
    parser.add_argument("--data_dir", help="where the set lies prepared; default TFDS's own")
    args = parser.parse_args()
    data_dir = os.path.expanduser(args.data_dir) if args.data_dir else None
    written = write(tfds.builder(args.name, data_dir=data_dir), args.out, args.by, args.size)
    print(f"{written} images in {args.out}")


if __name__ == "__main__":
    main()
