"""Other people's clients, each in an environment of its own, driving this server: `make clients`.

Nothing here is imported by the tests. `story` is what every client has to get done, `stage` is what it is given, and
each `with_...` is one client's program. They import only their own client and the standard library.
"""
