"""Preferences become a promoted model: the stages, the evaluation, the gates and the round."""
