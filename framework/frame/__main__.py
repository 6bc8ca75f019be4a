"""`python -m frame` is the command `frame`."""

from .cli import main

if __name__ == "__main__":
    main()
