"""What the demo's model plays (docs/reference/rehearsal.md), with code_interpreter and without."""

import json

QUESTION = "How warm was it in Oslo this week, and what shall I wear?"
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
CODE = {"type": "code_interpreter"}
SEARCH = {"type": "file_search"}

GUIDE_NAME = "clothes.md"
GUIDE = b"""# What to wear

Above 20 degrees a shirt will do. Between 10 and 20 degrees take a jacket. Below 10 degrees wear a wool coat and a scarf.
"""
"""What the user attaches."""

_CALL_FUNCTION = """You are a weatherman.
rehearsal:
slow: 30ms
say: Let me look that up.
call: get_weather {"city": "Oslo", "days": 5}
---
slow: 30ms
"""
_SEARCH_FILES = """search: what to wear below 10 degrees
---
slow: 30ms
"""
_SAY_ADVICE = " Below 10 degrees, wear a wool coat and a scarf【4:0†clothes.md】."
_SAY_OUTPUT = "say: Degrees by day: {{outputs.0}}."
_RUN_CODE = """python:
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
"""
_SAY_RESULT = "say: Oslo had {{outputs.1}}; all of it is in [oslo.csv](sandbox:/mnt/data/oslo.csv)."


def instructions(*, code: bool) -> str:
    """The script: a function, a search, an answer. With `code` it computes before it searches, in one call, and draws,
    in the next, from a variable of the first.
    """
    return (
        _CALL_FUNCTION
        + (_RUN_CODE if code else "")
        + _SEARCH_FILES
        + (_SAY_RESULT if code else _SAY_OUTPUT)
        + _SAY_ADVICE
    )
