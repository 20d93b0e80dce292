"""How a student is loaded, made fast, and run on a server or on several devices."""
