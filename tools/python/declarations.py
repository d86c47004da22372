"""Reads the interface out of hrm.h: enums, structs, functions, and the lists of keys with their defaults and ranges.

setup.py writes what this finds into the package, so that nothing of the header is declared a second time in Python. It reads
hrm.h's own style of C rather than any: declarations between the tags >>api-status and >>api-layers.
"""
import re
from typing import Any, Dict, Iterator, List, Tuple

NAME = r"[A-Za-z_]\w*"


def split(text: str, separator: str = ",") -> List[str]:
    """Parts of a text between separators that are in no bracket and no string."""
    parts, depth, start, quoted = [], 0, 0, False
    for i, c in enumerate(text):
        if c == '"' and text[i - 1] != "\\":
            quoted = not quoted
        elif not quoted:
            depth += (c in "([{") - (c in ")]}")
            if c == separator and depth == 0:
                parts.append(text[start:i].strip())
                start = i + 1
    return [p for p in parts + [text[start:].strip()] if p]


def call(text: str, at: int) -> Tuple[List[str], int]:
    """The arguments of the call whose bracket opens at `at`, and where it ends."""
    depth, quoted = 0, False
    for i in range(at, len(text)):
        if text[i] == '"' and text[i - 1] != "\\":
            quoted = not quoted
        elif not quoted:
            depth += (text[i] == "(") - (text[i] == ")")
            if depth == 0:
                return split(text[at + 1:i]), i + 1
    raise ValueError("hrm.h: no end of " + text[at:at + 60])


