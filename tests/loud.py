"""`tracklinks` with everything logged that its libraries can say: ``python -m tests.loud serve``."""

from typing import Any

from uvicorn.config import LOGGING_CONFIG

from app.cli import main


def speak_up(config: dict[str, Any]) -> None:
    """uvicorn's own, which it sets up in each process that serves."""
    config["root"] = {"level": "DEBUG", "handlers": ["default"]}
    config["loggers"]["sqlalchemy"] = {}  # which is quieter than its root unless told not to be
    for logger in config["loggers"].values():
        logger["level"] = "DEBUG"


if __name__ == "__main__":
    speak_up(LOGGING_CONFIG)
    main()
