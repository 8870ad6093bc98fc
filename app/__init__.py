"""Tracking links for creator campaigns, self-hosted, with a graph for an API."""
