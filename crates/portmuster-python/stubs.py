"""Writes the types of the extension module, from a template and the fields of a row.

    python stubs.py          writes python/portmuster/_native.pyi
    python stubs.py --check  fails if it differs

It imports the installed package.
"""

import json
import pathlib
import sys

from portmuster import _native

FOLDER = pathlib.Path(__file__).parent
TEMPLATE = FOLDER / "_native.pyi.in"
STUBS = FOLDER / "python/portmuster/_native.pyi"


def annotation(values):
    """Returns the type of the values of a JSON Schema."""
    if "const" in values:
        return f"Literal[{json.dumps(values['const'])}]"
    if "anyOf" in values:
        return "str"
    if "enum" in values:
        words = "".join(f"            {json.dumps(word)},\n" for word in values["enum"])
        return f"Literal[\n{words}        ]" if len(values["enum"]) < 24 else "str"
    match values["type"]:
        case "array":
            return f"tuple[{annotation(values['items'])}, ...]"
        case "object":
            return "dict[str, Any]"
        case kind:
            return {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}[kind]


def attribute(name, values, is_required):
    """Returns the attribute of a field."""
    optional = "" if is_required else " | None"
    return (
        f"    @property\n    def {name}(self) -> {annotation(values)}{optional}:\n"
        f'        """{values["description"]}"""\n'
    )


def stubs():
    """Returns the text of the stubs."""
    schema = json.loads(_native.row_schema())
    fields = "".join(
        attribute(name, values, name in schema["required"])
        for name, values in schema["properties"].items()
    )
    return TEMPLATE.read_text().replace("{fields}\n", fields)


def main():
    if sys.argv[1:] != ["--check"]:
        STUBS.write_text(stubs())
    elif STUBS.read_text() != stubs():
        sys.exit(f"{STUBS} differs from the fields of a row: run python {__file__}")


if __name__ == "__main__":
    main()
