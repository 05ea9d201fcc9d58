"""A holder at work: the processes that hold shares and answer a coordinator."""
