#!/usr/bin/env bash
# Speech for the lines of a database that have none yet, each in the voice of who says it:
#   examples/query.sh play.db voices speech
# play.db has a table lines (id, speaker, line); voices holds a recording of each speaker, such as voices/anna.wav.
set -euo pipefail
database=$1 voices=$2 folder=$3
sqlite3 -header -csv "$database" "SELECT id, line AS text, '${voices//\'/\'\'}/' || speaker || '.wav' AS prompt FROM lines" |
  valle batch - --out-dir "$folder" "${@:4}"
