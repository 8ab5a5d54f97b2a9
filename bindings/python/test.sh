#!/bin/bash
# Tests of the Python binding: under /usr/bin/python3, and under the python3 of PATH if that is another one.
# PREFIX is where the library is installed. Nothing is written but beneath a temporary directory.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd /
scratch=$(mktemp -d "${TMPDIR:-/tmp}/sandlock-python-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
export TMPDIR=$scratch HOME=$scratch PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here
export SANDLOCK_LIBRARY=${PREFIX:?the prefix that the library is installed in}/lib/libsandlock.so.0

real() { "$1" -c 'import sys; print(sys.version_info[:3], sys.base_prefix)' 2>/dev/null; }
system=/usr/bin/python3
pythons=("$system")
other=$(command -v python3)
if [ -n "$other" ] && [ "$(real "$other")" != "$(real "$system")" ] && [ -n "$(real "$other")" ]; then
    pythons+=("$other")
fi

status=0
for python in "${pythons[@]}"; do
    "$python" -c 'import sys; print("#", *sys.version.split()[:1], sys.executable)'
    timeout -k 5 120 "$python" "$here/tests/run.py" </dev/null || status=1
    "$here/../scenarios.sh" python "$python" "$here/tests/scenarios" || status=1
done
exit "$status"
