"""airspeed velocity suites: `make bench`."""
