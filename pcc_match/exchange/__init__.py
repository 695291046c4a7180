"""Messages between states, answers, and the account of both.

Loaded at its first use as `pm.exchange`; needs `pip install 'pcc_match[exchange]'`.
"""

try:
    import cryptography
    import lxml  # noqa: F401
except ImportError as error:
    raise ImportError(f"{error.name} is missing: pip install 'pcc_match[exchange]'") from None
