"""Labs: one neighbour of the method per sub-package, and what they share.

    arms.py    a fresh adapter, log probabilities, token counts, begun rationales
    story.py   the people, things and numbers of a pocket problem, and the problem told again
    kept.py    finished stages of a lab in a folder, so that an interrupted lab resumes
    held.py    measures per seed against bars that were set on other seeds

`python -m l2r_course.labs NAME` measures a lab on its held seeds (__main__.py).
"""
