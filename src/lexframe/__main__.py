"""``python -m lexframe``: the command line where no script is on the path."""

from lexframe.cli.main import main

if __name__ == "__main__":
    main()
