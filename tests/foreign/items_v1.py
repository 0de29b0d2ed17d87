"""Canonical items v1 by the text of src/verify/items/ITEMS-V1.md alone, in Python's standard library.

`items_v1.py VECTORS.json` checks every vector; `items_v1.py -` encodes items, one a line of DynamoDB JSON on stdin, to hex on stdout.
"""

import base64
import json
import re
import struct
import sys
from decimal import Decimal, localcontext

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\Z", re.ASCII)


class Refused(Exception):
    pass


def length(data):
    return struct.pack(">Q", len(data)) + data


def number(text):
    if not NUMBER.match(text):
        raise Refused("not a number")
    mantissa, _, power = text.lower().partition("e")
    # Decimal's own exponent is bounded: only the mantissa goes through it.
    with localcontext() as context:
        context.prec = 200
        sign, digits, exponent = Decimal(mantissa).as_tuple()
    digits = list(digits)
    while digits and digits[0] == 0:
        digits.pop(0)
    while digits and digits[-1] == 0:
        digits.pop()
        exponent += 1
    if not digits:
        return b"\x00"
    if len(digits) > 38:
        raise Refused("too many digits")
    first = exponent + len(digits) - 1 + int(power or 0)
    if not -130 <= first <= 125:
        raise Refused("exponent")
    head = b"\x02" if sign else b"\x01"
    return head + struct.pack(">iB", first, len(digits)) + "".join(map(str, digits)).encode()


def value(typed):
    ((kind, inner),) = typed.items()
    if kind == "NULL":
        return b"\x01"
    if kind == "BOOL":
        return b"\x03" if inner else b"\x02"
    if kind == "N":
        return b"\x10" + number(inner)
    if kind == "S":
        return b"\x11" + length(inner.encode())
    if kind == "B":
        return b"\x12" + length(base64.b64decode(inner, validate=True))
    if kind in ("SS", "NS", "BS"):
        elements = sorted(value({kind[0]: element}) for element in inner)
        return {"SS": b"\x20", "NS": b"\x21", "BS": b"\x22"}[kind] + struct.pack(">Q", len(elements)) + b"".join(elements)
    if kind == "L":
        return b"\x30" + struct.pack(">Q", len(inner)) + b"".join(map(value, inner))
    if kind == "M":
        return b"\x31" + item(inner)
    raise Refused(kind)


def item(attributes):
    named = sorted((name.encode(), typed) for name, typed in attributes.items())
    return struct.pack(">Q", len(named)) + b"".join(length(name) + value(typed) for name, typed in named)


def key(attributes, names):
    return struct.pack(">Q", len(names)) + b"".join(length(name.encode()) + value(attributes[name]) for name in names)


def check(path):
    with open(path, encoding="utf-8") as file:
        vectors = json.load(file)
    for vector in vectors["vectors"]:
        assert item(vector["item"]).hex() == vector["encoding"], vector["name"]
    for vector in vectors["keys"]:
        assert key(vector["item"], vector["key"]).hex() == vector["encoding"], vector["name"]
    for text in vectors["refused_numbers"]:
        try:
            number(text)
        except Refused:
            continue
        raise AssertionError("not refused: " + text)
    print("OK", len(vectors["vectors"]) + len(vectors["keys"]) + len(vectors["refused_numbers"]))


if sys.argv[1] == "-":
    for line in sys.stdin:
        print(item(json.loads(line)).hex())
else:
    check(sys.argv[1])
