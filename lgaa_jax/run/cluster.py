"""Several processes as one run: found by JAX under SLURM and on a TPU pod, or named by flags."""

import importlib.util
import os
import sys
import threading
from collections.abc import Mapping

import jax

from lgaa_jax.errors import UserError
from lgaa_jax.run.links import listening
from lgaa_jax.run.peers import Peers
from lgaa_jax.training import hosts

MODES = ("train", "eval")  # of launch.py, that several processes can share
WAITING = 300  # seconds until all processes must have come


def join(
    mode: str, coordinator: str | None, processes: int | None, process: int | None
) -> Peers | None:
    """Makes this process one of a run, before JAX looks for devices; None where it is alone.

    mode: of launch.py; coordinator: HOST:PORT of the first process; processes: how many; process:
    which of them this is, from 0 on. Where none of these is given, SLURM or a TPU pod may say it.
    Raises UserError.
    """
    named = {"coordinator": coordinator, "processes": processes, "process": process}
    if processes == 1 or (set(named.values()) == {None} and not surrounded(os.environ)):
        return None
    if mode not in MODES:
        if of_slurm(os.environ) or processes is not None:
            raise UserError(
                f"--mode={mode} runs in one process; start it once, under SLURM with --ntasks=1."
            )
        return None
    if set(named.values()) != {None}:
        _check(named)
    # It would take SIGTERM for itself, which interrupts.py heeds.
    jax.config.update("jax_enable_preemption_service", False)
    late = threading.Timer(WAITING, _give_up)
    late.daemon = True
    late.start()
    try:
        jax.distributed.initialize(
            coordinator, processes, process, initialization_timeout=2 * WAITING
        )
    except ValueError as error:
        if "coordinator_address" in str(error) and coordinator is None:
            return None  # a TPU that is no part of a pod
        raise UserError(f"the processes of the run cannot be joined: {error}") from error
    except RuntimeError as error:
        reason = (str(error) or "no reason").splitlines()[0]
        raise UserError(
            f"the processes of the run cannot be joined ({reason}); start all of them, with the "
            "same --coordinator, at a port that is free."
        ) from error
    finally:
        late.cancel()
    if hosts.count() == 1:
        return None
    _hush()
    return Peers((coordinator or "").rpartition(":")[0].strip("[]"))


def _give_up() -> None:
    """Ends this process, which JAX itself would do with pages of its own."""
    print(
        f"launch.py: not all processes of the run came within {WAITING} seconds; start all of "
        "them, with the same --coordinator.",
        file=sys.stderr,
    )
    sys.stderr.flush()
    os._exit(1)


def _hush() -> None:
    """Leaves standard output to what the first process itself prints.

    Gloo, by which processes meet on CPUs, tells there of each of its connections.
    """
    shown, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    if hosts.first():
        sys.stdout = os.fdopen(shown, "w", buffering=1, encoding=sys.stdout.encoding)


def surrounded(environment: Mapping[str, str]) -> bool:
    """Whether SLURM has started several processes, or there may be a TPU pod."""
    wanted = environment.get("JAX_PLATFORMS", "tpu")
    tpu = "tpu" in wanted and importlib.util.find_spec("libtpu") is not None
    return tpu or of_slurm(environment)


def of_slurm(environment: Mapping[str, str]) -> bool:
    """Whether this is one of several tasks of an `srun`."""
    tasks = environment.get("SLURM_NTASKS", "1")
    return "SLURM_STEP_NODELIST" in environment and tasks != "1"


def _check(named: Mapping[str, str | int | None]) -> None:
    """Raises UserError unless all three are given and make sense."""
    lacking = [name for name, value in named.items() if value is None]
    if lacking:
        raise UserError(
            f"--{lacking[0]} is missing: several processes are started with --coordinator=HOST:PORT"
            " --processes=N --process=K, K from 0 to N - 1."
        )
    coordinator, processes, process = named.values()
    host, _, port = str(coordinator).rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f"--coordinator={coordinator} cannot be read; write it like HOST:PORT.")
    assert isinstance(processes, int)
    assert isinstance(process, int)
    if not 0 <= process < processes:
        raise UserError(
            f"--process={process} is none of --processes={processes}; they count from 0."
        )
    if process == 0:
        try:
            listening(int(port)).close()
        except (OSError, OverflowError) as error:  # of which JAX would die
            raise UserError(
                f"--coordinator={coordinator}: process 0 cannot listen at port {port} of this "
                "machine; name another port."
            ) from error
