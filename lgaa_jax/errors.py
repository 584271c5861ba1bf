"""The one exception that is meant for the user, and the check of one value."""


class UserError(ValueError):
    """Bad input that ends a run: one sentence with what is wrong, the value and what to do.

    launch.py prints the sentence without a traceback.
    """


def require(holds: bool, key: str, value: object, wanted: str) -> None:
    """Raises UserError unless the value of a config key holds; `wanted` says what it must be."""
    if not holds:
        raise UserError(f"{key}={value!r} cannot be used; it must be {wanted}.")
