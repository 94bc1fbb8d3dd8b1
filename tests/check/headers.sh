#!/bin/sh
# Every header compiles alone, first in its file. Arguments: the root of the tree, the compiler.
set -eu
cd "${1:-$(dirname "$0")/../..}"
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- cc

status=0
for header in $(find proto io core persist shards cluster bench -name '*.h' 2>/dev/null | sort); do
    if ! printf '#include "%s"\n' "$header" | "$@" -std=gnu11 -D_GNU_SOURCE \
        '-DASHLAR_VERSION="check"' -Wall -Wextra -Wstrict-prototypes -Wno-unused-parameter \
        -Wno-missing-field-initializers -Werror -I. -fsyntax-only -x c -; then
        echo "$header does not compile alone"
        status=1
    fi
done
exit $status
