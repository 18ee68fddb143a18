"""What a finished study shows: its tables and fits, and what figures and claims read off them."""
