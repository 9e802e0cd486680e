#!/bin/sh
# {{name}}: say in a sentence what it promises.
# It runs in the partition's directory as its user. Exit 0 passes; any other exit fails, and what is printed says why.
path=$HOME/var/run/{{name}}.pid
if [ -e "$path" ]; then
  echo "$path is there"
else
  echo "$path is missing"
  exit 1
fi
