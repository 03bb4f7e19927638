#!/usr/bin/env bash
# Create the virtual environment $1 with PYTHON and install the project in it, at the versions of constraints.txt.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:?usage: tools/setup.sh VENV}
python=${PYTHON:-python3.11}

say() { printf 'setup: %s\n' "$*" >&2; }

if ! command -v "$python" >/dev/null; then
    say "no Python found; install Python 3.11 or name one: make PYTHON=/path/to/python3.11"
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    say "$python is $("$python" -V 2>&1), and 3.11 or newer is needed: make PYTHON=/path/to/python3.11"
    exit 1
fi

usable() { "$venv/bin/python" -m pip --version >/dev/null 2>&1; }

# Debian's Python brings neither ensurepip nor venv: they are in a package of their own.
if ! usable && ! { "$python" -m venv "$venv" && usable; }; then
    package="python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        say "installing $package"
        apt-get update -qq || true
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package"
    else
        say "$python cannot make virtual environments; as root: apt-get install $package"
        exit 1
    fi
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi

say "installing into $venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
