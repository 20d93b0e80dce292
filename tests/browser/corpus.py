"""What a model, a teacher or a data set could say to get into the page; whichever of it is obeyed sets window.obeyed."""

OBEY = "window.obeyed=1;alert(1)"
HOSTILE = {
    "script": f"<script>{OBEY}</script>",
    "image": f'<img src=x onerror="{OBEY}">',
    "closing": f"</td></tr></table></div></details><script>{OBEY}</script><h1>big</h1>",
    "svg": f"<svg onload='{OBEY}'><circle r=9 /></svg>",
    "frame": f'<iframe srcdoc="<script>parent.{OBEY}</script>"></iframe>',
    "attribute": f"\" autofocus onfocus=\"{OBEY}\" x=\"' onmouseover='{OBEY}'",
    "style": "<style>* {display: none}</style><link rel=stylesheet href=//example.invalid/x.css>",
    "form": "<form action=//example.invalid><input name=q><button>Continue</button></form>",
    "entities": f"&lt;script&gt;{OBEY}&lt;/script&gt; &#60;img src=x onerror={OBEY}&#62;",
    "markdown": f"[a link](https://example.invalid) ![x](x) [b](javascript:{OBEY}) <https://example.invalid> **bold** `code`",
    "link": f"<a href=\"javascript:{OBEY}\">click</a> javascript:{OBEY} https://example.invalid/x",
    "mathjax": f"She has $3 and $4, \\(x^2\\) \\[y\\] $$\\href{{javascript:{OBEY}}}{{z}}$$ \\begin{{align}}a\\end{{align}}",
    "ansi": "\x1b[31mred\x1b[0m \x07 \x9b2J \x08\x08 \x7f",
    "bidi": "abc \u202egnp.exe\u202c \u2066x\u2069 \u200f \u200b zero\u200bwidth",
    "long": "w" * 3000,
    "combining": "e" + "\u0301" * 60 + " " + "Z" + "\u0337" * 60,
    "format": "{0.__class__} %s %(x)s {{constructor.constructor('alert(1)')()}} ${alert(1)} <%= 1 %>",
}
