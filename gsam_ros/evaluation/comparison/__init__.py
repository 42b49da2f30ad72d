"""Two runs on the same recording: how they differ, and how sure that is."""
