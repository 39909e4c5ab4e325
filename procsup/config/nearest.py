"""Did you mean: the word nearest to one that is not known.

Two ways, so that a file with ten thousand names and as many typing errors is still checked in linear time. A word that
is one slip away (a letter too many, too few, wrong, or two swapped; case, "-" and "_" do not count) is found in an
index of all words with one letter left out. Words further away are compared by difflib, one by one, until the budget of
comparisons is used up.
"""

import difflib
from collections.abc import Iterable, Iterator

_COMPARISONS = 20_000  # about a tenth of a second, in all
_ALIKE = 0.65
_LONGEST = 80  # difflib is quadratic in the length of a word, and nobody mistypes a longer one


class Nearest:
    """The words of one vocabulary. The index is built at the first question."""

    __slots__ = ("_comparisons", "_index", "_words")

    def __init__(self, words: Iterable[str]) -> None:
        self._words = tuple(word for word in words if len(word) <= _LONGEST)
        self._index: dict[str, str] = {}
        self._comparisons = _COMPARISONS

    def to(self, word: str) -> str | None:
        """The word that was probably meant, or None when no word is near."""
        return self.one_slip_from(word) or self._alike(word)

    def hint(self, word: str) -> str:
        """ "did you mean …?", or "" when no word is near."""
        near = self.to(word)
        return f"did you mean {near!r}?" if near is not None else ""

    def one_slip_from(self, word: str) -> str | None:
        """The word that was surely meant, or None. Costs the length of `word`."""
        if not word or len(word) > _LONGEST:
            return None
        if not self._index:
            for known in self._words:
                for form in _forms(known):
                    self._index.setdefault(form, known)
        for form in _forms(word):
            found = self._index.get(form)
            if found is not None:
                return found
        return None

    def _alike(self, word: str) -> str | None:
        if len(word) > _LONGEST or self._comparisons < len(self._words):
            return None
        self._comparisons -= len(self._words)
        return next(iter(difflib.get_close_matches(word, self._words, n=1, cutoff=_ALIKE)), None)


def _forms(word: str) -> Iterator[str]:
    """The word without case and dashes, whole and with each letter left out; short words whole only."""
    bare = word.casefold().replace("-", "").replace("_", "")
    yield bare
    if len(bare) > 2:
        for i in range(len(bare)):
            yield bare[:i] + bare[i + 1 :]
