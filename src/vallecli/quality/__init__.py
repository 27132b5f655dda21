"""How good speech is: what was heard, how like the prompt it sounds, and a page to listen to it."""
