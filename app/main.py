"""The one place that knows every part: puts them together into an application.

DESIGN
------
The redirect stands first, in an outer router without middleware, so that nothing added for
the graph or the pages can slow down or break a click. Everything else is behind it.
"""
