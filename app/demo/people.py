"""Sixty creators who don't exist, and the program they share links for."""

from dataclasses import dataclass

PROGRAM = "Nordlicht Outdoor"
TIME_ZONE = "Europe/Berlin"
SITE = "https://www.example.com"

_NAMES = """
Lena Brandt, Jonas Vogt, Mara Okafor, Felix Lindqvist, Sofia Marchetti, Noah Petersen,
Aylin Demir, Tom Hartwig, Clara Novak, Mateo Rivera, Greta Sandberg, Emil Fischer,
Nina Kowalska, Luca Ferrante, Ida Johansen, Samuel Adeyemi, Paula Steiner, Hugo Laurent,
Zoe Papadakis, Ben Aldinger, Marlene Huber, Oskar Wiklund, Amara Diallo, Julian Krämer,
Frida Nilsson, Kasper Madsen, Yuna Park, Leo Baumgart, Elif Yildiz, Theo Marchand,
Anouk de Wit, Rafael Duarte, Hanna Virtanen, Malik Benali, Carla Espinosa, Finn Albers,
Ines Carvalho, Moritz Seidel, Saga Lindholm, Dario Conti, Alma Rosendahl, Nils Egger,
Priya Raman, Jakob Thorsen, Lotte Visser, Adrian Popescu, Vera Sokol, Milo Janssen,
Chiara Galli, Henrik Aas, Runa Björk, Tariq Haddad, Josefine Kern, Pablo Navarro,
Selma Eriksen, Anton Rieger, Mina Sato, Florian Wirth, Olivia Bennett, Kaya Arslan
"""

# How each calls themselves: with the first name or the last one in it.
_HANDLES = (
    "{first}.outside", "{first}_unterwegs", "hike.with.{first}", "{last}trails", "{first}climbs",
    "the.{last}s", "{first}onfoot", "rainy.{first}", "{first}.goes.north", "{last}.outdoors",
)  # fmt: skip
_PLAIN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", " ": ""})


@dataclass(frozen=True, slots=True)
class Person:
    first_name: str
    last_name: str
    handle: str
    email: str
    external_id: str


def _person(place: int, name: str) -> Person:
    first, last = name.strip().split(" ", 1)
    plain = {"first": first.lower(), "last": last.lower()}
    plain = {key: value.translate(_PLAIN) for key, value in plain.items()}
    return Person(
        first_name=first,
        last_name=last,
        handle=_HANDLES[place % len(_HANDLES)].format(**plain),
        email=f"{plain['first']}.{plain['last']}@example.com",
        external_id=f"NL-{1001 + place}",
    )


PEOPLE = [_person(place, name) for place, name in enumerate(_NAMES.replace("\n", " ").split(","))]
