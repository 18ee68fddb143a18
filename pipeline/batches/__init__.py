"""How batch size trades steps for tokens: curves of one size at several batch sizes, and fronts."""
