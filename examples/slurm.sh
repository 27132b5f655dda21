#!/usr/bin/env bash
#SBATCH --job-name=speech
#SBATCH --array=1-8
#SBATCH --gpus-per-task=1
# Speak a table in eight shards on a Slurm cluster, then merge the results files.
#   id=$(sbatch --parsable examples/slurm.sh jobs.csv out)
#   sbatch --dependency=afterany:$id --wrap "valle batch --merge --out-dir out"
# A shard that was interrupted is resumed when the array is submitted again.
set -euo pipefail
exec valle batch "$1" --out-dir "$2" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
