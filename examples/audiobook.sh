#!/usr/bin/env bash
# An audiobook of a text file, a file for each paragraph, and a playlist:
#   examples/audiobook.sh examples/story.txt examples/reference.wav book
# Edit the text and type it again: only the paragraphs that changed are spoken. More options go to valle batch.
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
