"""Which images are set apart where no one else says so: one in ten, by checksums."""

import numpy as np

SHARE = 10  # one image in so many is set apart


def chosen(checksums: np.ndarray) -> np.ndarray:
    """Which of a class's images are set apart: those whose checksum is divisible by `SHARE`.

    Never all of them, and of two or more at least one: where that takes none, the lowest checksum
    is taken, where it takes all, the highest is spared. Of equal ones the first counts as the
    lowest. So an added image moves at most one other. checksums: [n] integers, n at least 1.
    Returns [n] bool.
    """
    mask = checksums % SHARE == 0
    order = np.argsort(checksums, kind="stable")
    if mask.all():
        mask[order[-1]] = False
    elif len(mask) > 1 and not mask.any():
        mask[order[0]] = True
    return mask


def validation(checksums: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which training images settings are chosen on: a tenth of each class, by CRC-32 of the pixels.

    It is the same tenth for every seed, and images that are equal are not divided unless a class
    has no others. checksums: uint32 [n], of the images; labels: [n], -1 where there is none.
    Returns [n] bool.
    """
    checksums = checksums.astype(np.int64)
    mask = np.zeros(len(checksums), bool)
    for label in np.unique(labels):
        own = labels == label
        mask[own] = chosen(checksums[own])
    return mask
