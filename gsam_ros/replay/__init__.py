"""A recording through the running node: player, node and recorder as processes over DDS."""
