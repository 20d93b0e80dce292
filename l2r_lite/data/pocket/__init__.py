"""The pocket world (generated word problems) and the pocket student, pretrained on a part of it."""
