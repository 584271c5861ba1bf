"""The one exception that is meant for the user."""


class UserError(ValueError):
    """Bad input that ends a run: one sentence with what is wrong, the value and what to do.

    launch.py prints the sentence without a traceback.
    """
