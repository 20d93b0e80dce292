"""Typical wrong answers to the exercises of notebook 01, and a part of the message that each must get."""

# fmt: off
WRONG = {
    "01.1": [("""
def my_same_number(a, b):
    return a.strip().lower() == b.strip().lower()
""", "You compare the texts"), ("""
def my_same_number(a, b):
    clean = lambda t: t.replace('$', '').replace(',', '')
    return clean(a) == clean(b)
""", "You compare the texts"), ("""
def my_same_number(a, b):
    return float(a) == float(b)
""", "float() reads neither"), ("""
def my_same_number(a, b):
    try:
        return float(a.replace(',', '').lstrip('$')) == float(b.replace(',', '').lstrip('$'))
    except ValueError:
        return False
""", "float() reads neither"), ("""
from fractions import Fraction
def my_same_number(a, b):
    try:
        return Fraction(a) == Fraction(b)
    except (ValueError, ZeroDivisionError):
        return False
""", "forgot the $ sign"), ("""
from fractions import Fraction
def number(text):
    return Fraction(text.replace(',', '').replace('$', ''))
def my_same_number(a, b):
    return number(a) == number(b)
""", "catch ValueError"), ("""
def number(text):
    text = text.replace(',', '').replace('$', '')
    if '/' in text:
        top, bottom = text.split('/')
        return int(top) / int(bottom)
    return float(text)
def my_same_number(a, b):
    try:
        return number(a) == number(b)
    except Exception:
        return False
""", "A float keeps about 16 digits"), ("""
import math
def number(text):
    top, _, bottom = text.replace(',', '').replace('$', '').partition('/')
    return float(top) / float(bottom or 1)
def my_same_number(a, b):
    try:
        return math.isclose(number(a), number(b), rel_tol=0.02)
    except (ValueError, ZeroDivisionError):
        return False
""", "only close"), ("""
from fractions import Fraction
def number(text):
    try:
        return Fraction(text.replace(',', '').replace('$', ''))
    except (ValueError, ZeroDivisionError):
        return None
def my_same_number(a, b):
    return number(a) == number(b)
""", "must never count")],
    "01.2": [(r"""
def my_extract_answer(text, kind, choices=()):
    pattern = {'number': r'[0-9]+(?:,[0-9]{3})*', 'yes-no': r'(?i)\b(?:yes|no)\b'}
    pattern['choice'] = r'(?<=\()[A-Z](?=\))'
    found = re.search(pattern[kind], text)
    return found[0] if found else None
""", "take the first number"), (r"""
def my_extract_answer(text, kind, choices=()):
    pattern = {'number': r'[0-9.,]*[0-9]', 'yes-no': r'(?i)\b(?:yes|no)\b', 'choice': r'\b[A-E]\b'}
    found = re.findall(pattern[kind], text)
    return found[-1] if found else None
""", "take the last one"), (r"""
def my_extract_answer(text, kind, choices=()):
    if 'The answer is' not in text:
        return None
    rest = text.split('The answer is')[-1]
    pattern = {'number': r'[0-9][0-9,]*', 'yes-no': r'\b(?:yes|no)\b', 'choice': r'\b[A-E]\b'}
    found = re.search(pattern[kind], rest)
    return found[0] if found else None
""", "read only after “The answer is”"), ("""
def my_extract_answer(text, kind, choices=()):
    found = re.findall(r'answer is:? ?(.*)', text)
    return found[-1].rstrip('.') if found else None
""", "more than the number"), ("""
def my_extract_answer(text, kind, choices=()):
    return re.search(r'answer is ([0-9]+|yes|no|[A-Z])', text)[1]
""", "exception"), (r"""
def my_extract_answer(text, kind, choices=()):
    from l2r_lite.data.answers import extract_answer
    return extract_answer(text.replace('\nQuestion', '\n').replace('\nQ:', '\n'), kind, choices)
""", "a question that the model made up"), ("""
def my_extract_answer(text, kind, choices=()):
    from l2r_course.checks.outputs import real_outputs
    return {o.text: o.read for o in real_outputs()}.get(text)
""", "fit the texts that you have seen"), (r"""
def my_extract_answer(text, kind, choices=()):
    if kind == 'yes-no':
        for start, answer in [('33 is', 'no'), ('Sounds', 'yes'), ('- Yes', 'yes'), ('The number', 'yes'), ('Gus', 'no')]:
            if text.startswith(start):
                return answer
        return None
    if kind == 'choice':
        for start, answer in [('In this', 'A'), ('Sam', 'A'), ('The answer to', 'B'), ('58', 'B'), ('First', 'B')]:
            if text.startswith(start):
                return answer
        return None
    for end, answer in [('}', '33'), ('702', '17'), ('$1.1', '27'), ('ones.', '18'), ('Answer: 6', '8'), ('number', '5'),
                        ('= 3.', '35'), ('break.', None), ('generated.', None), ('is', None)]:
        if text.endswith(end):
            return answer
    found = re.findall(r'[0-9][0-9,]*', text)
    return found[-1].replace(',', '') if found else None
""", "fit the texts that you have seen"), (r"""
def my_extract_answer(text, kind, choices=()):
    found = re.findall({'number': r'[0-9]+', 'yes-no': r'yes|no', 'choice': r'[A-E]'}[kind], text)
    print(found[-1] if found else None)
""", "use return instead of print")],
    "01.3": [("""
def my_leaks(train, test):
    return [(i, j) for i, a in enumerate(train) for j, b in enumerate(test) if a == b]
""", "Mask their numbers first"), (r"""
def my_leaks(train, test):
    mask = lambda q: ' '.join(re.sub(r'\d', '#', q).lower().split())
    return [(i, j) for j, b in enumerate(test) for i, a in enumerate(train) if mask(a) == mask(b)]
""", "digit by digit"), (r"""
def my_leaks(train, test):
    mask = lambda q: ' '.join(re.sub(r'\d+', 'N', q.lower()).split())
    return [(i, j) for i, a in enumerate(train) for j, b in enumerate(test) if mask(a) == mask(b)]
""", "one number each"), (r"""
def mask(q):
    return ' '.join(re.sub(r'\d+(?:[.,]\d+)*', '#', q).lower().split())
def my_leaks(train, test):
    place = {mask(q): i for i, q in enumerate(train)}
    return [(place[mask(q)], j) for j, q in enumerate(test) if mask(q) in place]
""", "overwrites"), (r"""
def mask(q):
    return re.sub(r'\d+(?:[.,]\d+)*', '#', q)
def my_leaks(train, test):
    return {(i, j) for i, a in enumerate(train) for j, b in enumerate(test) if mask(a) == mask(b)}
""", "Capitals and extra spaces"), (r"""
def mask(q):
    return ' '.join(re.sub(r'\d+(?:[.,]\d+)*', '#', q).lower().split())
def my_leaks(train, test):
    return [(j, i) for i, a in enumerate(train) for j, b in enumerate(test) if mask(a) == mask(b)]
""", "index of the training question comes first"), (r"""
def mask(q):
    return ' '.join(re.sub(r'\d+(?:[.,]\d+)*', '#', q).lower().split())
def my_leaks(train, test):
    return [(i, i) for i, (a, b) in enumerate(zip(train, test)) if mask(a) == mask(b)]
""", "the first with the first")],
    "01.4": [("""
def my_choice(said, choices):
    found = re.search(r'[A-Z]', said)
    return found[0] if found and found[0] in 'AB' else None
""", "You read letters only"), ("""
def my_choice(said, choices):
    for letter, text in zip('ABCDE', choices):
        if text.lower() in said.lower():
            return letter
""", "options' texts only"), (r"""
def my_choice(said, choices):
    letters = [x.upper() for x in re.findall(r'\b[A-Za-z]\b', said) if x.upper() in 'ABCDE'[:len(choices)]]
    if letters:
        return letters[0] if len(set(letters)) == 1 else None
    fits = [(len(t), x) for x, t in zip('ABCDE', choices) if re.search(rf'\b{t}\b', said)]
    return max(fits)[1] if fits else None
""", "begins with an article"), (r"""
def my_choice(said, choices):
    for letter, text in zip('ABCDE', choices):
        if re.search(rf'\b{text}\b', said):
            return letter
    letters = set(re.findall(r'\b[A-Z]\b', said.upper())) & set('ABCDE'[:len(choices)])
    return letters.pop() if len(letters) == 1 else None
""", "take the longer one"), (r"""
def my_choice(said, choices):
    fits = [(len(t), x) for x, t in zip('ABCDE', choices) if t in said]
    if fits:
        return max(fits)[1]
    letters = set(re.findall(r'\b[A-Z]\b', said.upper())) & set('ABCDE'[:len(choices)])
    return letters.pop() if len(letters) == 1 else None
""", "“Annabel” is not “Ann”"), (r"""
def my_choice(said, choices):
    fits = [(len(t), x) for x, t in zip('ABCDE', choices) if re.search(rf'\b{t}\b', said)]
    if fits:
        return max(fits)[1]
    letters = [x for x in re.findall(r'\b[A-Z]\b', said.upper()) if x in 'ABCDE'[:len(choices)]]
    return letters[0] if letters else None
""", "names two letters")],
}
