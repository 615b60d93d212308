# Completes the last item of a list, and FORMAT=FILE, which readline splits at the sign.
_portmuster_words() {
    local cur="$2" prev="$3" list="" index
    if [[ $prev == "=" ]]; then
        prev="${COMP_WORDS[COMP_CWORD-2]}"
    elif [[ $cur == "=" ]]; then
        cur=""
        prev="${COMP_WORDS[COMP_CWORD-1]}"
    fi
    if [[ $cur == *,* ]]; then
        list="${cur%,*},"
    fi
    _portmuster "$1" "${cur##*,}" "$prev"
    if [[ -n $list ]]; then
        for index in "${!COMPREPLY[@]}"; do
            COMPREPLY[index]="$list${COMPREPLY[index]}"
        done
    fi
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace 2> /dev/null
    fi
}

