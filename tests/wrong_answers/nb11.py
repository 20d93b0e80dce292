"""Typical wrong answers to notebook 11."""

LINE = """
def my_line(row):
    choices = [row[x].strip() for x in "ABC"{empty}]
    answer = {answer}
    line = {{"question": row["Question"]{strip}, "answer": answer}}
    {choices}
    return line
"""


RIGHT = "row['Correct'].strip().upper() if choices else row['Correct'].strip()"


def line(empty: str = " if row[x].strip()", answer: str = RIGHT, strip: str = ".strip()", 
         choices: str = "line.update({'choices': choices} if choices else {})") -> str:  # fmt: skip
    return LINE.format(empty=empty, answer=answer, strip=strip, choices=choices)


def items(result: str) -> str:
    return f"def my_items(fixed, each, card):\n    import math\n    return {result}"


def bill(result: str) -> str:
    return f"def my_bill(questions, shares, read, written, price):\n    return {result}"


WRONG = {
    "11.1": [
        (line(choices="line['choices'] = choices"), "not an empty list"),
        (line(answer="row['Correct'].strip().upper()", choices="line['choices'] = choices"), "treat every row"),
        (line(empty="", answer="row['Correct'].strip()", choices="line['choices'] = choices"), "treat every row"),
        (line(empty="", answer="row['Correct'].strip().upper()", choices="line['choices'] = choices"), "treat every row"),
        (line(empty="", answer="row['Correct'].strip().upper() if row['A'] else row['Correct'].strip()",
              choices="line.update({'choices': choices} if row['A'] else {})"), "Empty options"),
        (line(answer="row[row['Correct'].strip().upper()].strip() if choices else row['Correct'].strip()"),
         "the option's text"),
        (line(answer="row['Correct'].strip()"), "letter in upper case"),
        (line(answer="row['Correct'].strip().upper()"), "stays as it is"),
    ],
    "11.2": [
        (items("math.floor((card * 1e9 * 0.9 - 5e8 - fixed) / each)"), "not a negative number"),
        (items("max(math.floor((card * 1e9 - 5e8 - fixed) / each), 0)"), "a tenth of the card"),
        (items("max(math.floor((0.9 * card * 1e9 - fixed) / each), 0)"), "500 MB for CUDA"),
        (items("max(math.ceil((0.9 * card * 1e9 - 5e8 - fixed) / each), 0)"), "round up"),
        (items("math.ceil((0.9 * card * 1e9 - 5e8 - fixed) / each)"), "round up"),
        (items("max(0, round((0.9 * card * 1e9 - 5e8 - fixed) / each))"), "nearest whole number"),
        (items("round((0.9 * card * 1e9 - 5e8 - fixed) / each)"), "nearest whole number"),
        (items("max(0, (0.9 * card * 1e9 - 5e8 - fixed) / each)"), "to a whole number"),
        (items("int((0.9 * card * 1e9 - 5e8 - fixed) / each)"), "not a negative number"),
        (items("max(0, int((0.9 * card - 0.5 - fixed) / each))"), "multiply the card by 10⁹"),
        (items("max(0, int(0.9 * (card * 1e9 - 5e8 - fixed) / each))"), "tenth of the whole card"),
        (items("max(int((0.9 * card * 1024**3 - 5e8 - fixed) / each), 0)"), "10⁹ bytes"),
    ],
    "11.3": [
        (bill("sum(shares) * questions * (read * price[0] + written * price[1])"), "divide by 10⁶"),
        (bill("sum(shares) * questions * (read * price[1] + written * price[0]) / 1_000_000"), "swapped the prices"),
        (bill("len(shares) * questions * (read * price[0] + written * price[1]) / 1_000_000"), "its share"),
        (bill("(shares or [0])[0] * questions * (read * price[0] + written * price[1]) / 1_000_000"), "first round only"),
        (bill("sum(shares) * questions * written * price[1] / 1_000_000"), "the teacher reads"),
    ],
}  # fmt: skip
