"""XML from outside: no entities, no network, no document type; bounded in size and depth; errors name the line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from lxml import etree

from pcc_match.errors import ExchangeError

Element = Any  # lxml has no types of its own
DEPTH_LIMIT = 16  # levels; the messages of this library need six
PART_LIMIT: Final = 1 << 20  # bytes of one child of the root, where a message is read child by child

_CHUNK: Final = 1 << 16
_HARDENED: Final[dict[str, Any]] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}


def parse(data: bytes, size_limit: int) -> Element:
    """The root element of a document of at most `size_limit` bytes.

    Comments and processing instructions are left out. ExchangeError for whatever is not well-formed, has a document
    type (and with it entities), or nests deeper than DEPTH_LIMIT.
    """
    _check_size(data, size_limit)
    with _located():
        root = etree.fromstring(data, etree.XMLParser(**_HARDENED))
    _check_document(root)
    _check_depth(root)
    return root


def stream(data: bytes, names: tuple[str, ...], size_limit: int) -> Iterator[Element]:
    """The children of the root, in order, each gone when the next is asked for: memory is bounded by PART_LIMIT.

    names   what they are called, in any case. ExchangeError as parse(), and for another child.
    """
    _check_size(data, size_limit)
    tags = [f"{{*}}{spelt}" for each in names for spelt in {each, each.lower(), each.upper()}]
    parser = etree.XMLPullParser(events=("end",), tag=tags, **_HARDENED)
    rest, unread = None, 0
    for start in range(0, len(data) + _CHUNK, _CHUNK):
        chunk = data[start : start + _CHUNK]
        with _located():
            if chunk:
                parser.feed(chunk)
            else:
                rest = parser.close()
        unread += len(chunk)
        for _, element in parser.read_events():
            root = element.getparent()
            if root is None or root.getparent() is not None:
                raise fault(element, "the element is not known here")
            if element.getprevious() is not None:
                raise fault(element.getprevious(), f"the element is not known here; {', '.join(names)} are")
            _check_document(root)
            yield element
            root.remove(element)
            unread = 0
        if unread > PART_LIMIT + _CHUNK:
            raise ExchangeError(f"no end of {' or '.join(f'<{each}>' for each in names)} in {PART_LIMIT} bytes")
        if rest is not None:
            for element in elements(rest):
                raise fault(element, f"the element is not known here; {', '.join(names)} are")
            return


def root_name(data: bytes) -> str:
    """The name of the root without its namespace, "" for no XML; nothing behind it is looked at."""
    parser = etree.XMLPullParser(events=("start",), **_HARDENED)
    try:
        parser.feed(data[:_CHUNK])
        if len(data) <= _CHUNK:
            parser.close()
        return next((name(element) for _, element in parser.read_events()), "")
    except (etree.XMLSyntaxError, ValueError, LookupError):
        return next((name(element) for _, element in parser.read_events()), "")


def _check_size(data: bytes, limit: int) -> None:
    if len(data) > limit:
        raise ExchangeError(f"the message has {len(data)} bytes, at most {limit} are read")


def _check_document(root: Element) -> None:
    if root.getroottree().docinfo.internalDTD is not None:
        raise ExchangeError("line 1: the message has a document type declaration; messages have none")


@contextmanager
def _located() -> Iterator[None]:
    """What lxml finds wrong, as ExchangeError."""
    try:
        yield
    except etree.XMLSyntaxError as error:
        raise ExchangeError(f"line {error.lineno or 1}: not well-formed XML: {error.msg}") from None
    except (ValueError, LookupError) as error:  # an encoding that is none
        raise ExchangeError(f"line 1: the message cannot be decoded: {error}") from None


def _check_depth(root: Element) -> None:
    level, depth = [root], 0
    while level:
        depth += 1
        if depth > DEPTH_LIMIT:
            raise fault(level[0], f"elements nest deeper than {DEPTH_LIMIT} levels")
        level = [child for element in level for child in element]


def name(element: Element) -> str:
    """The name without its namespace."""
    return str(etree.QName(element).localname) if isinstance(element.tag, str) else "entity"


def fault(element: Element, message: str) -> ExchangeError:
    """An ExchangeError that names line and element."""
    return ExchangeError(f"line {element.sourceline}, <{name(element)}>: {message}")


def text(element: Element) -> str:
    """The text of an element without children, stripped."""
    for child in element:
        raise fault(child, f"<{name(element)}> holds text, no elements")
    return (element.text or "").strip()


def children(element: Element, names: Mapping[str, bool], namespace: str) -> dict[str, list[Element]]:
    """The child elements by name, in any order, none for a name that does not occur.

    names   each name allowed, and whether it may stand more than once
    """
    found: dict[str, list[Element]] = {name: [] for name in names}
    for child in elements(element):
        known = name(child)
        if known not in names or etree.QName(child).namespace != (namespace or None):
            raise fault(child, f"the element is not known in <{name(element)}>, which holds {', '.join(names)}")
        if found[known] and not names[known]:
            raise fault(child, "the element stands here a second time")
        found[known].append(child)
    return found


def elements(element: Element) -> Iterator[Element]:
    """The child elements of an element that holds no text of its own."""
    if (element.text or "").strip():
        raise fault(element, "the element holds elements, no text")
    for child in element:
        if not isinstance(child.tag, str):
            raise fault(child, "a reference to an entity; messages have none")
        if (child.tail or "").strip():
            raise fault(element, f"text behind <{name(child)}>")
        yield child
