"""Typical wrong answers to the exercises: exercise → (code, a part of the message that it must get)."""
