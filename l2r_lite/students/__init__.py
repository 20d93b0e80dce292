"""Load a student, make it fast, and run it on a server or on several devices."""
