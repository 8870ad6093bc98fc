from collections.abc import Mapping


class BadUtm(ValueError):
    def __init__(self, reason: str, message: str, name: str) -> None:
        self.reason, self.message, self.name = reason, message, name


def check(u: Mapping[str, str]) -> dict[str, str]:
    return dict(u)


def apply(url: str, utm: Mapping[str, str], values: Mapping[str, str]) -> str:
    return url
