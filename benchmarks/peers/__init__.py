"""Other programs' speed and quality beside ours, on the same rows, in one run.

`python -m benchmarks.peers --help`. Peers live in environments of their own under
`.peers/`, made when first needed; none of them is a dependency.
"""
