"""How it is answered: plain async functions over a session, one file for each noun."""
