"""The pocket world (generated word problems) and the pocket student, pretrained on part of it."""
