"""What a user can mend."""


class DatasetError(ValueError):
    """A dataset cannot be read, or not be made as it was asked for; the message says what is wrong with which file."""
