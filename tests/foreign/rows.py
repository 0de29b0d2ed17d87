"""Canonical rows from their specification (src/verify/sql/rows/ROWS.md) alone, with a BLAKE3 of its own; no package is needed.

`rows.py VECTORS` recomputes every vector and says what differs; `rows.py --make` prints the vectors.
"""

import ipaddress
import json
import re
import struct
import sys
from datetime import date
from decimal import Decimal

IV = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]
ORDER = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
MIXES = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
START, END, PARENT, ROOT, KEYED, CONTEXT, MATERIAL = 1, 2, 4, 8, 16, 32, 64
MASK = 0xFFFFFFFF


def turn(x, n):
    return (x >> n | x << 32 - n) & MASK


def compress(chain, words, counter, length, flags):
    v = chain[:8] + IV[:4] + [counter & MASK, counter >> 32, length, flags]
    for round_number in range(7):
        for at, (a, b, c, d) in enumerate(MIXES):
            v[a] = (v[a] + v[b] + words[2 * at]) & MASK
            v[d] = turn(v[d] ^ v[a], 16)
            v[c] = (v[c] + v[d]) & MASK
            v[b] = turn(v[b] ^ v[c], 12)
            v[a] = (v[a] + v[b] + words[2 * at + 1]) & MASK
            v[d] = turn(v[d] ^ v[a], 8)
            v[c] = (v[c] + v[d]) & MASK
            v[b] = turn(v[b] ^ v[c], 7)
        words = [words[i] for i in ORDER]
    return [v[i] ^ v[i + 8] for i in range(8)] + [v[i + 8] ^ chain[i] for i in range(8)]


def words_of(block):
    return list(struct.unpack("<16I", block.ljust(64, b"\0")))


def last_of_chunk(key, data, counter, flags):
    """Everything of a chunk but its last compression."""
    blocks = [data[i : i + 64] for i in range(0, len(data), 64)] or [b""]
    chain = key
    for at, block in enumerate(blocks[:-1]):
        chain = compress(chain, words_of(block), counter, 64, flags | (START if at == 0 else 0))[:8]
    return chain, words_of(blocks[-1]), counter, len(blocks[-1]), flags | (START if len(blocks) == 1 else 0) | END


