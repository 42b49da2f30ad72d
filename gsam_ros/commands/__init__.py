"""The subcommands of `gsam`, one module each; `common`, `scoring` and `model_options` are shared.

A module offers `ABOUT`, one line of help; `add_arguments(parser)`; and `run(options)`, which
returns the exit status. It imports what it needs when it runs, since torch alone takes longer to
load than `gsam --help` may. A new one is added to the table in `gsam_ros.cli`; `evaluate_world` and
`train_demo` are reached through `cli` and `train`.
"""
