"""A machine that has no more of something: one sentence each, and where the run goes on."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

import jax

from lgaa_jax.errors import UserError

# What a disk says of itself; other errors of the system may be mistakes of a program.
DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EACCES, errno.EPERM}
GOES_ON = "once that is mended, the same command goes on from the last checkpoint"


@contextlib.contextmanager
def told(workdir: Path) -> Iterator[None]:
    """What is raised within because disk or memory are at their end becomes a UserError."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        if error.errno not in DISK:
            raise
        where = error.filename or workdir
        raise UserError(f"{where}: {error.strerror}; {GOES_ON}.") from error
    except MemoryError as error:
        raise UserError(
            f"the memory of this machine is full; the run in {workdir} is saved up to its last "
            "checkpoint: take fewer or smaller images, or a machine with more."
        ) from error
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        device = jax.local_devices()[0].device_kind
        raise UserError(
            f"the memory of {device} is full; the run in {workdir} is saved "
            "up to its last checkpoint: lower batch_size, net.width or log.eval_batch, in another "
            "--workdir where the same is refused."
        ) from error
