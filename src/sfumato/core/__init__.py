"""The engine: levels, estimates, views, samplers and the loop. Torch only, and no networks.

The one kind of file that it reads is a permutation of pixels that a user gives as a view.
"""
