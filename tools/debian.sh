#!/usr/bin/env bash
# Arguments PROGRAM=PACKAGE: as root, install the Debian packages of programs that are missing; else name them. Never fails,
# since the tests that need a missing program skip and say so.
set -uo pipefail
for pair in "$@"; do
    program=${pair%%=*}
    package=${pair#*=}
    command -v "$program" >/dev/null && continue
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        printf 'installing the Debian package %s for %s\n' "$package" "$program" >&2
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package"; } >/dev/null 2>&1 && continue
    fi
    printf '%s is missing (Debian package %s): the tests that need it will be skipped\n' "$program" "$package" >&2
done
exit 0
