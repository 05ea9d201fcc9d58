"""The composition root: the only place that reads configuration, builds parts and joins them.

One module per group of verbs. Each function takes plain values and returns a frozen dataclass.
"""
