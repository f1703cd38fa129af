"""`python -m rafm_bench` is the command line."""

from rafm_bench.cli import main

main()
