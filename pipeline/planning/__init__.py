"""What a budget should buy, according to a fitted law: the parts behind ``pipeline.plan``."""
