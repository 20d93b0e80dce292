"""The pocket world (generated word problems) and the pocket student (a small LM that we pretrained on part of it)."""
