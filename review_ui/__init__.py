"""What a person opens: the review workspace, the console, the demo and the command line."""
