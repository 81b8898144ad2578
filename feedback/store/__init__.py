"""The store: prompts, answers, items, ratings and events of one project, and the snapshots sealed from it."""
