"""What the demo's model plays (docs/reference/rehearsal.md), with code_interpreter and without."""

import json

QUESTION = "How warm was it in Oslo this week, and is that usual?"
DOCUMENTS = {
    "oslo.md": "# Oslo\n\nIn November the usual temperature of Oslo is 2 degrees; a coat is wise from October on.",
    "rome.md": "# Rome\n\nIn November Rome has 13 degrees, and rain on nine days.",
    "lima.md": "# Lima\n\nLima is mild all year; in November it has 19 degrees.",
}
"""What the assistant may search in: file name -> text."""

WEEK = json.dumps({"Mon": 7.1, "Tue": 6.4, "Wed": 8.0, "Thu": 9.8, "Fri": 8.3})
"""What our function answers."""

FUNCTION = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The temperatures of a city in the last days",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    },
}
SEARCH = {"type": "file_search"}
CODE = {"type": "code_interpreter"}

_ASKS = """You are a weatherman.
rehearsal:
slow: 30ms
say: Let me look that up.
call: get_weather {"city": "Oslo", "days": 5}
---
slow: 30ms
"""
_LOOKS_UP = """search: usual temperature of Oslo in November
---
slow: 30ms
"""
_TELLS = "say: Degrees by day: {{outputs.0}}. Usual are 2 degrees【4:0†oslo.md】. Take a coat."
_COMPUTES = """python:
    import pandas as pd

    week = pd.Series({{output}}, name="degrees")
    print(f"{week.mean():.1f} degrees on average")
---
slow: 30ms
python:
    import matplotlib.pyplot as plt

    week.plot(marker="o", title="Oslo, this week")
    plt.savefig("/mnt/data/oslo.png")
    week.to_csv("/mnt/data/oslo.csv")
---
slow: 30ms
say: Oslo had {{outputs.1}}; usual are 2【4:0†oslo.md】. The numbers are in [oslo.csv](sandbox:/mnt/data/oslo.csv)."""


def instructions(*, code: bool) -> str:
    """The script: it asks our function, with `code` computes and draws, searches, and tells with a citation."""
    computes, tells = _COMPUTES.rsplit("say:", 1) if code else ("", _TELLS.removeprefix("say:"))
    return f"{_ASKS}{computes}{_LOOKS_UP}say:{tells}"
