"""Training on shards of the data, side by side in rounds, here or on a Dask cluster.

The rows are cut into N shards. In a round every shard starts from the same state (the
parameters and what the optimizer keeps), trains on its next `round_rows` rows, and
gives back the new values of the features that it saw. They are merged feature by
feature, c_si being the rows of shard s in this round that have feature i:

    v_i <- sum_s c_si v_i^s / sum_s c_si

the mean of the shards that saw the feature, weighted by how often they did: a feature
that one shard saw takes that shard's value whole. What AdaGrad's sums gain is divided
by the effective number of those shards, (sum c)^2 / sum c^2, to the power 1.5: a mean
of N shards moves N times less than N steps one after another, so steps stay longer.
Measured beside plain averaging, and beside adding up all changes, which diverges.

Which process trains a shard, and how often it had to be done, changes no bit.
"""
