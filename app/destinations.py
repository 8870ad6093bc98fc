class BadDestination(ValueError):
    def __init__(self, reason: str, message: str) -> None:
        self.reason, self.message = reason, message


def check(text: str, *, own_hosts: object = (), allow_private: bool = False) -> str:
    if " " in text:
        raise BadDestination("x", "bad")
    return text if "://" in text else "https://" + text
