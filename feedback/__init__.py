"""What people said about a model's answers, and what is concluded from it."""
