"""How the folders in a folder are taken: as splits, as classes, or as one around everything.

descent  Where all images lie in one folder with folders in it, or in one whose name is that of a
         split, that folder is taken in place of the one around it.
splits   The names train and training, test and testing, val, valid and validation, in any case. Two
         kinds of them side by side are the splits: train and test, with a validation folder left
         out; or train and validation, which then serves as the test set. Other folders with images
         beside them, an empty split and two names of one kind are refused. One such name alone
         beside other folders is a class.

What is chosen is stated in notes. Without splits: classes.py.
"""

import collections

from lgaa_jax.data.classes import (
    File,
    by_checksum,
    check_mixed,
    counted,
    in_splits,
    without_test_only,
)
from lgaa_jax.data.listing import Entry, Listing, printable
from lgaa_jax.errors import UserError

ROLES = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}
Roles = dict[str, str]  # from train, test or validation to the folder that has it


def arrange(listing: Listing, where: str) -> tuple[list[File], list[str]]:
    """The images of a folder in the order of their names, and notes on how they were taken.

    where: how a message about the folder begins. Raises UserError where it cannot be taken.
    """
    base, notes = "", []
    while inner := _only_folder(listing, base):
        base += f"{inner}/"
        notes.append(f"all images lie in {printable(base)}, which is taken as the folder itself")
    counts, roles = _counts(listing.images, base), _roles(listing, base, where)
    if len(roles) > 1:
        train, test = _splits(roles, counts, where)
        files = in_splits(listing.images, f"{base}{train}/", f"{base}{test}/")
        notes += _split_notes(roles, counts)
    else:
        files = by_checksum(listing.images, base)
        notes += [f"{name}/, beside other folders, is taken as a class" for name in roles.values()]
        tests = sum(file.test for file in files)
        notes.append(f"no test folder: {tests} of {counted(len(files))} are for testing")
    check_mixed(files, where)
    files, left_out = without_test_only(files)
    return files, notes + left_out


def _counts(images: list[Entry], base: str) -> collections.Counter[str]:
    """Number of images in each folder directly in `base`; under "" those that lie beside them."""
    inner = (entry.name.removeprefix(base) for entry in images if entry.name.startswith(base))
    return collections.Counter(name.partition("/")[0] if "/" in name else "" for name in inner)


def _only_folder(listing: Listing, base: str) -> str:
    """The folder that is to be taken in place of `base`; empty: none."""
    name, *others = _counts(listing.images, base) or [""]
    if others or not name:
        return ""
    if _role(name):
        return "" if any(map(_role, _empty(listing, base))) else name
    return "" if _counts(listing.images, f"{base}{name}/")[""] else name


def _role(name: str) -> str | None:
    return ROLES.get(name.casefold())


def _empty(listing: Listing, base: str) -> list[str]:
    """Names of the folders directly in `base` that hold no image."""
    inner = {name.removeprefix(base) for name in listing.folders if name.startswith(base)}
    return sorted({name for name in inner if "/" not in name} - {*_counts(listing.images, base)})


def _roles(listing: Listing, base: str, where: str) -> Roles:
    """Which folders have the name of a split. Raises UserError where two share it or one is empty.

    An empty validation folder beside train and test does no harm.
    """
    roles: Roles = {}
    for name in sorted(_counts(listing.images, base)):
        role = _role(name)
        if role in roles:
            raise UserError(f"{where} has both {roles[role]}/ and {name}/; leave one of them.")
        roles |= {role: name} if role else {}
    empty = [name for name in _empty(listing, base) if _role(name)]
    if roles and empty and not {"train", "test"} <= roles.keys():
        raise UserError(f"{where} has no image in {base}{empty[0]}/; fill or remove that folder.")
    return roles


def _splits(roles: Roles, counts: collections.Counter[str], where: str) -> tuple[str, str]:
    """The folders of the training and the test images. Raises UserError where that is ambiguous."""
    others = sorted(counts.keys() - set(roles.values()) - {""})
    names = ", ".join(sorted(roles.values()))
    if others:
        raise UserError(
            f"{where} has the splits {names} beside other folders with images "
            f"({printable(others[0])}); move either elsewhere."
        )
    if "train" not in roles:
        raise UserError(
            f"{where} has the splits {names} and none for training; add a folder train."
        )
    return roles["train"], roles["test" if "test" in roles else "validation"]


def _split_notes(roles: Roles, counts: collections.Counter[str]) -> list[str]:
    """What is said of the splits, and of what is left out beside them."""
    train, test, validation = (roles.get(role, "") for role in ("train", "test", "validation"))
    if not test:
        notes = [f"{train}/ and {validation}/ are the splits: {validation} serves as the test set"]
    else:
        notes = [f"{train}/ and {test}/ are the splits"]
        if validation:
            notes.append(f"left out: {counted(counts[validation])} in {validation}/")
    if counts[""]:
        notes.append(f"left out: {counted(counts[''])} beside the splits")
    return notes
