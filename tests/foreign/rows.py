"""Canonical rows from their specification (src/verify/sql/rows/ROWS.md) alone, with a BLAKE3 of its own; no package is needed.

`rows.py VECTORS` recomputes every vector and says what differs; `rows.py --make` prints the vectors.
"""

import json
import struct
import sys

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
    if kind == "bits_sent":
        return b"\x17" + struct.pack(">Q", value[0]) + sized(bytes.fromhex(value[1]))
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


ROWS = [
    ("no columns", [], []),
    ("integers and NULL", [{"integer": "-2"}, {"null": True}, {"integer": "18446744073709551615"}, {"integer": "0"}], [0]),
    ("('x0', 'y')", [{"text": "x0"}, {"text": "y"}], [0, 1]),
    ("('x', '0y')", [{"text": "x"}, {"text": "0y"}], [0, 1]),
    ("NULL is not 'NULL'", [{"text": "NULL"}, {"text": ""}, {"text": "zü😀 "}, {"text_hex": "61ff"}], [2]),
    ("decimals", [{"decimal": text} for text in ["1.50", "1.5", "-0.0001", "0", "-0.00", "100", "NaN", "Infinity", "-Infinity"]], []),
    ("floats", [{"f32": "3f800000"}, {"f32": "7fc00000"}, {"f64": "8000000000000000"}, {"f64": "7ff8000000000000"}, {"f64": "0000000000000001"}], []),
    ("dates", [{"date": -1}, {"infinity": "date"}, {"minus_infinity": "instant"}, {"partial": ["date", 0, 0, 0, 0]}, {"partial": ["datetime", 2026, 2, 0, 3723500000]}], []),
    ("times", [{"datetime": 1}, {"instant": -1}, {"time": -3020399999999}, {"time_zoned": [43200000000, -10800]}, {"interval": [1, -2, 3500000]}], [1]),
    ("stamps beyond half of 64 bits", [{"datetime": 9223372036854775807}, {"instant": 9223372036854775808}, {"instant": 9224318015999999999}], [1]),
    ("documents and labels", [{"json": '{"a" : 1}'}, {"jsonb": '{"a": 1}'}, {"enum": "ok"}, {"set": "x,z"}], []),
    ("an enum's empty label, its error value, a set by its number", [{"enum": ""}, {"integer": "0"}, {"integer": "3"}], []),
    ("values that the server prints", [{"opaque": ["regclass::text", "6170702e74"]}, {"opaque": ["seg[]::text", "7b312e2e327d"]}], [0]),
    ("bytes of a kind", [{"bytes": "00ff"}, {"bytes": ""}, {"bits": "10101"}, {"bits": ""}, {"uuid": "a0eebc999c0b4ef8bb6d6bb9bd380a11"}, {"network": "022000040a000001"}, {"hardware": "08002b010203"}, {"geometry": "0000000001"}, {"boolean": True}], [4]),
    ("nested", [{"array": {"dimensions": [[2, 0]], "elements": [{"integer": "1"}, {"null": True}]}}, {"array": {"dimensions": [], "elements": []}}, {"composite": [{"integer": "1"}, {"text": "a"}]}, {"range": {"flags": 2, "bounds": [{"integer": "1"}, {"integer": "5"}]}}, {"multirange": [{"flags": 1, "bounds": [{"null": True}, {"null": True}]}]}, {"opaque": ["point", "00"]}], []),
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
    document = {"encoding": "attestore/rows/v1-draft", "hash_key": hash_key.hex(), "rows": rows, "leaves": leaves, "ranges": ranges}
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
    print("\n".join(wrong) or f"{len(document['rows'])} rows, {len(document['leaves'])} leaves and {len(document['ranges'])} ranges agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(make() if sys.argv[1] == "--make" else check(sys.argv[1]))
