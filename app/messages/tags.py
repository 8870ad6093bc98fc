from collections.abc import Collection


def tag_key(name: str, taken: Collection[str]) -> str:
    return name.lower().replace(" ", "_") + str(len(taken))


def token(key: str) -> str:
    return "{{tracking_link." + key + "}}"
