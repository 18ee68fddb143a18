"""Stage 2, training: the step, data order, schedules, evaluation, checkpoints, finished runs."""
