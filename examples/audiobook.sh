#!/usr/bin/env bash
# Make an audiobook from a text file: one WAV per paragraph, and a playlist.
#   examples/audiobook.sh examples/story.txt examples/reference.wav book
# After a change of the text, run the same command again: it speaks only the paragraphs that changed. Further arguments
# are passed to valle batch.
set -euo pipefail
text=$1 voice=$(realpath "$2") folder=$3
mkdir -p "$folder"
{
  echo "text,prompt"
  tr -d '\r' < "$text" | VOICE=$voice awk 'BEGIN { RS = "" }
    { gsub(/"/, "\"\""); voice = ENVIRON["VOICE"]; gsub(/"/, "\"\"", voice); printf "\"%s\",\"%s\"\n", $0, voice }'
} > "$folder/book.csv"
valle batch "$folder/book.csv" --out-dir "$folder" "${@:4}"
valle batch "$folder/book.csv" --out-dir "$folder" --dry-run -q | cut -f 3 > "$folder/book.m3u"
