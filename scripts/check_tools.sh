#!/bin/sh
# Name every tool that the set-up lacks, with the command that installs it.
# Prints the path of the Python to use (3.10 to 3.12; PYTHON chooses one) when nothing is missing.
set -u
missing=0

lacks() { # what is missing, the command that installs it
    echo "missing: $1" >&2
    echo "    install it with: $2" >&2
    missing=1
}

supported() { # a Python of a supported version
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null
}

python=""
for candidate in ${PYTHON:-python3 python3.12 python3.11 python3.10}; do
    if command -v "$candidate" >/dev/null 2>&1 && supported "$candidate"; then
        python=$(command -v "$candidate")
        break
    fi
done

if [ -z "$python" ]; then
    found=$("${PYTHON:-python3}" -V 2>/dev/null || echo none)
    lacks "Python 3.10, 3.11 or 3.12 (found: $found)" \
        "sudo apt install python3 python3-venv python3-dev; or name one: make setup PYTHON=/path/to/python3.12"
else
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        lacks "the venv module of $python" "sudo apt install python$version-venv"
    "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' ||
        lacks "the C headers of $python (Python.h)" "sudo apt install python$version-dev"
fi
command -v "${CXX:-c++}" >/dev/null 2>&1 || command -v g++ >/dev/null 2>&1 ||
    lacks "a C++ compiler" "sudo apt install g++"
command -v "${CC:-cc}" >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 ||
    lacks "a C compiler" "sudo apt install gcc"
command -v cmake >/dev/null 2>&1 || lacks "cmake" "sudo apt install cmake"
if [ -z "${ROS_DISTRO:-}" ] && [ "$(uname -m)" != x86_64 ]; then
    lacks "ROS 2: wheels of it exist for x86_64 only, this is $(uname -m)" \
        "see https://docs.ros.org/en/jazzy/Installation.html, then source its setup.bash"
fi

[ "$missing" = 0 ] && echo "$python"
exit "$missing"
