#!/bin/sh
# Makes the completion of kleroctl for a shell from the list of commands that the program itself
# prints, so that the two cannot disagree.
#
#	kleroctl --commands | packaging/completion.sh bash|zsh
#
# Completed are commands, their options, and what an option or an argument takes: one of a few
# words, a file, a folder.
set -eu

program=$(dirname "$0")/completion.awk
case ${1-} in
bash | zsh) ;;
*) echo "usage: kleroctl --commands | completion.sh bash|zsh" >&2; exit 2 ;;
esac
exec awk -F '\t' -v shell="$1" -f "$program"
