"""Names of containers and volumes: docker's grammar, and generated ones such as "brisk_hopper"."""

import os

from ocirun.errors import UsageError

_ADJECTIVES = (
    "able agile amber ample apt balmy bold brave breezy bright brisk calm candid canny cheery civil clear clever cosy crisp "
    "curious dapper daring deft eager early easy fair fancy fine fleet fond frank free fresh gentle giddy glad golden grand hardy "
    "hasty helpful honest humble jolly jovial just keen kind lively loyal lucid lucky mellow merry mild modest neat nimble noble "
    "patient placid plain polite prompt proud quick quiet rapid ready robust rosy serene sharp silent smart smooth snug sober "
    "solid spry steady stoic subtle sunny supple swift tidy tranquil trusty upbeat valiant vivid warm wary wise witty young zesty"
).split()
_SURNAMES = (
    "abel adams ampere archimedes babbage backus banach bartik bell bernoulli bohr boole borel brahe bunsen cantor cauchy cayley "
    "celsius cerf chandra church conway copernicus coulomb curie dahl darwin dedekind dijkstra dirac doppler edison erdos euclid "
    "euler faraday fermat fermi feynman fibonacci floyd fourier franklin frege galilei galois gauss goedel hamilton hamming "
    "herschel hertz hilbert hoare hollerith hooke hopper huffman huygens iverson jacobi jennings joule kepler kernighan kleene "
    "knuth kovalevskaya lagrange lamarr landau laplace leibniz lovelace mach markov maxwell mccarthy meitner mendel milner naur "
    "neumann newell newton noether nygaard ohm pascal pauli peano perlis planck poincare ramanujan riemann ritchie ruska "
    "shannon simon tarski tesla thompson turing venn volta watt weierstrass wiener wilkes wirth zuse"
).split()

_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_REST = _FIRST | frozenset("_.-")


def is_name(text: str) -> bool:
    """Whether `text` fits docker's grammar of names, [a-zA-Z0-9][a-zA-Z0-9_.-]+, which containers and volumes share."""
    return len(text) > 1 and text[0] in _FIRST and _REST.issuperset(text)


def check_name(name: str) -> str:
    """Return `name` without docker's optional leading slash. Raises UsageError when it breaks docker's grammar."""
    plain = name.removeprefix("/")
    if not is_name(plain):
        raise UsageError(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    return plain


def generate_name(attempt: int = 0) -> str:
    """A random adjective and surname; after a few collisions (`attempt` counts them) a digit keeps it short of endless."""
    random = int.from_bytes(os.urandom(4), "little")
    adjective = _ADJECTIVES[random % len(_ADJECTIVES)]
    surname = _SURNAMES[random // len(_ADJECTIVES) % len(_SURNAMES)]
    return f"{adjective}_{surname}{random >> 24 if attempt > 3 else ''}"
