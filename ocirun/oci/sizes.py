"""Sizes as docker's users write them: 64m, 1.5GiB, 10kb."""

_PREFIXES = "kmgtp"


def parse_size(text: str, kilo: int = 1024) -> int:
    """The bytes of a size with docker's suffixes: b, or k m g t p with b or ib behind it, which are powers of `kilo`.

    "KiB" says no more than "k": what a suffix means depends on what is measured. Raises ValueError in docker's words.
    """
    end = len(text)
    while end and text[end - 1] not in "0123456789. ":
        end -= 1
    if not end:
        raise ValueError(f"invalid size: '{text}'")
    number = text[:end].removesuffix(" ")
    suffix = text[end:].lower()
    try:
        size = float(number) if number.strip() == number and "_" not in number else None
    except ValueError:
        size = None
    if size is None:
        raise ValueError(f'strconv.ParseFloat: parsing "{number}": invalid syntax')
    if not 0 <= size < 1 << 63:
        raise ValueError(f"invalid size: '{text}'")
    if suffix in ("", "b"):
        return int(size)
    power = _PREFIXES.find(suffix[0]) + 1
    if not power or suffix[1:] not in ("", "b", "ib"):
        raise ValueError(f"invalid suffix: '{suffix}'")
    return int(size * kilo**power)