class Header:
    def __init__(self, text: str):
        text = re.sub(r"/\*.*?\*/", lambda m: " " if ">>api-" not in m.group() else m.group(), text, flags=re.S)
        text = text.replace("\\\n", " ").replace("\r", "")
        self.macros: Dict[str, Tuple[List[str], str]] = {}
        begin, end = (re.search(r"/\*[^/]*>>" + tag + r" =", text) for tag in ("api-status", "api-layers"))
        if not begin or not end:
            raise ValueError("hrm.h: the tags >>api-status and >>api-layers are not there")
        for m in re.finditer(r"^#\s*define\s+(%s)(\(([^)]*)\))?[ \t]*(.*)$" % NAME, text[:end.start()], flags=re.M):
            self.macros.setdefault(m.group(1), ([p.strip() for p in (m.group(3) or "").split(",")], m.group(4).strip()))
        interface = text[begin.start():end.start()]
        no_declarations = r"/\*.*?\*/|^[ \t]*#[^\n]*$|\bHRM__PRINTF\(.*?\)|\bextern \"C\" \{"
        interface = re.sub(no_declarations, "", interface, flags=re.S | re.M)
        self.enums: Dict[str, List[str]] = {}
        self.structs: Dict[str, List[Tuple[str, Any, int]]] = {}
        self.functions: Dict[str, Tuple[str, List[Any]]] = {}
        self.callbacks: Dict[str, Tuple[str, Any]] = {}  # named types of pointers to functions
        for statement in split(interface, ";"):
            self.declaration(" ".join(statement.split()))

    def declaration(self, text: str) -> None:
        enum = re.match(r"typedef enum (%s) \{(.*)\}" % NAME, text)
        struct = re.match(r"typedef struct (%s) \{(.*)\}" % NAME, text)
        function = re.match(r"HRM_API (.*?)(%s)\((.*)\)$" % NAME, text)
        callback = re.match(r"typedef ([^{]*\(\s*\*.*\))$", text)
        if enum:
            self.enums[enum.group(1)] = self.enumerators(enum.group(2))
        elif struct:
            self.structs[struct.group(1)] = [f for member in split(struct.group(2), ";") for f in self.members(member)]
        elif callback:
            self.callbacks.update([self.pointer_to_function(callback.group(1))])
        elif function and "..." not in function.group(3):
            arguments = [] if function.group(3) == "void" else split(function.group(3))
            self.functions[function.group(2)] = (self.type(function.group(1)), [self.parameter(a) for a in arguments])

    def enumerators(self, body: str) -> List[str]:
        if "=" in body:
            raise ValueError("hrm.h: an enum with numbers of its own: " + body)
        names = []
        for item in re.findall(r"%s(?:\(%s\))?" % (NAME, NAME), body):
            m = re.match(r"(%s)\(" % NAME, item)  # a list of them: LIST(HRM__ENUM)
            names += [entry[0] for entry in self.entries(m.group(1))] if m else [item]
        return names

    def entries(self, macro: str) -> Iterator[List[str]]:
        """The arguments of every X(…) of a list, with those of the lists in it."""
        body = self.macros[macro][1]
        at = 0
        for m in iter(lambda: re.compile(r"\b(%s)\(" % NAME).search(body, at), None):
            arguments, at = call(body, m.end() - 1)
            if m.group(1) == "X":
                yield arguments
            else:
                yield from self.entries(m.group(1))

    def text(self, expression: str, values: Dict[str, str] = {}) -> str:
        """The string that literals and macros, one after the other, make."""
        out, at = "", 0
        while at < len(expression):
            literal = re.compile(r'\s*"((?:[^"\\]|\\.)*)"').match(expression, at)
            word = re.compile(r"\s*(%s)" % NAME).match(expression, at)
            if literal:
                out, at = out + literal.group(1), literal.end()
            elif word:
                name, at = word.group(1), word.end()
                if name in values:
                    out += values[name]
                    continue
                parameters, body = self.macros[name]
                arguments: List[str] = []
                if expression[at:at + 1] == "(":
                    arguments, at = call(expression, at)
                out += self.text(body, {p: self.text(a, values) for p, a in zip(parameters, arguments)})
            elif expression[at:].strip() == "":
                break
            else:
                raise ValueError("hrm.h: no string: " + expression)
        return out

    def number(self, text: str) -> float:
        return float(self.number(self.macros[text][1]) if text in self.macros else text)

    @staticmethod
    def type(text: str) -> str:
        """`const hrm_model_desc *` and the like, without `struct`, each star by itself."""
        return " ".join(re.sub(r"\b(struct|enum) ", "", text).replace("*", " * ").split())

    def pointer_to_function(self, text: str) -> Tuple[str, Any]:
        m = re.match(r"(.*?)\(\s*\*\s*(%s)\s*\)\s*\((.*)\)$" % NAME, text)
        if not m:
            raise ValueError("hrm.h: not understood: " + text)
        return m.group(2), (self.type(m.group(1)), [self.parameter(a) for a in split(m.group(3))])

    def parameter(self, text: str) -> Any:
        if "(" in text:
            return self.pointer_to_function(text)[1]
        m = re.match(r"(.*?)(%s)\s*(\[.*\])?$" % NAME, text)
        if not m:
            raise ValueError("hrm.h: not understood: " + text)
        kind = self.type(m.group(1) + (" *" if m.group(3) else ""))
        return self.callbacks.get(kind, kind)

    def members(self, text: str) -> Iterator[Tuple[str, Any, int]]:
        """(name, type, length of an array or 0) of `T *a, *b, c[4]`"""
        if "(" in text:
            yield self.pointer_to_function(text) + (0,)
            return
        base = ""
        for i, declarator in enumerate(split(text)):
            m = re.match(r"(.*?)(\**)\s*(%s)\s*(?:\[(\w+)\])?$" % NAME, declarator)
            if not m or (i and m.group(1)):
                raise ValueError("hrm.h: not understood: " + text)
            base = base or m.group(1)
            yield m.group(3), self.type(base + m.group(2)), int(self.number(m.group(4))) if m.group(4) else 0

    def keys(self, macro: str) -> Dict[str, Dict[str, Any]]:
        """What X(A, kind, key, field, …) tell, by key."""
        out = {}
        for _, kind, key, field, *more in self.entries(macro):
            k: Dict[str, Any] = {"kind": kind, "field": field, "help": self.text(more[-1])}
            if kind in ("INT", "FLOAT"):
                k.update(zip(("default", "low", "high"), map(self.number, more[:3])))
                k["zero"] = more[3]  # the flag which says that 0 is meant; the field itself: 0 is the default
            elif kind == "WORD":
                k["words"] = self.text(more[0]).split("|")
            out[self.text(key)] = k
        return out


def generate(header: str) -> str:
    """The text of hrm/_declarations.py."""
    h = Header(header)
    tables = {
        "VERSION": h.text("HRM_VERSION"),
        "ENUMS": h.enums,
        "STRUCTS": h.structs,
        "FUNCTIONS": h.functions,
        "MODEL_KEYS": h.keys("HRM_MODEL_KEYS"),
        "TRAIN_KEYS": h.keys("HRM_TRAIN_KEYS"),
        "ARCHS": {h.text(name): h.text(sets) for _, name, sets in h.entries("HRM_ARCHS")},
    }
    lines = ['"""Made from hrm.h by declarations.py; not to be changed here."""', "from typing import Any, Dict"]
    for name, table in tables.items():
        if isinstance(table, str):
            lines.append("%s = %r" % (name, table))
        else:
            lines.append("%s: Dict[str, Any] = {" % name)
            lines += ["    %r: %r," % item for item in table.items()] + ["}"]
    return "\n".join(lines) + "\n"
