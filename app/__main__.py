"""``python -m app`` is the `tracklinks` command."""

from app.cli import main

main()
