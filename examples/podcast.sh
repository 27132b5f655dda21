#!/usr/bin/env bash
# One MP3 of all rows of a table, in their order, by ffmpeg:
#   examples/podcast.sh jobs.csv podcast.mp3
# Edit the table and type it again: only what changed is spoken. Samples without a header can be put in a row as they
# are; the rows therefore name no outputs of their own.
set -euo pipefail
table=$1 podcast=$2 folder=${2%.*}
valle batch "$table" --out-dir "$folder" --format raw "${@:3}"
valle batch "$table" --out-dir "$folder" --format raw --dry-run -q | cut -f 3 | # the names in the table's order
  (cd "$folder" && while IFS= read -r name; do cat "$name"; done) |
  ffmpeg -y -loglevel error -f s16le -ar 24000 -ac 1 -i - "$podcast"
