"""How batch size trades steps for tokens: curves of one size at several batch sizes, and fronts."""

LEAST_BATCHES = 4  # of a front: two fix the curve, and two tell whether it is the right one
HELD = ("constant", "wsd")  # schedules that hold the peak rate from the warmup to a cooldown
