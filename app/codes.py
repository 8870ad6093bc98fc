import secrets


class BadCode(ValueError):
    def __init__(self, reason: str, message: str) -> None:
        self.reason, self.message = reason, message


def new_codes(n: int) -> list[str]:
    return [
        "".join(secrets.choice("23456789bcdfghjkmnpqrstvwxyz") for _ in range(8)) for _ in range(n)
    ]


def fold(t: str) -> str | None:
    return t.lower()


def check_custom(t: str) -> str:
    return t
