"""Errors by what the caller can do: try again, call a person, or park the message."""

from __future__ import annotations


class K12EdgeError(Exception):
    """The root of every error that this software raises on purpose.

    `code` is stable and documented in docs/reference/errors.md; `hint` tells an operator what to do.
    """

    code = "k12edge"
    hint = "See the log of this service."

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        """Keep `message` (what happened, where); `hint` replaces the class's own advice when given."""
        super().__init__(message)
        if hint is not None:
            self.hint = hint


class Transient(K12EdgeError):
    """It may work when tried again; nothing was lost."""

    code = "transient"


class NeedsHands(K12EdgeError):
    """A person has to act; trying again alone will not help."""

    code = "needs-hands"


class Refused(NeedsHands):
    """What somebody asked for isn't done. Its sentence has its values apart, so that a page says it in its language."""

    def __init__(self, said: str, /, *, hint: str | None = None, **values: object) -> None:
        """`said`: English, with a name in braces for each of `values`; hub/web/refusals.py has the Vietnamese."""
        self.said, self.values = said, values
        super().__init__(said.format(**values), hint=hint)


class BadMessage(K12EdgeError):
    """A message that can't be understood or believed; it is parked with its bytes."""

    code = "bad-message"


class ReaderLost(Transient):
    """The card reader went away or stopped answering."""

    code = "reader-lost"
    hint = "Check the cable; the gateway goes on trying by itself."


class ReaderKeyWrong(ReaderLost):
    """The card reader has another key than the gateway's file; nothing that it shows is taken."""

    code = "reader-key-wrong"
    hint = "Put the reader's key into the station's key-file, or find out who changed the key or the reader."


class ReaderInsecure(ReaderLost):
    """The card reader has no Secure Channel, or still takes the default key; nothing that it shows is taken."""

    code = "reader-insecure"
    hint = "Set a key of its own in the reader with its maker's tool, or replace it by one with OSDP Secure Channel."


class ReaderRefused(NeedsHands):
    """The reader's address is wrong or its device can't be used."""

    code = "reader-refused"
    hint = "Correct `reader` in the station's section of the configuration."


class HubUnreachable(Transient):
    """No connection to the hub; taps are kept."""

    code = "hub-unreachable"
    hint = "Check network and hub; taps are kept and sent later."


class CityUnreachable(Transient):
    """The city service doesn't answer properly; records are kept."""

    code = "city-unreachable"
    hint = "Records are kept and sent later."


class JournalFull(NeedsHands):
    """The disk took no more; the tap was not recorded and must not be accepted."""

    code = "journal-full"
    hint = "Free space on the gateway's disk; recording resumes by itself."


class JournalFailed(NeedsHands):
    """The storage reported an error; the tap was not recorded and must not be accepted."""

    code = "journal-failed"
    hint = "Replace the memory card; records already received by the hub are safe."


class JournalDamaged(NeedsHands):
    """A journal file can't be read as written."""

    code = "journal-damaged"
    hint = "The file is kept aside; its readable records are still sent."


class SchemaTooNew(NeedsHands):
    """The database was written by newer software."""

    code = "schema-too-new"
    hint = "Install the newer version again; nothing was changed."


class AlreadyRunning(NeedsHands):
    """Another process holds this data directory."""

    code = "already-running"
    hint = "Stop the other process, or give this one its own data_dir."


class ConfigError(NeedsHands):
    """The configuration can't be used; the message names file, section, key, value and limit."""

    code = "config"
    hint = "Correct the file and start again."


class CardNumberError(BadMessage):
    """A text or byte string is not a card number of a known form."""

    code = "card-number"
    hint = "Write cards as a:HEX (8, 14 or 20 hex digits), em:HEX (10) or f:HEX (16)."
