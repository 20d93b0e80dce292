"""Lab: search and its price (survey arXiv 2407.11511). What do more rationales per question buy?

    pool.py      the rationales that a student wrote for each test question, and their marks
    choose.py    one answer out of several: a vote, the likeliest, a check, a verifier, an oracle
    verifier.py  a verifier trained on the student's own right and wrong rationales
    ways.py      other ways to write: no rationale, demonstrations, repair, a beam over steps
    study.py     all of it for a student before and after a round, at its price in tokens
    explorer.py  a figure with a menu for the student and a slider for the samples
    lab.py       the measures of a seed, and the bars of the held seeds
"""
