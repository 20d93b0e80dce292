"""Lab: when help harms (Lehmann et al., arXiv 2409.09047). Answers, explanations and hints.

    doses.py     a student taught with answers alone or with explanations, looked at as it learns
    hints.py     a hint before the explanation: who solves the question, and what it saves
    study.py     both, for one seed
    explorer.py  a menu for the lesson and the step
    lab.py       the measures of a seed, and the bars of the held seeds
"""
