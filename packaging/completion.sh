#!/bin/sh
# Makes the completion of kleroctl for a shell from the usage that the program itself prints, so
# that the two cannot disagree.
#
#	kleroctl --help | packaging/completion.sh bash|zsh
#
# Completed are the words of the commands, as far as they are fixed, and file names elsewhere.
set -eu

# One line a command: its fixed words, at most two ("admin create").
commands=$(sed -n 's/.*kleroctl \[-c FILE\] \[-L FOLDER\] //p' |
	awk '{ line = ""; for (i = 1; i <= NF && $i ~ /^[a-z-]+$/; i++) line = line (i > 1 ? " " : "") $i; print line }')
[ -n "$commands" ] || { echo "completion: no command on standard input" >&2; exit 1; }
first=$(echo "$commands" | cut -d' ' -f1 | sort -u | tr '\n' ' ' | sed 's/ $//')

# "word) second third ;;" for each first word that has a second
cases() {
	for f in $first; do
		second=$(echo "$commands" | sed -n "s/^$f \(.*\)/\1/p" | awk '!n[$0]++' | tr '\n' ' ' | sed 's/ $//')
		[ -z "$second" ] || printf '\t%s) words="%s" ;;\n' "$f" "$second"
	done
}

bash_completion() {
	cat <<-END
	# Completion of kleroctl for bash; made from kleroctl --help.
	_kleroctl()
	{
	    local cur=\${COMP_WORDS[COMP_CWORD]} words="" seen="" i
	    COMPREPLY=()
	    for ((i = 1; i < COMP_CWORD; i++)); do
	        case \${COMP_WORDS[i]} in
	            -c | -L) ((++i)); ((i < COMP_CWORD)) || { compopt -o default; return; } ;;
	            -*) ;;
	            *) seen="\$seen\${COMP_WORDS[i]} " ;;
	        esac
	    done
	    case \$seen in
	        "") words="-c -L --help --version $first" ;;
	$(cases | sed 's/^\t\([^)]*\)/        "\1 "/')
	        *) compopt -o default; return ;;
	    esac
	    while IFS= read -r i; do COMPREPLY+=("\$i"); done < <(compgen -W "\$words" -- "\$cur")
	}
	complete -F _kleroctl kleroctl
	END
}

zsh_completion() {
	cat <<-END
	#compdef kleroctl
	# Completion of kleroctl for zsh; made from kleroctl --help.
	local curcontext="\$curcontext" state words_of="" line
	_arguments -C '-c[configuration]:file:_files' '-L[programs of the roles]:folder:_files -/' \\
	    '--help[print the usage]' '--version[print the version]' \\
	    '1:command:($first)' '*::argument:->rest' && return
	[[ \$state = rest ]] || return
	if ((CURRENT == 2)); then
	    case \$words[1] in
	$(cases | sed 's/^\t/        /; s/words=/words_of=/')
	    esac
	fi
	if [[ -n \$words_of ]]; then
	    compadd -- \${=words_of}
	else
	    _files
	fi
	END
}

case ${1-} in
bash) bash_completion ;;
zsh) zsh_completion ;;
*) echo "usage: kleroctl --help | completion.sh bash|zsh" >&2; exit 2 ;;
esac
