"""Languages of mails: each is a file of phrases in `languages/`, and nothing else.

The one rule: adding a language is adding a file. A test holds every file to the keys and the placeholders of the first.
"""

from pathlib import Path

_FOLDER = Path(__file__).parent / "languages"

DEFAULT = "en"
LOCALES = tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))
