"""Results against the truth: figures, comparisons, pictures and reports. Needs no ROS.

Each of these uses those before it:

    objects         what a bag says of one frame
    run_results     what a run left
    pairing         truth and answers side by side, frame by frame
    metrics/        average precision, HOTA, J&F, timing
    truths/         bags, COCO, MOTChallenge and MOTS as truth
    run_score       all figures of one run
    comparison/     two runs, with intervals
    pictures/       contact sheet, timeline, annotated video
    pages/          reports as HTML
    run_pictures    all of these of one run
"""
