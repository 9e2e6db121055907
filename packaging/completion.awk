# Reads `kleroctl --commands`; writes shell functions that say what may come at a place, and around
# them the few lines with which bash or zsh asks. Started by completion.sh.
#
# In both shells: $at is the command so far ("key rotate"), $before the option that stands before
# the cursor or "", $place the number of the argument. They answer in $found: words, and the marks
# <file> and <folder>.

$1 == "command" {
	command[++commands] = $2
	split($2, w, " ")
	if (!(w[1] in second)) {
		first = first " " w[1]
		second[w[1]] = ""
	}
	if (w[2] != "")
		second[w[1]] = second[w[1]] " " w[2]
}
$1 == "option" {
	options[$2] = options[$2] " " $3
	if ($4 != "")
		takes = takes "\t    \"" $2 " " $3 "\") found=\"" $5 "\" ;;\n"
	if ($4 != "")
		valued = valued " " $3
}
$1 == "argument" {
	n = ++arguments[$2]
	place = place "\t    \"" $2 " " n "\"" ($4 == "many" ? " | \"" $2 " \"*" : "") ") found=\"" $5 "\" ;;\n"
}

function core(    f) {
	print "# What may come: the answer is in $found."
	print "_kleroctl_found()"
	print "{"
	print "    found=\"\""
	print "    case $at in"
	print "    \"\") found=\"-c -L --help --version --commands" first "\"; return ;;"
	for (f in second)
		if (second[f] != "")
			sorted[++sorts] = f
	for (i = 1; i <= sorts; i++)
		print "    " sorted[i] ") found=\"" substr(second[sorted[i]], 2) "\"; return ;;"
	print "    esac"
	print "    if [ -n \"$before\" ]; then"
	print "\tcase \"$at $before\" in"
	printf "%s", takes
	print "\tesac"
	print "\treturn"
	print "    fi"
	print "    case \"$at $place\" in"
	printf "%s", place
	print "    esac"
	print "    case $at in"
	for (i = 1; i <= commands; i++)
		print "    \"" command[i] "\") found=\"$found" options[command[i]] "\" ;;"
	print "    esac"
	print "}"
	print ""
	print "# Where the cursor is, by the words before it."
	print "_kleroctl_where()"
	print "{"
	print "    local word"
	print "    at=\"\" before=\"\" place=1"
	print "    for word in \"$@\"; do"
	print "\tif [ -n \"$before\" ]; then before=\"\"; continue; fi"
	print "\tcase $word in"
	print "\t-c | -L) before=$word; continue ;;"
	print "\t-?*)"
	print "\t    case \"" valued " \" in *\" $word \"*) before=$word ;; esac"
	print "\t    continue ;;"
	print "\tesac"
	print "\tcase $at in"
	print "\t\"\") at=$word ;;"
	printf "\t"
	for (i = 1; i <= sorts; i++)
		printf "%s%s", (i > 1 ? " | " : ""), sorted[i]
	print ") at=\"$at $word\" ;;"
	print "\t*) place=$((place + 1)) ;;"
	print "\tesac"
	print "    done"
	print "}"
	print ""
}

function bash() {
	print "# Completion of kleroctl for bash; made from kleroctl --commands."
	core()
	print "_kleroctl()"
	print "{"
	print "    local at before place found word cur=${COMP_WORDS[COMP_CWORD]}"
	print "    COMPREPLY=()"
	print "    _kleroctl_where \"${COMP_WORDS[@]:1:COMP_CWORD-1}\""
	print "    case $before in -c) found=\"<file>\" ;; -L) found=\"<folder>\" ;; *) _kleroctl_found ;; esac"
	print "    case \" $found \" in"
	print "    *\" <file> \"*) compopt -o filenames 2>/dev/null; while IFS= read -r word; do COMPREPLY+=(\"$word\"); done < <(compgen -f -- \"$cur\") ;;"
	print "    *\" <folder> \"*) compopt -o filenames 2>/dev/null; while IFS= read -r word; do COMPREPLY+=(\"$word\"); done < <(compgen -d -- \"$cur\") ;;"
	print "    esac"
	print "    found=${found/<file>/} found=${found/<folder>/}"
	print "    while IFS= read -r word; do COMPREPLY+=(\"$word\"); done < <(compgen -W \"$found\" -- \"$cur\")"
	print "}"
	print "complete -F _kleroctl kleroctl"
}

function zsh() {
	print "#compdef kleroctl"
	print "# Completion of kleroctl for zsh; made from kleroctl --commands."
	core()
	print "_kleroctl()"
	print "{"
	print "    local at before place found"
	print "    local -a answer"
	print "    _kleroctl_where \"${(@)words[2,CURRENT-1]}\""
	print "    case $before in -c) found=\"<file>\" ;; -L) found=\"<folder>\" ;; *) _kleroctl_found ;; esac"
	print "    answer=(${=found})"
	print "    [[ ${answer[(I)<file>]} -gt 0 ]] && _files"
	print "    [[ ${answer[(I)<folder>]} -gt 0 ]] && _files -/"
	print "    answer=(${answer:#<*>})"
	print "    ((${#answer})) && compadd -- $answer"
	print "}"
	print "_kleroctl \"$@\""
}

END {
	if (commands == 0) {
		print "completion: no command on standard input" > "/dev/stderr"
		exit 1
	}
	if (shell == "bash")
		bash()
	else
		zsh()
}
