"""Tailored learning itself: the part to read. It imports no other package of l2r_lite.

Read in this order:

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
"""
