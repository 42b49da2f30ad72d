"""SAM 2 as a stream: memory, propagation, association, the life of a track."""
