# To be sourced (`. scripts/env.sh`) from the repository's root: puts the virtual environment, its
# ROS 2 and the Fast DDS profile into this shell. A sourced ROS 2 installation stays in front.
GSAM_VENV="${GSAM_VENV:-$PWD/.venv}"
export GSAM_VENV
export VIRTUAL_ENV="$GSAM_VENV"
export PATH="$GSAM_VENV/bin:$PATH"
export AMENT_PREFIX_PATH="${AMENT_PREFIX_PATH:+$AMENT_PREFIX_PATH:}$GSAM_VENV"
export CMAKE_PREFIX_PATH="${CMAKE_PREFIX_PATH:+$CMAKE_PREFIX_PATH:}$GSAM_VENV"
export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$GSAM_VENV/lib"

# The ROS 2 wheels start every Python twice to set LD_LIBRARY_PATH; it is set now, for this
# environment and no other.
for libraries in "$GSAM_VENV"/lib/python3*/site-packages/ros_*.libs; do
    [ -d "$libraries" ] && LD_LIBRARY_PATH="$LD_LIBRARY_PATH:$libraries"
done
export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1

# Best-effort camera images do not fit through Fast DDS's default shared memory: see the profile.
export FASTDDS_DEFAULT_PROFILES_FILE="${FASTDDS_DEFAULT_PROFILES_FILE:-$PWD/config/fastdds.xml}"
export FASTRTPS_DEFAULT_PROFILES_FILE="$FASTDDS_DEFAULT_PROFILES_FILE"
export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-SYSTEM_DEFAULT}"
