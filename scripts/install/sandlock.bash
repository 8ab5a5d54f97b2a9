# bash completion for sandlock(1).

_sandlock_profiles() { # the installed ones, by name
    local binary directory file
    binary=$(type -P "${COMP_WORDS[0]}") || return 0
    directory=${binary%/bin/*}/share/sandlock
    for file in "$directory"/*.toml; do
        [ ! -e "$file" ] || basename "$file" .toml
    done
}

# Completes what comes after the program's name, as that would be completed without sandlock.
_sandlock_program() { # INDEX OF ITS NAME
    if [ "$COMP_CWORD" -gt "$1" ] && declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif [ "$COMP_CWORD" -eq "$1" ]; then
        mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
    fi
}

_sandlock() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} index
    local with_value=" -r --read -w --write --profile --net-allow --net-deny --net-bind --syscall-allow -m --memory -P
        --processes -t --timeout --cpu --env --cwd --report-fd "
    local alone="--clean-env --best-effort --report --report=json --report=table --trace --help --version"
    COMPREPLY=()

    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "run check --help --version" -- "$current")
        return
    fi
    [ "${COMP_WORDS[1]}" = run ] || return 0

    # Where the program begins: the first word that is neither an option nor the value of one. A "=" is a word of its own.
    for ((index = 2; index < COMP_CWORD; index++)); do
        case ${COMP_WORDS[index]} in
            --)
                _sandlock_program $((index + 1))
                return
                ;;
            -*)
                if [ "${COMP_WORDS[index + 1]}" = "=" ]; then
                    index=$((index + 2))
                elif [[ $with_value =~ [[:space:]]"${COMP_WORDS[index]}"[[:space:]] ]]; then
                    index=$((index + 1))
                fi
                ;;
            *)
                _sandlock_program "$index"
                return
                ;;
        esac
    done

    if [ "$previous" = "=" ]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}=
    elif [ "$current" = "=" ]; then
        previous=$previous=
        current=
    fi
    [ "$previous" = "--report=" ] || previous=${previous%=}
    case $previous in
        -r | --read | -w | --write)
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            compopt -o filenames 2>/dev/null
            ;;
        --cwd)
            mapfile -t COMPREPLY < <(compgen -d -- "$current")
            compopt -o filenames 2>/dev/null
            ;;
        --profile)
            mapfile -t COMPREPLY < <(compgen -W "$(_sandlock_profiles)" -- "$current"
                compgen -f -X '!*.toml' -- "$current"
                compgen -d -- "$current")
            compopt -o filenames 2>/dev/null
            ;;
        --env)
            mapfile -t COMPREPLY < <(compgen -e -- "$current")
            ;;
        --report=)
            mapfile -t COMPREPLY < <(compgen -W "json table" -- "$current")
            ;;
        --net-allow | --net-deny)
            mapfile -t COMPREPLY < <(compgen -W "tcp:// udp:// icmp:// unix:/" -- "$current")
            compopt -o nospace 2>/dev/null
            ;;
        *)
            if [[ $with_value =~ [[:space:]]"$previous"[[:space:]] ]]; then
                return
            elif [[ $current == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W "$with_value $alone" -- "$current")
            else
                _sandlock_program "$COMP_CWORD"
            fi
            ;;
    esac
}

complete -F _sandlock sandlock
