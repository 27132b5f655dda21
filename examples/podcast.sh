#!/usr/bin/env bash
# One MP3 of all rows of a table, in their order, by ffmpeg:
#   examples/podcast.sh jobs.csv podcast.mp3
# Rows have no output column here: their numbers are the names. Samples without a header can be put in a row as they are.
set -euo pipefail
table=$1 podcast=$2
valle batch "$table" --out-dir "${podcast%.*}" --format raw "${@:3}"
cat "${podcast%.*}"/[0-9]*.raw | ffmpeg -y -loglevel error -f s16le -ar 24000 -ac 1 -i - "$podcast"
