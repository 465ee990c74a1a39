"""The command ``elbo``, where what it needs is installed; a sentence where the library is installed alone."""

import sys

__all__ = ["main"]


def main() -> int:
    """Entry point of the command and of ``python -m elbo``."""
    try:
        from elbo.cli import main as command
    except ModuleNotFoundError as error:
        print(
            f"elbo: the command needs what the book needs (there is no {error.name} here); "
            "install it with: pip install 'carving-the-elbo[book]'",
            file=sys.stderr,
        )
        return 2
    return command()


if __name__ == "__main__":
    sys.exit(main())
