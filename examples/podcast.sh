#!/usr/bin/env bash
# Make one MP3 of all rows of a table, in the order of the table, with ffmpeg.
#   examples/podcast.sh jobs.csv podcast.mp3
# After a change of the table, run the same command again: it speaks only the rows that changed. Raw samples have no
# header, so files can be concatenated; all rows need the same format and rate, so the table must not have the columns
# output and sample_rate. Further arguments are passed to valle batch.
set -euo pipefail
table=$1 podcast=$2 folder=${2%.*} rate=24000
valle batch "$table" --out-dir "$folder" --format raw --sample-rate "$rate" "${@:3}"
valle batch "$table" --out-dir "$folder" --format raw --dry-run -q | cut -f 3 | # file names in the order of the table
  (cd "$folder" && while IFS= read -r name; do cat "$name"; done) |
  ffmpeg -y -loglevel error -f s16le -ar "$rate" -ac 1 -i - "$podcast"
