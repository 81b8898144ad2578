"""What keeps people out of harm: personal data is masked, and doubtful texts are pointed out."""
