"""Tell a robot in words what to look for, and it sees it.

Camera images and prompts go in; tracked, named, segmented objects come out.
"""

# The source tree runs against installed messages: `gsam_ros.msg` and `gsam_ros.srv` are generated
# into the installation, the modules beside this file come from wherever they were imported first.
__path__ = __import__("pkgutil").extend_path(__path__, __name__)
__version__ = "0.1.0"
