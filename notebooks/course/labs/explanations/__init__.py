"""Lab 13: explanations of a student's errors, and what is left of them on fresh questions.

    sentences.py  explanations that can be executed: sentences about a question, true or false
    explainer.py  who proposes them: a script, or an LLM through the Teacher interface
    validity.py   V(h) as seen, verified and on future questions; shuffled labels
    prediction.py the baseline: a table of errors by skill, against one sentence
    pairs.py      minimal pairs: is what predicts an error also its cause?
    repair.py     the named step repaired, against rewriting without it
    lab.py        the stages of one seed, the measures, and the bars
"""
