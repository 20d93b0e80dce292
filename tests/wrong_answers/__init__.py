"""Typical wrong answers to the exercises: exercise → (code, a part of the sentence that it must be told)."""
