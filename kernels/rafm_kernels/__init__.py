"""Arrays in, arrays out: rank layouts, parameters, losses, optimizers and backends."""
