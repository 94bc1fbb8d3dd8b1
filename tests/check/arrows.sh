#!/bin/sh
# Includes run one way only, as the layout table of the design says (README.md): each folder's files
# may include the folder itself and those listed for it. Argument: the root of the tree.
set -eu
cd "${1:-$(dirname "$0")/../..}"

allowed() {
    case $1 in
    proto) echo "" ;;
    io) echo "" ;;
    core) echo "proto" ;;
    persist) echo "core proto io" ;;
    shards) echo "proto io core persist" ;;
    shards/main.c) echo "proto io core persist cluster" ;;
    cluster) echo "proto io core persist shards" ;;
    bench) echo "proto io" ;;
    esac
}

# In what is read from stdin, lines "file:number:folder/header.h", says which may not be.
judge() {
    folder=$1
    bad=0
    while IFS=: read -r file number header; do
        may=$(allowed "$file")
        may="$folder ${may:-$(allowed "$folder")}"
        target=${header%%/*}
        case " $may " in
        *" $target "*)
            case $header in
            */*) continue ;;
            esac
            ;;
        esac
        echo "$file:$number: $folder/ may not include \"$header\" (only as \"folder/x.h\", from: $may)"
        bad=1
    done
    return $bad
}

status=0
for folder in proto io core persist shards cluster bench; do
    [ -d "$folder" ] || continue
    # Micro-benchmarks of the parts (bench/micro/) may include anything.
    found=$(find "$folder" \( -name '*.c' -o -name '*.h' \) ! -path 'bench/micro/*' -print0 |
        xargs -0 -r grep -nHE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' |
        sed -E 's/^([^:]*):([0-9]*):[^"]*"([^"]*)".*/\1:\2:\3/')
    [ -n "$found" ] || continue
    echo "$found" | judge "$folder" || status=1
done
exit $status
