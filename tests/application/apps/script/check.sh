#!/bin/sh
# Fetches one page, and exits with 0 only if that worked: ./check.sh URL
id=$(jobq enqueue jobs.fetch "$1") || exit
if [ -z "$id" ]; then
    echo "$1 is queued already"
    exit 0
fi
jobq wait "$id" --timeout "${2:-1m}"
