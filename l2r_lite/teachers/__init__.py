"""Who answers mistakes: a script, a recording, an OpenAI-compatible endpoint."""
