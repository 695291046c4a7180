"""Every error that pcc_match raises on purpose. Each message names the place and what to do."""


class PccError(Exception):
    """Base of all errors of this library."""


class ProfileError(PccError):
    """A DNA profile, or the file that holds it, breaks a rule; names file, line, column or locus."""


class TemplateError(PccError):
    """A fingerprint template is damaged or impossible."""


class RecordError(PccError):
    """An ANSI/NIST-ITL transaction cannot be read or written."""


class GalleryError(PccError):
    """A gallery is missing, damaged, locked or of another version; names the file."""


class DeviceError(PccError):
    """The asked-for device or instruction set is not available here."""


class ExchangeError(PccError):
    """A message, treaty set or request breaks the treaty; names article, file and key."""
