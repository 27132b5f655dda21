#!/usr/bin/env bash
#SBATCH --job-name=speech
#SBATCH --array=1-8
#SBATCH --gpus-per-task=1
# A table in eight parts on a Slurm cluster, and then one results file of them all:
#   id=$(sbatch --parsable examples/slurm.sh jobs.csv out)
#   sbatch --dependency=afterany:$id --wrap "valle batch --merge --out-dir out"
# A part that was cut off goes on where it was when the array is submitted again.
set -euo pipefail
exec valle batch "$1" --out-dir "$2" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
