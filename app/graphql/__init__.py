"""GraphQL over HTTP: transport, and what is refused before anything runs."""
