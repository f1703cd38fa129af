"""Experiments of the RaFM paper, run again on the data at hand, told as they are."""
