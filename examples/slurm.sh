#!/bin/bash
# A run on the GPUs of several machines under SLURM, one process for each GPU:
#
#     sbatch examples/slurm.sh --config=configs/mnist_fashion.py --workdir=runs/wide
#
# The workdir must be seen by the first machine, the data by all. Not run: it follows the
# documentation of SLURM and of JAX. Every task must see all GPUs of its machine, from which JAX
# takes the one that has the task's number; so no --gpus-per-task.
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
# Two minutes before the time is over the tasks get SIGTERM: the run is saved, and the job ends with
# the exit status 75, with which it is queued again here.
#SBATCH --signal=TERM@120
#SBATCH --requeue

srun python launch.py "$@"
status=$?
[ "$status" = 75 ] && scontrol requeue "$SLURM_JOB_ID"
exit "$status"
