"""Messages between states, answers, and the account of both."""
