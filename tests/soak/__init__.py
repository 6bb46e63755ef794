"""Long runs against the whole application: `python -m soak --tasks 10000` and `python -m soak --fuzz 5000`.

The suite runs the same code in short.
"""
