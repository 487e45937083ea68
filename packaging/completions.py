"""Completions for bash, zsh and fish: completions.py OUT COMMAND ..

The subcommands, where a command has such, and options are those in the text that COMMAND --help
prints.
"""

import os
import re
import subprocess
import sys

BASH = """# Completion of {name} for bash; made by packaging/completions.py.
_{word}()
{{
    local current=${{COMP_WORDS[COMP_CWORD]}}
    if [ "$COMP_CWORD" -eq 1 ] && [ {count} -gt 0 ]; then
        COMPREPLY=($(compgen -W '{commands}' -- "$current"))
    elif [ "${{current#-}}" != "$current" ]; then
        COMPREPLY=($(compgen -W '{options}' -- "$current"))
    else
        COMPREPLY=($(compgen -f -- "$current"))
    fi
}}
complete -o filenames -F _{word} {name}
"""
ZSH = """#compdef {name}
# Completion of {name} for zsh; made by packaging/completions.py.
if (( CURRENT == 2 && {count} > 0 )); then
    compadd -- {commands}
elif [[ $words[CURRENT] == -* ]]; then
    compadd -- {options}
else
    _files
fi
"""
FISH = "# Completion of {name} for fish; made by packaging/completions.py.\n"
FISH_COMMAND = "complete -c {name} -n __fish_use_subcommand -f -a {one}\n"
FISH_OPTION = "complete -c {name} -l {one}\n"


def read_usage(command):
    """Subcommands and options of a command, from its help."""
    done = subprocess.run([command, "--help"], capture_output=True, text=True)
    text = done.stdout + done.stderr
    name = os.path.basename(command)
    commands = re.findall(rf"^(?:usage:)?\s+{re.escape(name)} ([a-z][\w-]*)", text, re.M)
    for one in dict.fromkeys(commands):  # what each says of itself
        done = subprocess.run([command, one, "--help"], capture_output=True, text=True)
        text += done.stdout
    options = re.findall(r"(?<![\w-])--[a-z][\w-]*", text)
    if not options:
        raise SystemExit(f"{command} --help names no option")
    return list(dict.fromkeys(commands)), sorted(set(options))


def main():
    """Writes the three files of each command."""
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    for command in sys.argv[2:]:
        name = os.path.basename(command)
        commands, options = read_usage(command)
        values = {
            "name": name,
            "word": re.sub(r"\W", "_", name),
            "count": len(commands),
            "commands": " ".join(commands),
            "options": " ".join(options),
        }
        fish = FISH.format(**values)
        fish += "".join(FISH_COMMAND.format(name=name, one=one) for one in commands)
        fish += "".join(FISH_OPTION.format(name=name, one=one[2:]) for one in options)
        texts = {f"{name}.bash": BASH.format(**values), f"_{name}": ZSH.format(**values)}
        texts[f"{name}.fish"] = fish
        for file_name, text in texts.items():
            with open(os.path.join(out, file_name), "w", encoding="utf-8") as file:
                file.write(text)


if __name__ == "__main__":
    main()
