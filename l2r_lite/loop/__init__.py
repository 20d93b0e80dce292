"""The method, tailored learning: start reading here. Imports no other package of l2r_lite.

Read in this order:

    records, config       the data that flows between steps, and every setting
    protocols, parts      the parts that a lab may replace
    prompts, grading      what the student reads, and how we read its answer
    exam                  problems → samples, mistakes
    lessons               mistakes → teacher → verified lessons
    items                 lessons and mistakes → training items
    losses, training      L = L_lm + λ·L_cl, and one round of it
    student, writing      the model with its adapter, and how it writes
    rounds, stages        `Loop`: exam, feedback, train, evaluate, repeat
    runfolder             every step, saved as JSON Lines
"""