def last_of_tree(key, data, counter, flags):
    if len(data) <= 1024:
        return last_of_chunk(key, data, counter, flags)
    left = 1024
    while left * 2 < len(data):
        left *= 2
    one = compress(*last_of_tree(key, data[:left], counter, flags))[:8]
    other = compress(*last_of_tree(key, data[left:], counter + left // 1024, flags))[:8]
    return key, one + other, 0, 64, flags | PARENT


def blake3(data, key=IV, flags=0):
    chain, words, counter, length, flags = last_of_tree(key, data, 0, flags)
    return struct.pack("<8I", *compress(chain, words, counter, length, flags | ROOT)[:8])


def keyed(key, data):
    return blake3(data, list(struct.unpack("<8I", key)), KEYED)


def derived(context, data):
    key = blake3(context.encode(), flags=CONTEXT)
    return blake3(data, list(struct.unpack("<8I", key)), MATERIAL)


def sized(data):
    return struct.pack(">Q", len(data)) + data


OF = {"date": b"\x0a", "datetime": b"\x0b", "instant": b"\x0c"}


def decimal(text):
    if text in ("NaN", "Infinity", "-Infinity"):
        return {"NaN": b"\x03", "Infinity": b"\x04", "-Infinity": b"\x05"}[text]
    negative, unsigned = text.startswith("-"), text.lstrip("-")
    whole, _, fraction = unsigned.partition(".")
    digits = (whole + fraction).lstrip("0").encode()
    return b"\x02" + bytes([negative and digits != b""]) + struct.pack(">i", len(fraction)) + sized(digits)


def bits(text):
    padded = text.ljust(-(-len(text) // 8) * 8, "0")
    return b"\x17" + struct.pack(">Q", len(text)) + sized(bytes(int(padded[i : i + 8], 2) for i in range(0, len(padded), 8)))


def range_of(value):
    return b"\x1f" + bytes([value["flags"]]) + b"".join(field(bound) for bound in value["bounds"])


def field(spec):
    ((kind, value),) = spec.items()
    simple = {"text": 0x08, "json": 0x13, "jsonb": 0x14, "enum": 0x15, "set": 0x16}
    in_hex = {"text_hex": 0x09, "bytes": 0x18, "network": 0x1A, "geometry": 0x1B, "hardware": 0x21}
    if kind in simple:
        return bytes([simple[kind]]) + sized(value.encode())
    if kind in in_hex:
        return bytes([in_hex[kind]]) + sized(bytes.fromhex(value))
    if kind == "null":
        return b"\x00"
    if kind == "integer":
        return b"\x01" + bytes([int(value) < 0]) + struct.pack(">Q", abs(int(value)))
    if kind == "decimal":
        return decimal(value)
    if kind in ("f32", "f64"):
        return {"f32": b"\x06", "f64": b"\x07"}[kind] + bytes.fromhex(value)
    if kind in OF:
        return OF[kind] + struct.pack(">Q", value % 2**64)
    if kind == "infinity":
        return b"\x0d" + OF[value]
    if kind == "minus_infinity":
        return b"\x0e" + OF[value]
    if kind == "partial":
        of, year, month, day, micros = value
        return b"\x0f" + OF[of] + struct.pack(">HBBq", year, month, day, micros)
    if kind == "time":
        return b"\x10" + struct.pack(">q", value)
    if kind == "time_zoned":
        return b"\x11" + struct.pack(">qi", *value)
    if kind == "interval":
        return b"\x12" + struct.pack(">iiq", *value)
    if kind == "bits":
        return bits(value)
    if kind == "uuid":
        return b"\x19" + bytes.fromhex(value)
    if kind == "boolean":
        return b"\x1c" + bytes([value])
    if kind == "array":
        head = struct.pack(">I", len(value["dimensions"])) + b"".join(struct.pack(">ii", *one) for one in value["dimensions"])
        return b"\x1d" + head + b"".join(field(one) for one in value["elements"])
    if kind == "composite":
        return b"\x1e" + struct.pack(">I", len(value)) + b"".join(field(one) for one in value)
    if kind == "range":
        return range_of(value)
    if kind == "multirange":
        return b"\x20" + struct.pack(">I", len(value)) + b"".join(range_of(one) for one in value)
    if kind == "opaque":
        return b"\xff" + sized(value[0].encode()) + sized(bytes.fromhex(value[1]))
    raise ValueError(f"unknown field {kind}")


def row(specs):
    return struct.pack(">I", len(specs)) + b"".join(field(spec) for spec in specs)


def column_hashes(hash_key, key, fields):
    """Of a row of the table `t` whose columns are called c00, c01 and so on."""
    column_key = derived("attestore column v1", hash_key)
    inputs = (sized(b"t") + sized(b"c%02d" % at) + key + field(one) for at, one in enumerate(fields))
    return b"".join(keyed(column_key, one)[:4] for one in inputs).hex()


def computed(hash_key, vector):
    row_key, key_key = derived("attestore row v1", hash_key), derived("attestore key v1", hash_key)
    whole = row(vector["fields"])
    digest = keyed(row_key, whole)
    key = keyed(key_key, row([vector["fields"][at] for at in vector["key"]])) if vector["key"] else digest
    of_columns = {"column_hashes": column_hashes(hash_key, key, vector["fields"])} if vector["key"] else {}
    return {"encoding": whole.hex(), "row_digest": digest.hex(), "key_hash": key.hex(), **of_columns}


def leaf(of):
    digests = sorted(bytes.fromhex(one) for one in of["row_digests"])
    head = struct.pack(">BIQ", of["bits"], of["index"], len(digests))
    return derived("attestore leaf v1", head + b"".join(digests)).hex()


def range_leaf(of):
    records = sorted((int(key) + 2**63, bytes.fromhex(digest)) for key, digest in of["rows"])
    body = b"".join(struct.pack(">Q", code) + digest for code, digest in records)
    return derived("attestore range v1", struct.pack(">I", of["index"]) + body + struct.pack(">Q", len(records))).hex()


def place(part, spec):
    ((kind, value),) = spec.items()
    most = 2 ** part["bits"] - 1
    if kind == "infinity":
        return most
    if kind not in ("integer", "boolean", "date", "datetime", "instant"):
        return 0
    number = int(value)
    # Stamps are what their 64 bits are as a signed number.
    number -= 2**64 if kind in ("datetime", "instant") and number >= 2**63 else 0
    return max(0, min(most, number + (2 ** (part["bits"] - 1) if part["signed"] else 0)))


def code(order, key):
    whole = 0
    for part, spec in zip(order, key):
        whole = whole << part["bits"] | place(part, spec)
    return struct.pack(">Q", whole).hex()


class Number(str):
    pass


def json_text(value):
    if isinstance(value, Number):
        sign, whole, fraction, exponent = re.fullmatch(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?", value).groups("")
        digits, power = (whole + fraction).lstrip("0"), int(exponent or 0) - len(fraction)
        power += len(digits) - len(digits.rstrip("0"))
        return (sign + digits.rstrip("0") + (f"e{power}" if power else "")) if digits else "0"
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode())
        return "{" + ",".join(json_text(name) + ":" + json_text(one) for name, one in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(json_text(one) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def parsed(text):
    return {"json": json_text(json.loads(text, parse_int=Number, parse_float=Number, parse_constant=lambda name: 1 / 0))}


def element(spec):
    ((kind, value),) = spec.items()
    if kind in ("f32", "f64"):
        return Number(repr(struct.unpack(">f" if kind == "f32" else ">d", bytes.fromhex(value))[0]))
    return {"null": None, "boolean": value, "text": value, "enum": value}[kind] if kind in ("null", "boolean", "text", "enum") else Number(value)


def nested(lengths, elements):
    if not lengths:
        return element(next(elements))
    return [nested(lengths[1:], elements) for _ in range(lengths[0])]


def stripped(text):
    negative, unsigned = text.startswith("-"), text.lstrip("-")
    unsigned = unsigned.rstrip("0").rstrip(".") if "." in unsigned else unsigned
    return ("-" if negative else "") + (unsigned.lstrip("0") or "0")


CLOCK = r"(\d{2,4}):([0-5]\d)(?::([0-5]\d)(?:\.(\d{1,6}))?)?"


def micros(clock):
    hours, minutes, seconds, fraction = clock
    return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds or 0)) * 1000000 + int((fraction or "").ljust(6, "0"))


def day(text):
    year, month, number = (int(part) for part in re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)", text).groups())
    try:
        return (date(year, month, number) - date(1970, 1, 1)).days, None
    except ValueError:
        assert month <= 12 and number <= 31
        return None, [year, month, number]


def stamp(text, of):
    if text in ("infinity", "-infinity"):
        return {"minus_infinity" if text[0] == "-" else "infinity": of}
    if of == "date":
        days, partial = day(text)
        return {"date": days} if partial is None else {"partial": ["date", *partial, 0]}
    first, clock = re.fullmatch(r"([^T ]*)(?:[T ](.*))?", text).groups()
    *clock, zone = re.fullmatch(CLOCK + r"(Z|[+-].*)?", clock or "00:00:00").groups()
    assert of == "instant" or zone is None
    east = 0
    if zone not in (None, "Z"):
        east = micros(re.fullmatch(CLOCK, zone[1:] if ":" in zone else zone[1:] + ":00").groups()) * (-1 if zone[0] == "-" else 1)
    within = micros(clock)
    assert within < 86400000000
    days, partial = day(first)
    return {of: days * 86400000000 + within - east} if partial is None else {"partial": [of, *partial, within]}


def brought(kind, spec):
    """The field of the logical type; whatever fails here has no such form."""
    ((own, value),) = spec.items()
    number = {"f32": ">f", "f64": ">d"}.get(own) and struct.unpack({"f32": ">f", "f64": ">d"}[own], bytes.fromhex(value))[0]
    if own == "integer" and abs(int(value)) <= 2**53:
        number = float(value)
    if kind == "boolean" and own != "boolean":
        return {"boolean": {"0": False, "1": True}[value]}
    if kind == "integer" and own == "boolean":
        return {"integer": str(int(value))}
    if kind == "integer" and own == "decimal":
        assert abs(int(stripped(value))) < 2**64
        return {"integer": stripped(value)}
    if kind == "decimal" and own in ("decimal", "integer", "text") and value not in ("NaN", "Infinity", "-Infinity"):
        assert re.fullmatch(r"-?\d+(\.\d+)?", value)
        return {"decimal": stripped(value)}
    if kind == "decimal" and own == "f64":
        shown = stripped(format(Decimal(repr(number)), "f"))
        assert repr(number) != "-0.0" and len(re.sub(r"\D", "", shown).strip("0")) <= 15
        return {"decimal": shown}
    if kind in ("real", "double"):
        packed = struct.pack(">f" if kind == "real" else ">d", number)
        assert struct.unpack(">f" if kind == "real" else ">d", packed)[0] == number
        return {"f32" if kind == "real" else "f64": packed.hex()}
    if kind in ("text", "char") and own in ("text", "enum", "set"):
        return {"text": value.rstrip(" ") if kind == "char" else value}
    if kind == "text" and own == "boolean":
        return {"text": "true" if value else "false"}
    if kind == "text" and own == "uuid":
        return {"text": re.sub(r"(.{8})(.{4})(.{4})(.{4})(.{12})", r"\1-\2-\3-\4-\5", value)}
    if kind in ("date", "datetime", "instant") and own == "text":
        return stamp(value, kind)
    if kind == "instant" and own == "datetime":
        return {"instant": value}
    if kind == "time" and own == "text":
        whole = micros(re.fullmatch(CLOCK, value.removeprefix("-")).groups())
        return {"time": -whole if value[0] == "-" else whole}
    if kind in ("json", "array") and own in ("json", "jsonb", "text"):
        return parsed(value)
    if kind in ("json", "array") and own == "array":
        elements = iter(value["elements"])
        return {"json": json_text(nested([one[0] for one in value["dimensions"]], elements) if value["dimensions"] else [])}
    if kind == "uuid" and own in ("text", "bytes"):
        assert len(bytes.fromhex(value.strip("{}").replace("-", ""))) == 16
        return {"uuid": value.strip("{}").replace("-", "").lower()}
    if kind == "inet" and own == "text":
        plain, _, prefix = value.partition("/")
        address = ipaddress.ip_address(plain)
        bits = int(prefix) if prefix else address.max_prefixlen
        assert bits <= address.max_prefixlen
        return {"network": (bytes([2 if address.version == 4 else 3, bits, 0, address.max_prefixlen // 8]) + address.packed).hex()}
    if kind == "inet" and own == "network":
        return {"network": value[:4] + "00" + value[6:]}
    if kind == "bits" and own == "text":
        assert re.fullmatch("[01]*", value)
        return {"bits": value}
    if kind == "geometry" and own == "bytes":
        return {"geometry": value}
    return spec


def form(kind, spec):
    try:
        return field(brought(kind, spec)).hex()
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError, struct.error):
        return field(spec).hex()


CODES = [
    ([{"column": "id", "type": "integer", "bits": 64, "signed": True}], [{"integer": "-1"}]),
    ([{"column": "id", "type": "integer", "bits": 64, "signed": False}], [{"integer": "18446744073709551615"}]),
    ([{"column": "day", "type": "date", "bits": 32, "signed": True}, {"column": "account", "type": "integer", "bits": 24, "signed": False}], [{"date": 20000}, {"integer": "7"}]),
    ([{"column": "a", "type": "boolean", "bits": 1, "signed": False}, {"column": "b", "type": "integer", "bits": 16, "signed": True}], [{"boolean": True}, {"integer": "-32768"}]),
    ([{"column": "at", "type": "instant", "bits": 64, "signed": True}], [{"infinity": "instant"}]),
    ([{"column": "at", "type": "instant", "bits": 64, "signed": True}], [{"minus_infinity": "instant"}]),
    ([{"column": "at", "type": "datetime", "bits": 64, "signed": True}], [{"datetime": 9223372036854775808}]),
    ([{"column": "id", "type": "integer", "bits": 64, "signed": True}], [{"null": True}]),
]

FORMS = [
    ("boolean", {"integer": "1"}), ("boolean", {"integer": "2"}), ("boolean", {"bits": "1"}), ("boolean", {"boolean": False}), ("boolean", {"text": "t"}),
    ("integer", {"boolean": True}), ("integer", {"decimal": "120.00"}), ("integer", {"decimal": "1.5"}), ("integer", {"integer": "-7"}),
    ("decimal", {"decimal": "1.50"}), ("decimal", {"decimal": "100"}), ("decimal", {"decimal": "-0.00"}), ("decimal", {"decimal": "NaN"}), ("decimal", {"integer": "-100"}),
    ("decimal", {"text": "-012.50"}), ("decimal", {"text": "1,5"}), ("decimal", {"f64": "3fb999999999999a"}), ("decimal", {"f64": "3fb999999999999b"}), ("decimal", {"f64": "8000000000000000"}), ("decimal", {"f64": "4415af1d78b58c40"}),
    ("real", {"f64": "3ff8000000000000"}), ("real", {"f64": "3fb999999999999a"}), ("real", {"integer": "16777216"}), ("double", {"f32": "3fc00000"}), ("double", {"integer": "9007199254740993"}),
    ("text", {"enum": "ok"}), ("text", {"set": "x,z"}), ("text", {"text": "a "}), ("text", {"boolean": True}), ("text", {"uuid": "a0eebc999c0b4ef8bb6d6bb9bd380a11"}), ("char", {"text": "ab   "}),
    ("date", {"text": "2026-01-31"}), ("date", {"text": "0000-00-00"}), ("date", {"text": "2026-02-30"}), ("date", {"text": "infinity"}), ("date", {"text": "31.1.2026"}), ("date", {"date": 5}),
    ("time", {"text": "12:30"}), ("time", {"text": "-838:59:59.5"}), ("time", {"text": "1:00"}), ("datetime", {"text": "2026-01-31 12:30:00.000001"}), ("datetime", {"text": "2026-01-31T12:30"}),
    ("datetime", {"text": "2026-01-31 12:30:00Z"}), ("datetime", {"text": "2026-02-00 01:02:03"}), ("datetime", {"text": "2026-01-31 24:00:00"}),
    ("instant", {"text": "2026-01-31 14:30:00.5+02"}), ("instant", {"text": "2026-01-31T12:30:00-05:30"}), ("instant", {"text": "2026-01-31"}), ("instant", {"datetime": 7}), ("instant", {"infinity": "instant"}),
    ("json", {"json": ' {"b" : 1.50, "a":[true,null,"\\u00e9\\n/"], "a": 1E2, "é": -0.0} '}), ("json", {"text": "12345678901234567890.10"}), ("json", {"jsonb": '"\\u001f\\""'}), ("json", {"json": "01"}), ("json", {"text": "{"}),
    ("array", {"array": {"dimensions": [[2, 0], [1, 5]], "elements": [{"integer": "10"}, {"null": True}]}}), ("array", {"array": {"dimensions": [], "elements": []}}),
    ("array", {"array": {"dimensions": [[3, 1]], "elements": [{"f32": "3fc00000"}, {"decimal": "0.10"}, {"text": "x\n"}]}}), ("array", {"json": "[1, 2]"}),
    ("uuid", {"text": "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}"}), ("uuid", {"bytes": "a0eebc999c0b4ef8bb6d6bb9bd380a11"}), ("uuid", {"text": "a0ee"}),
    ("inet", {"text": "10.0.0.1/8"}), ("inet", {"text": "::1"}), ("inet", {"network": "020801040a000000"}), ("inet", {"text": "host"}), ("bits", {"text": "10101"}), ("bits", {"text": "2"}), ("bits", {"bits": "101"}),
    ("geometry", {"bytes": "0000000001"}), ("bytes", {"bytes": "00ff"}), ("as-stored", {"interval": [1, 2, 3]}),
]

ROWS = [
    ("no columns", [], []),
    ("integers and NULL", [{"integer": "-2"}, {"null": True}, {"integer": "18446744073709551615"}, {"integer": "0"}], [0]),
    ("('x0', 'y')", [{"text": "x0"}, {"text": "y"}], [0, 1]),
    ("('x', '0y')", [{"text": "x"}, {"text": "0y"}], [0, 1]),
    ("NULL is not 'NULL'", [{"text": "NULL"}, {"text": ""}, {"text": "zü😀 "}, {"text_hex": "61ff"}], [2]),
    ("decimals", [{"decimal": text} for text in ["1.50", "1.5", "-0.0001", "0", "-0.00", "100", "NaN", "Infinity", "-Infinity"]], []),
    ("floats", [{"f32": "3f800000"}, {"f32": "7fc00000"}, {"f64": "8000000000000000"}, {"f64": "7ff8000000000000"}, {"f64": "0000000000000001"}], []),
    ("dates", [{"date": -1}, {"infinity": "date"}, {"minus_infinity": "instant"}, {"partial": ["date", 0, 0, 0, 0]}, {"partial": ["datetime", 2026, 2, 0, 3723500000]}], []),
    ("dates of a year 0", [{"date": -719163}, {"partial": ["date", 0, 2, 3, 0]}, {"partial": ["instant", 0, 0, 0, 0]}], [0]),
    ("what has no end", [{"infinity": "instant"}, {"interval": [2147483647, 2147483647, 9223372036854775807]}, {"interval": [-2147483648, -2147483648, -9223372036854775808]}], [0]),
    ("times", [{"datetime": 1}, {"instant": -1}, {"time": -3020399999999}, {"time_zoned": [43200000000, -10800]}, {"interval": [1, -2, 3500000]}], [1]),
    ("stamps beyond half of 64 bits", [{"datetime": 9223372036854775807}, {"instant": 9223372036854775808}, {"instant": 9224318015999999999}], [1]),
    ("documents and labels", [{"json": '{"a" : 1}'}, {"jsonb": '{"a": 1}'}, {"enum": "ok"}, {"set": "x,z"}], []),
    ("an enum's empty label, its error value, a set by its number", [{"enum": ""}, {"integer": "0"}, {"integer": "3"}], []),
    ("values that the server prints", [{"opaque": ["regclass::text", "6170702e74"]}, {"opaque": ["seg[]::text", "7b312e2e327d"]}], [0]),
    ("bytes of a kind", [{"bytes": "00ff"}, {"bytes": ""}, {"bits": "10101"}, {"bits": ""}, {"uuid": "a0eebc999c0b4ef8bb6d6bb9bd380a11"}, {"network": "022000040a000001"}, {"hardware": "08002b010203"}, {"geometry": "0000000001"}, {"boolean": True}], [4]),
    ("nested", [{"array": {"dimensions": [[2, 0]], "elements": [{"integer": "1"}, {"null": True}]}}, {"array": {"dimensions": [], "elements": []}}, {"composite": [{"integer": "1"}, {"text": "a"}]}, {"range": {"flags": 2, "bounds": [{"integer": "1"}, {"integer": "5"}]}}, {"multirange": [{"flags": 1, "bounds": [{"null": True}, {"null": True}]}]}, {"opaque": ["point", "00"]}], []),
    ("dimensions, a vector, ranges without ends", [{"array": {"dimensions": [[2, 1], [2, -1]], "elements": [{"integer": "1"}, {"integer": "2"}, {"integer": "3"}, {"integer": "4"}]}}, {"array": {"dimensions": [[2, 1]], "elements": [{"f32": "3f800000"}, {"f32": "80000000"}]}}, {"range": {"flags": 8, "bounds": [{"null": True}, {"integer": "5"}]}}, {"range": {"flags": 24, "bounds": [{"null": True}, {"null": True}]}}], []),
    ("bits of whole and of part of a byte", [{"bits": "1"}, {"bits": "11111111"}, {"bits": "100000000001"}, {"network": "0380001000000000000000000000ffff0a000001"}, {"network": "020801040a000000"}], []),
    ("longer than a chunk", [{"text": "0123456789" * 250}, {"bytes": "ab" * 1500}], [0]),
]


def make():
    hash_key = bytes([7]) * 32
    rows = [dict(name=name, fields=fields, key=key) for name, fields, key in ROWS]
    rows = [dict(vector, **computed(hash_key, vector)) for vector in rows]
    digests = [vector["row_digest"] for vector in rows]
    leaves = [dict(bits=0, index=0, row_digests=some) for some in ([], digests[:3], digests[:3] + digests[:2])]
    leaves = [dict(one, digest=leaf(one)) for one in leaves]
    keyed_rows = [[str(key), digest] for key, digest in zip([5, -3, 9007199254740993, 0], digests)]
    ranges = [dict(index=0, rows=some) for some in ([], keyed_rows[:1], keyed_rows)]
    ranges = [dict(one, digest=range_leaf(one)) for one in ranges]
    codes = [dict(order=order, key=key, code=code(order, key)) for order, key in CODES]
    forms = [dict(type=kind, field=spec, form=form(kind, spec)) for kind, spec in FORMS]
    document = {"encoding": "attestore/rows/v1", "hash_key": hash_key.hex(), "rows": rows, "leaves": leaves, "ranges": ranges, "codes": codes}
    document |= {"logical_encoding": "attestore/rows-logical/v1", "forms": forms}
    json.dump(document, sys.stdout, indent=1, ensure_ascii=False)
    print()


def check(path):
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    hash_key, wrong = bytes.fromhex(document["hash_key"]), []
    for vector in document["rows"]:
        for name, value in computed(hash_key, vector).items():
            if vector[name] != value:
                wrong.append(f"{vector['name']}: {name}: expected {vector[name]}, found {value}")
    for at, one in enumerate(document["leaves"]):
        if one["digest"] != leaf(one):
            wrong.append(f"leaf {at}: expected {one['digest']}, found {leaf(one)}")
    for at, one in enumerate(document["ranges"]):
        if one["digest"] != range_leaf(one):
            wrong.append(f"range {at}: expected {one['digest']}, found {range_leaf(one)}")
    for at, one in enumerate(document["codes"]):
        if one["code"] != code(one["order"], one["key"]):
            wrong.append(f"code {at}: expected {one['code']}, found {code(one['order'], one['key'])}")
    for one in document["forms"]:
        if one["form"] != form(one["type"], one["field"]):
            wrong.append(f"{one['field']} as {one['type']}: expected {one['form']}, found {form(one['type'], one['field'])}")
    counts = ", ".join(f"{len(document[of])} {of}" for of in ("rows", "leaves", "ranges", "codes", "forms"))
    print("\n".join(wrong) or f"{counts} agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(make() if sys.argv[1] == "--make" else check(sys.argv[1]))
