#!/usr/bin/env bash
# Speak the lines of a play in a database, each in the voice of its speaker.
#   examples/query.sh play.db voices speech
# play.db has a table lines (id, speaker, line); the folder voices has a recording of each speaker, such as
# voices/anna.wav. Run the same command again to speak new lines only. Further arguments are passed to valle batch.
set -euo pipefail
database=$1 voices=$2 folder=$3
sqlite3 -header -csv "$database" "SELECT id, line AS text, '${voices//\'/\'\'}/' || speaker || '.wav' AS prompt FROM lines" |
  valle batch - --out-dir "$folder" "${@:4}"
