"""Two commits against each other, and pages of what the suites of benchmarks/ found."""
