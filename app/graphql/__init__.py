"""The graph's edge: from bytes on a socket to an operation, and back. It knows no noun of ours.

view ── http · websocket      one endpoint, three transports: what may come in, what goes out
  │
runner                        any transport's request → results, limited, timed and masked
  │
documents ── limits · cost    a text is parsed, checked, validated and priced once
  │
errors · rate_limits          what a client reads when it can't have what it asked for
"""
