"""Wrong answers to the exercises of notebook 01, as a reader would write them, and what each must be told."""

WRONG = {
    "01.1": [
        ("def my_same_number(a, b):\n    return a.strip().lower() == b.strip().lower()\n", "You compare the texts"),
        (
            "def my_same_number(a, b):\n"
            "    clean = lambda t: t.replace('$', '').replace(',', '')\n"
            "    return clean(a) == clean(b)\n",
            "You compare the texts",
        ),
        ("def my_same_number(a, b):\n    return float(a) == float(b)\n", "float() reads neither"),
        (
            "def my_same_number(a, b):\n"
            "    try:\n        return float(a.replace(',', '').lstrip('$')) == float(b.replace(',', '').lstrip('$'))\n"
            "    except ValueError:\n        return False\n",
            "float() reads neither",
        ),
        (
            "from fractions import Fraction\n"
            "def my_same_number(a, b):\n"
            "    try:\n        return Fraction(a) == Fraction(b)\n"
            "    except (ValueError, ZeroDivisionError):\n        return False\n",
            "forgot the $ sign",
        ),
        (
            "from fractions import Fraction\n"
            "def number(text):\n    return Fraction(text.replace(',', '').replace('$', ''))\n"
            "def my_same_number(a, b):\n    return number(a) == number(b)\n",
            "catch ValueError",
        ),
        (
            "def number(text):\n"
            "    text = text.replace(',', '').replace('$', '')\n"
            "    if '/' in text:\n        top, bottom = text.split('/')\n        return int(top) / int(bottom)\n"
            "    return float(text)\n"
            "def my_same_number(a, b):\n"
            "    try:\n        return number(a) == number(b)\n    except Exception:\n        return False\n",
            "A float keeps about 16 digits",
        ),
        (
            "import math\n"
            "def number(text):\n"
            "    top, _, bottom = text.replace(',', '').replace('$', '').partition('/')\n"
            "    return float(top) / float(bottom or 1)\n"
            "def my_same_number(a, b):\n"
            "    try:\n        return math.isclose(number(a), number(b), rel_tol=0.02)\n"
            "    except (ValueError, ZeroDivisionError):\n        return False\n",
            "only close",
        ),
        (
            "from fractions import Fraction\n"
            "def number(text):\n"
            "    try:\n        return Fraction(text.replace(',', '').replace('$', ''))\n"
            "    except (ValueError, ZeroDivisionError):\n        return None\n"
            "def my_same_number(a, b):\n    return number(a) == number(b)\n",
            "must never count as right",
        ),
    ],
    "01.2": [
        (
            "def my_extract_answer(text, kind, choices=()):\n"
            "    pattern = {'number': r'[0-9]+(?:,[0-9]{3})*', 'yes-no': r'(?i)\\b(?:yes|no)\\b'}\n"
            "    pattern['choice'] = r'(?<=\\()[A-Z](?=\\))'\n"
            "    found = re.search(pattern[kind], text)\n"
            "    return found[0] if found else None\n",
            "takes the first number",
        ),
        (
            "def my_extract_answer(text, kind, choices=()):\n"
            "    pattern = {'number': r'[0-9.,]*[0-9]', 'yes-no': r'(?i)\\b(?:yes|no)\\b', 'choice': r'\\b[A-E]\\b'}\n"
            "    found = re.findall(pattern[kind], text)\n"
            "    return found[-1] if found else None\n",
            "takes the last one",
        ),
        (
            "def my_extract_answer(text, kind, choices=()):\n"
            "    if 'The answer is' not in text:\n        return None\n"
            "    rest = text.split('The answer is')[-1]\n"
            "    pattern = {'number': r'[0-9][0-9,]*', 'yes-no': r'\\b(?:yes|no)\\b', 'choice': r'\\b[A-E]\\b'}\n"
            "    found = re.search(pattern[kind], rest)\n"
            "    return found[0] if found else None\n",
            "only after “The answer is”",
        ),
        (
            "def my_extract_answer(text, kind, choices=()):\n"
            "    found = re.findall(r'answer is:? ?(.*)', text)\n"
            "    return found[-1].rstrip('.') if found else None\n",
            "keeps what stands around the number",
        ),
        (
            "def my_extract_answer(text, kind, choices=()):\n"
            "    return re.search(r'answer is ([0-9]+|yes|no|[A-Z])', text)[1]\n",
            "exception",
        ),
        (
            "def my_extract_answer(text, kind, choices=()):\n"
            "    from l2r_lite.grading import extract_answer\n"
            "    return extract_answer(text.replace('\\nQuestion', '\\n').replace('\\nQ:', '\\n'), kind, choices)\n",
            "a question that the model made up",
        ),
    ],
    "01.3": [
        (
            "def my_leaks(train, test):\n"
            "    return [(i, j) for i, a in enumerate(train) for j, b in enumerate(test) if a == b]\n",
            "Mask their numbers first",
        ),
        (
            "def my_leaks(train, test):\n"
            "    mask = lambda q: ' '.join(re.sub(r'\\d', '#', q).lower().split())\n"
            "    return [(i, j) for j, b in enumerate(test) for i, a in enumerate(train) if mask(a) == mask(b)]\n",
            "digit by digit",
        ),
        (
            "def my_leaks(train, test):\n"
            "    mask = lambda q: ' '.join(re.sub(r'\\d+', 'N', q.lower()).split())\n"
            "    return [(i, j) for i, a in enumerate(train) for j, b in enumerate(test) if mask(a) == mask(b)]\n",
            "one number each",
        ),
        (
            "def mask(q):\n    return ' '.join(re.sub(r'\\d+(?:[.,]\\d+)*', '#', q).lower().split())\n"
            "def my_leaks(train, test):\n"
            "    place = {mask(q): i for i, q in enumerate(train)}\n"
            "    return [(place[mask(q)], j) for j, q in enumerate(test) if mask(q) in place]\n",
            "overwrites",
        ),
        (
            "def mask(q):\n    return re.sub(r'\\d+(?:[.,]\\d+)*', '#', q)\n"
            "def my_leaks(train, test):\n"
            "    return {(i, j) for i, a in enumerate(train) for j, b in enumerate(test) if mask(a) == mask(b)}\n",
            "Capitals and extra spaces",
        ),
        (
            "def mask(q):\n    return ' '.join(re.sub(r'\\d+(?:[.,]\\d+)*', '#', q).lower().split())\n"
            "def my_leaks(train, test):\n"
            "    return [(j, i) for i, a in enumerate(train) for j, b in enumerate(test) if mask(a) == mask(b)]\n",
            "the training question's place comes first",
        ),
        (
            "def mask(q):\n    return ' '.join(re.sub(r'\\d+(?:[.,]\\d+)*', '#', q).lower().split())\n"
            "def my_leaks(train, test):\n"
            "    return [(i, i) for i, (a, b) in enumerate(zip(train, test)) if mask(a) == mask(b)]\n",
            "the first with the first",
        ),
    ],
    "01.4": [
        (
            "def my_choice(said, choices):\n"
            "    found = re.search(r'[A-Z]', said)\n"
            "    return found[0] if found and found[0] in 'AB' else None\n",
            "You read letters only",
        ),
        (
            "def my_choice(said, choices):\n"
            "    for letter, text in zip('ABCDE', choices):\n"
            "        if text.lower() in said.lower():\n            return letter\n",
            "options' texts only",
        ),
        (
            "def my_choice(said, choices):\n"
            "    letters = [x.upper() for x in re.findall(r'\\b[A-Za-z]\\b', said) if x.upper() in 'ABCDE'[:len(choices)]]\n"
            "    if letters:\n        return letters[0] if len(set(letters)) == 1 else None\n"
            "    fits = [(len(t), x) for x, t in zip('ABCDE', choices) if re.search(rf'\\b{t}\\b', said)]\n"
            "    return max(fits)[1] if fits else None\n",
            "begins with an article",
        ),
        (
            "def my_choice(said, choices):\n"
            "    for letter, text in zip('ABCDE', choices):\n"
            "        if re.search(rf'\\b{text}\\b', said):\n            return letter\n"
            "    letters = set(re.findall(r'\\b[A-Z]\\b', said.upper())) & set('ABCDE'[:len(choices)])\n"
            "    return letters.pop() if len(letters) == 1 else None\n",
            "the longer one was meant",
        ),
        (
            "def my_choice(said, choices):\n"
            "    fits = [(len(t), x) for x, t in zip('ABCDE', choices) if t in said]\n"
            "    if fits:\n        return max(fits)[1]\n"
            "    letters = set(re.findall(r'\\b[A-Z]\\b', said.upper())) & set('ABCDE'[:len(choices)])\n"
            "    return letters.pop() if len(letters) == 1 else None\n",
            "“Annabel” is not “Ann”",
        ),
        (
            "def my_choice(said, choices):\n"
            "    fits = [(len(t), x) for x, t in zip('ABCDE', choices) if re.search(rf'\\b{t}\\b', said)]\n"
            "    if fits:\n        return max(fits)[1]\n"
            "    letters = [x for x in re.findall(r'\\b[A-Z]\\b', said.upper()) if x in 'ABCDE'[:len(choices)]]\n"
            "    return letters[0] if letters else None\n",
            "names two letters",
        ),
    ],
}
