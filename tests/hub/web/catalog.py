"""The texts of the pages, found in code and templates: `python -m tests.hub.web.catalog` adds new ones to the catalog.

A text that is left over goes, a new one comes with an empty translation, which test_words finds.
"""

from __future__ import annotations

from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

from hub.web.words import CATALOG

WEB = Path(__file__).resolve().parents[3] / "hub" / "web"
KEYWORDS = {"_": None, "N_": None, "say": (2,), "gettext": None, "ngettext": (1, 2)}
HEADER = b"# English words of the hub's pages; the Vietnamese ones are the keys. See tests/hub/web/catalog.py.\n"
Text = str | tuple[str, ...]


def texts() -> dict[Text, set[str]]:
    """Every text that is shown, and the files that show it."""
    found: dict[Text, set[str]] = {}
    for path in sorted(WEB.rglob("*")):
        if path.suffix not in (".py", ".html"):
            continue
        with path.open("rb") as file:
            if path.suffix == ".py":
                taken = [(m, None) for _, m, _, _ in extract("python", file, {"N_": None})]
            else:
                options = {"trimmed": "false", "silent": "false", "newstyle_gettext": "true"}
                taken = [(m, None) for _, m, _, _ in extract("jinja2.ext:babel_extract", file, options=options)]
        for message, _ in taken:
            found.setdefault(message, set()).add(path.name)
    return found


def catalog() -> Catalog:
    with CATALOG.open("rb") as file:
        return read_po(file, locale="en")


def main() -> None:
    before = catalog()
    after = Catalog(locale="en")
    for message in texts():
        old = before.get(message if isinstance(message, str) else message[0])
        after.add(message, old.string if old is not None else None)
    with CATALOG.open("wb") as file:
        file.write(HEADER)
        write_po(file, after, omit_header=True, width=0, sort_output=True)
    for one in untranslated(after):
        print(f"to translate: {one}")


def untranslated(found: Catalog) -> list[str]:
    """Texts without English."""
    missing = []
    for message in found:
        forms = [message.string] if isinstance(message.string, str | None) else list(message.string)
        if message.id and not all(forms):
            missing.append(str(message.id))
    return missing


if __name__ == "__main__":
    main()
