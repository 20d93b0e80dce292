"""Tailored learning itself: the part to read. Other rooms make it fast, guard it or show it.

Read in this order; each module stands beside a notebook of its own:

    records, config       what flows between the steps, and every setting
    protocols, parts      the seams: what a lab may replace
    prompts, grading      how a student is asked, and how its answer is read
    exam                  problems → samples, mistakes
    lessons               mistakes → teacher → verified lessons
    items                 lessons and mistakes → training items
    losses, training      L = L_lm + λ·L_cl, and one round of it
    student, writing      the model with its adapter, and how it writes
    rounds, stages        `Loop`: exam, feedback, train, evaluate, again
    runfolder             every step as JSON Lines

Nothing here imports from another room of l2r_lite.
"""
