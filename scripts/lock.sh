#!/bin/sh
# Resolve requirements/*.txt to one version of every package for all supported Pythons.
set -eu
cd "$(dirname "$0")/.."
command -v uv >/dev/null || { echo "uv is missing. Install it with: pip install uv" >&2; exit 1; }
{
    echo "# Made by \`make lock\`: one version of every package, as constraints for pip."
    uv pip compile --quiet --universal --python-version 3.10 --no-header --no-annotate \
        --upgrade --constraint requirements/pins.txt requirements/core.txt \
        requirements/sam2.txt requirements/dev.txt requirements/build.txt
} > requirements/lock.txt.new
mv requirements/lock.txt.new requirements/lock.txt
