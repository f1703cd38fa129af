"""The command line: `main` is the program `rafm-bench`, one module per subcommand."""

from rafm_bench.cli.program import main as main
