"""The desk: where reviewers rate. Everything that talks to Argilla, and nothing else does."""
