"""`python -m earlywarning` is the installed command."""

from earlywarning.cli import main

if __name__ == "__main__":
    main()
