#!/usr/bin/env bash
# Wheel and sdist as a user gets them: built twice in different places with equal hashes, the wheel installed in an empty
# environment with the locked dependencies, and used there; its pages are looked at without a network. Leaves both in dist/. Needs
# `make check` to have set up .venv, and Chromium.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
python=${PYTHON:-.venv/bin/python}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The time of the last commit stands in the archives in place of the time of the build.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

build() { # where, and under which umask and time zone
    mkdir -p "$work/$1"
    git ls-files -z | xargs -0 cp --parents -t "$work/$1"
    (cd "$work/$1" && umask "$2" && TZ=$3 "$root/$python" -m hatchling build -d "$work/out-$1" >/dev/null)
    (cd "$work/out-$1" && sha256sum -- *)
}
first=$(build one 022 UTC)
second=$(build another/place 077 Asia/Tokyo)
if [ "$first" != "$second" ]; then
    printf 'Two builds of one commit differ:\n%s\n%s\n' "$first" "$second" >&2
    exit 1
fi
echo "$first"
mkdir -p dist && cp "$work/out-one/"* dist/

"$python" -m venv "$work/empty"
new="$work/empty/bin"
"$new/python" -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements.lock
"$new/python" -m pip --disable-pip-version-check --quiet install --no-deps --no-index "$work/out-one/"*.whl
"$new/python" -m pip --disable-pip-version-check check

cd "$work" # away from the sources
unset PYTHONPATH
cat >earlywarning.toml <<'TOML'
[municipality]
code = "0380"
name = "Uppsala"
TOML
when=$(date -u -d yesterday +%Y-%m-%dT12:00:00Z)
echo '{"kind":"report","event_id":"1","source":"parks","category":"LIGHTING","municipality":"0380","area":"0380","occurred_at":"'"$when"'","recorded_at":"'"$when"'"}' >one.jsonl
"$new/earlywarning" --version
"$new/earlywarning" settings check earlywarning.toml
"$new/earlywarning" ingest one.jsonl --settings earlywarning.toml
"$new/earlywarning" counts --settings earlywarning.toml --first "${when%T*}" --format csv | grep -q ',1$'
"$new/python" -c 'import earlywarning, sys; sys.exit(sys.prefix not in earlywarning.__file__)'
"$root/$python" "$root/deploy/check_offline.py" "$new/earlywarning" "$work"
echo "The wheel works in an empty environment."
