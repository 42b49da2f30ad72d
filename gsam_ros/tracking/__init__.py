"""SAM 2 as a stream: memory, propagation, association, the life of a track.

segmenters/        SAM 2 through each model package, batched over objects
memory             what is kept of an object
propagation        the masks of all tracks of all cameras in one go
track              one object and the rules of its life
keyframe           which detection is which track
camera_tracks      the tracks of one camera
tracker            all cameras
"""
