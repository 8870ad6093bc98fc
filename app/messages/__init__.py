"""Messages to creators: merge tags, rendering, delivery."""
