"""Pages that stand for themselves: HTML with its pictures, charts and formulas inside, asking for no other file."""
