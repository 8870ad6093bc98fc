"""From a redirect to a number: the click path, without ORM or graph."""
