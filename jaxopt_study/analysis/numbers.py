"""Numbers as tables, notes, figures and the terminal write them: with as many digits as tell them apart."""

from collections import Counter
from collections.abc import Iterable, Sequence

DIGITS = 3
"""Significant digits of a number that is no decimal of up to six and that none else comes close to."""
_DECIMAL, _ALL = 6, 17


def number(value: float, digits: int = DIGITS) -> str:
    """A number in significant digits: all of them if there are up to six, else so many: 0.0316, 1.00001, 0, 1e-07.

    >>> number(10**-0.5), number(0.31622), number(1 - 1e-4), number(1 - 10**-4.5)
    ('0.316', '0.31622', '0.9999', '0.99997')
    """
    whole = f"{value:.{_DECIMAL}g}"
    if digits <= _DECIMAL and abs(float(whole) - value) <= 1e-12 * abs(value):
        return whole
    texts = (f"{value:.{more}g}" for more in range(digits, _ALL + 1))
    return next(text for text in texts if float(text) != 1 or value == 1)  # what a decay below 1 means is in the rest


def numbers(values: Sequence[float]) -> list[str]:
    """As :func:`number`, with more digits for different values that would be written alike."""
    texts = {value: number(value) for value in values}
    for digits in range(DIGITS + 1, _ALL + 1):
        alike = Counter(texts.values())
        texts = {value: number(value, digits) if alike[text] > 1 else text for value, text in texts.items()}
    return [texts[value] for value in values]


def loss(value: float) -> str:
    """A loss to four decimals; below 0.001 and from 10 on, where these say nothing, to four significant digits.

    >>> loss(0.3), loss(0.00012346), loss(123.456), loss(319292.765625)
    ('0.3000', '0.0001235', '123.5', '3.193e+05')
    """
    return f"{value:.4f}" if value == 0 or 0.001 <= abs(value) < 10 else f"{value:.4g}"


def listed(values: Iterable[float], most: int) -> str:
    """Numbers, ascending, each once, the middle of many left out."""
    texts = numbers(sorted(set(values)))
    if len(texts) > most:
        texts = [*texts[: most // 2], f"... ({len(texts)} values)", *texts[-2:]]
    return ", ".join(texts)


def meant(written: float, values: Iterable[float]) -> float:
    """The one of ``values`` that is written like this in three to nine digits; if none is, or several, the number.

    >>> meant(0.316, [0.1, 10**-0.5]) == 10**-0.5
    True
    """
    near = {value for value in values if abs(value - written) <= 10 ** (1 - DIGITS) * abs(value)}
    if written in near:
        return written
    alike = [value for value in near if written in {float(number(value, digits)) for digits in range(DIGITS, 10)}]
    return alike[0] if len(alike) == 1 else written
