#!/bin/sh
# Completions know each command's subcommands (kdistill-plan has none) and options, and each page
# of the manual names all that the command's help names.   commands.sh COMPLETIONS COMMAND...
set -eu
folder=$1
shift
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
fail() { echo "commands: $*"; exit 1; }
for command in "$@"; do
    name=$(basename "$command")
    "$command" --help > "$work/help" 2>&1 || true
    subcommands=$(sed -nE "s/^(usage:)? +$name ([a-z][a-z-]*).*/\2/p" "$work/help" | sort -u)
    [ -n "$subcommands" ] || [ "$name" = kdistill-plan ] || fail "$name --help names no subcommand"
    completed=$(bash -c ". '$folder/$name.bash'
        COMP_WORDS=($name '') COMP_CWORD=1
        _$(echo "$name" | tr - _)
        printf '%s\n' \"\${COMPREPLY[@]}\"" | sort)
    [ -n "$subcommands" ] || completed= # files of this folder
    [ "$completed" = "$subcommands" ] || fail "bash completes $completed, $name has $subcommands"
    begun=$(bash -c ". '$folder/$name.bash'
        COMP_WORDS=($name import --vo) COMP_CWORD=2
        _$(echo "$name" | tr - _)
        echo \"\${COMPREPLY[@]}\"")
    [ "$name" != kdistill-store ] || [ "$begun" = --vocabulary ] || fail "--vo becomes '$begun'"
    begun=$(bash -c ". '$folder/$name.bash'
        COMP_WORDS=($name --he) COMP_CWORD=1
        _$(echo "$name" | tr - _)
        echo \"\${COMPREPLY[@]}\"")
    [ -n "$subcommands" ] || [ "$begun" = --help ] || fail "$name --he becomes '$begun'"
    ! command -v zsh > /dev/null || zsh -n "$folder/_$name" || fail "zsh does not read _$name"
    ! command -v fish > /dev/null || fish -n "$folder/$name.fish" ||
        fail "fish does not read $name.fish"
    page=docs/$name.1
    [ -e "$page" ] || fail "$page is missing"
    sed 's/\\-/-/g; s/\\f[A-Z]//g' "$page" > "$work/page"
    for word in $subcommands $(grep -oE -- '--[a-z][a-z-]*' "$work/help" | sort -u); do
        grep -q -- "$word" "$work/page" || fail "$page does not tell of $word"
    done
done
if command -v man > /dev/null; then
    for page in docs/*.[13]; do
        said=$(LC_ALL=C.UTF-8 MANWIDTH=80 \
            man --warnings -E UTF-8 -l -Tutf8 "$page" 2>&1 > /dev/null)
        [ -z "$said" ] || fail "$page: $said"
    done
fi
echo "commands: completions and pages agree with what $# commands say of themselves"
