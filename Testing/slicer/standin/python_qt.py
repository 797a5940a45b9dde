"""PythonQt's rules for Qt objects, laid over PySide6: what Slicer's Python refuses is refused here.

PythonQt, by which Slicer shows Qt to Python, differs from PySide6: a property is an attribute and not a pair of
methods, nothing can be set that the C++ class does not have, a signal that does not exist is reported and not raised,
lists come back as tuples, slots take no keywords. `lay` puts these rules on every QObject, `lift` takes them away.
Functions of classes and methods of what is no QObject (items, icons, sizes) stay PySide6's.

A stand-in's class (one of this package) shows with its public names what the C++ class shows to Python; names with an
underscore are its own. `_signals` says how C++ spells its signals: {"currentNodeChanged(vtkMRMLNode*)": "_changed"}.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import FunctionType, MethodType
from typing import Any

import shiboken6
from PySide6.QtCore import SIGNAL, QMetaMethod, QMetaObject, QObject

Function = Callable[..., Any]

PLAIN_GET = QObject.__getattribute__
STAND_IN = __name__.partition(".")[0]
BINDINGS = frozenset({"PySide6", "Shiboken", "builtins"})

# What PySide6 adds to Qt, or opens of it.
HIDDEN = frozenset({"emit", "receivers", "isSignalConnected", "sender", "senderSignalIndex"})

# What a property of a plain type takes; PySide6 would take, and lose, anything.
ACCEPTED = {"QString": (str, int, float), "int": (int, float), "double": (int, float), "bool": int, "QStringList": list}

# The connections made by Python code: what is called, and what PySide6 calls instead, by object and signal.
_targets: dict[tuple[int, str], list[tuple[Function, Function]]] = {}

_plain_setters: dict[type, Function] = {}
_loading: list[bool] = []


class Member:
    """A bound slot or method as PythonQt calls it: no keywords, and lists come back as tuples."""

    def __init__(self, owner: QObject, name: str, function: Function) -> None:
        self._owner, self._name, self._function = owner, name, function

    def __call__(self, *values: Any) -> Any:
        return frozen(self._function(*values))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Member) and (self._owner, self._name) == (other._owner, other._name)

    def __hash__(self) -> int:
        return hash((self._owner, self._name))

    def __repr__(self) -> str:
        return f"<slot {self._name} of {class_name(self._owner)}>"


class BoundSignal:
    """A signal as an attribute: `button.clicked.connect(f)`. Of overloads it is the first that the class declares."""

    def __init__(self, owner: QObject, signature: str) -> None:
        self._owner, self._signature = owner, signature

    def connect(self, function: Function) -> bool:
        """Call a function at the signal."""
        return connect(self._owner, self._signature, function)

    def disconnect(self, function: Function | None = None) -> bool:
        """Call the function, or every function, no more."""
        return disconnect(self._owner, self._signature, function)

    def emit(self, *values: Any) -> None:
        """Send the signal."""
        name, _, kinds = native_signal(self._owner, self._signature).rstrip(")").partition("(")
        signal = PLAIN_GET(self._owner, name)
        (signal[kinds] if kinds else signal).emit(*values)


def lay() -> None:
    """Put the rules on every Qt object of this process; on classes that PySide6 makes later they are not."""
    QObject.__getattribute__ = _get
    for kind in _bound_classes(shiboken6.Object):
        _plain_setters[kind] = kind.__setattr__
    for kind in _plain_setters:
        kind.__setattr__ = _set if issubclass(kind, QObject) else _set_on_value


def lift() -> None:
    """Take the rules away: PySide6 is as it was."""
    QObject.__getattribute__ = PLAIN_GET
    for kind, setter in _plain_setters.items():
        kind.__setattr__ = setter
    _plain_setters.clear()
    _targets.clear()


@contextmanager
def loading() -> Iterator[None]:
    """While PySide6's loader works, which sets every widget as an attribute of the outermost: that comes to nothing."""
    _loading.append(True)
    try:
        yield
    finally:
        _loading.pop()


def class_name(thing: QObject) -> str:
    """The name of an object's class."""
    return PLAIN_GET(thing, "metaObject")().className()


def frozen(value: Any) -> Any:
    """A value as PythonQt hands it over: lists are tuples."""
    return tuple(value) if isinstance(value, list) else value


def has_property(thing: QObject, name: str) -> bool:
    """Whether an object's class declares a property."""
    return _property_index(thing, name) >= 0


def connect(sender: QObject, signature: str, function: Function) -> bool:
    """Call a function at a signal, named as C++ spells it; False, and a line on standard error, if there is none."""
    native = native_signal(sender, signature)
    if native is None:
        return _no_such_signal("connect", sender, signature)
    if not callable(function):
        raise TypeError(f"connect needs something to call, not {type(function).__name__}")
    taken = _parameters_taken(function)

    def receiver(*values: Any) -> None:
        function(*map(frozen, values[:taken]))

    QObject.connect(sender, SIGNAL(native), receiver)
    _targets.setdefault(_key(sender, native), []).append((function, receiver))
    return True


def disconnect(sender: QObject, signature: str, function: Function | None = None) -> bool:
    """Undo `connect`; without a function, for all of them. False if there was nothing to undo."""
    native = native_signal(sender, signature)
    if native is None:
        return _no_such_signal("disconnect", sender, signature)
    targets = _targets.get(_key(sender, native), [])
    found = [target for target in targets if function is None or target[0] == function]
    ended = found if function is None else found[:1]
    for target in ended:
        QObject.disconnect(sender, SIGNAL(native), target[1])
        targets.remove(target)
    return bool(ended)


def forget(sender: QObject) -> None:
    """Undo every connection that Python code made to an object's signals."""
    pointer = shiboken6.getCppPointer(sender)[0]
    for key in [key for key in _targets if key[0] == pointer]:
        for _function, receiver in _targets.pop(key):
            QObject.disconnect(sender, SIGNAL(key[1]), receiver)


def normalized(signature: str) -> str:
    """A signature without needless blanks and references."""
    return bytes(QMetaObject.normalizedSignature(signature)).decode()


def native_signal(sender: QObject, signature: str) -> str | None:
    """PySide6's spelling of a signal that C++ spells so; None if the object has none such."""
    wanted = normalized(signature.removeprefix("2"))
    spelled = _spelled(type(sender))
    if wanted in spelled:
        return next(_signatures(sender, spelled[wanted]))
    hidden = any(wanted.startswith(f"{name}(") for name in spelled.values())
    return wanted if not hidden and wanted in _signatures(sender, wanted.partition("(")[0]) else None


def _bound_classes(kind: type) -> Iterator[type]:
    """A class and all below it that the binding made; each has a `__setattr__` of its own."""
    if kind.__module__.partition(".")[0] in BINDINGS:
        yield kind
        for derived in kind.__subclasses__():
            yield from _bound_classes(derived)


def _no_such_signal(verb: str, sender: QObject, signature: str) -> bool:
    print(f"PythonQt: QObject::{verb}() signal '{signature}' does not exist on {class_name(sender)}", file=sys.stderr)
    return False


def _key(sender: QObject, native: str) -> tuple[int, str]:
    return shiboken6.getCppPointer(sender)[0], native


def _parameters_taken(function: Function) -> int | None:
    """How many of a signal's values a function gets: what it has room for. Anything but a function gets them all."""
    plain = function.__func__ if isinstance(function, MethodType) else function
    if not isinstance(plain, FunctionType) or plain.__code__.co_flags & 0x04:  # takes *args
        return None
    return plain.__code__.co_argcount - isinstance(function, MethodType)


@cache
def _spelled(kind: type) -> dict[str, str]:
    """The signals of the stand-in's classes among a class's ancestors, as C++ spells them."""
    return {text: name for base in reversed(kind.__mro__) for text, name in base.__dict__.get("_signals", {}).items()}


def _signatures(thing: QObject, name: str) -> Iterator[str]:
    """The signals of a name that PySide6 knows of an object, in the order in which the classes declare them."""
    meta = PLAIN_GET(thing, "metaObject")()
    for index in range(meta.methodCount()):
        method = meta.method(index)
        if method.methodType() == QMetaMethod.MethodType.Signal and bytes(method.name()).decode() == name:
            yield bytes(method.methodSignature()).decode()


@cache
def _home(kind: type, name: str) -> str | None:
    """Which package defines an attribute of a class: Qt's binding, the stand-in, or the code under test."""
    for base in kind.__mro__:
        if name in base.__dict__:
            package = base.__module__.partition(".")[0]
            return "qt" if package in BINDINGS else "stand-in" if package == STAND_IN else "python"
    return None


@cache
def _overrides(kind: type, name: str) -> bool:
    """Whether the stand-in overrides a virtual function of Qt, which Qt must find as such."""
    own = any(name in base.__dict__ for base in kind.__mro__ if base.__module__.partition(".")[0] in BINDINGS)
    return own and _home(kind, name) == "stand-in" and isinstance(getattr(kind, name), FunctionType)


@cache
def _is_derived(kind: type) -> bool:
    """Whether code under test derives this class; only then may an object get new attributes."""
    packages = {base.__module__.partition(".")[0] for base in kind.__mro__}
    return not packages <= BINDINGS | {STAND_IN}


@cache
def _is_stand_in(kind: type) -> bool:
    """Whether a class is one of this package, which may keep what it needs under names with an underscore."""
    return any(base.__module__.partition(".")[0] == STAND_IN for base in kind.__mro__)


def _property_index(thing: QObject, name: str) -> int:
    """Where an object's class keeps a property; -1 if it has none of the name."""
    meta = PLAIN_GET(thing, "metaObject")()
    # PythonQt keeps QTimer.singleShot for the function and leaves the property out.
    return -1 if name == "singleShot" else meta.indexOfProperty("objectName" if name == "name" else name)


def _get(self: QObject, name: str) -> Any:
    home = _home(type(self), name)
    if name.startswith("_") or home == "python" or _overrides(type(self), name):
        return PLAIN_GET(self, name)
    if _property_index(self, name) >= 0:
        name = "objectName" if name == "name" else name
        return frozen(PLAIN_GET(self, name)() if home == "qt" else PLAIN_GET(self, "property")(name))
    spelled = next((text for text in _spelled(type(self)) if text.partition("(")[0] == name), None)
    signature = spelled or next(_signatures(self, name), None)
    if signature is not None:
        return BoundSignal(self, signature)
    if name in PLAIN_GET(self, "__dict__"):
        return PLAIN_GET(self, name)
    if name in _EXTRAS:
        return Member(self, name, lambda *values: _EXTRAS[name](self, *values))
    if home is not None and name not in HIDDEN:
        value = PLAIN_GET(self, name)
        return Member(self, name, value) if callable(value) and not isinstance(value, type) else value
    if name.encode() in PLAIN_GET(self, "dynamicPropertyNames")():
        return frozen(PLAIN_GET(self, "property")(name))
    raise AttributeError(f"{class_name(self)} has no attribute named '{name}'")


def _set(self: QObject, name: str, value: Any) -> None:
    index = -1 if name.startswith("__") else _property_index(self, name)
    home = _home(type(self), name)
    if index >= 0:
        _set_property(self, index, value)
    elif _loading and isinstance(value, QObject) and not name.startswith("_"):
        pass
    elif home == "qt" and not name.startswith("_"):
        raise AttributeError(f"'{name}' can not be overwritten on {class_name(self)} object")
    elif name.encode() in PLAIN_GET(self, "dynamicPropertyNames")():
        PLAIN_GET(self, "setProperty")(name, value)
    elif _is_derived(type(self)) or home == "stand-in" or (name.startswith("_") and _is_stand_in(type(self))):
        _set_plainly(self, name, value)
    else:
        raise AttributeError(
            f"'{name}' does not exist on {class_name(self)} and creating new attributes on C++ objects is not allowed"
        )


def _set_on_value(self: Any, name: str, value: Any) -> None:
    """What is no QObject, such as a table's item, has no properties; only what is a member in C++ can be set."""
    is_member = hasattr(type(getattr(type(self), name, None)), "__set__")
    if not is_member and not _is_derived(type(self)):
        raise AttributeError(f"'{name}' does not exist on {type(self).__name__}, or can not be overwritten")
    _set_plainly(self, name, value)


def _set_plainly(self: Any, name: str, value: Any) -> None:
    """As `object` does it; Qt's own setters refuse to work under one of ours."""
    descriptor = next((base.__dict__[name] for base in type(self).__mro__ if name in base.__dict__), None)
    if hasattr(type(descriptor), "__set__"):
        type(descriptor).__set__(descriptor, self, value)
    else:
        PLAIN_GET(self, "__dict__")[name] = value


def _set_property(self: QObject, index: int, value: Any) -> None:
    declared = PLAIN_GET(self, "metaObject")().property(index)
    name, kind = declared.name(), declared.typeName()
    if not declared.isWritable():
        raise AttributeError(f"Property '{name}' of {class_name(self)} object is not writable")
    value = list(value) if isinstance(value, tuple) else value
    fits = value is not None and isinstance(value, ACCEPTED.get(kind, object))
    if not fits or not PLAIN_GET(self, "setProperty")(name, value):
        given = type(value).__name__
        raise AttributeError(f"Property '{name}' of type '{kind}' does not accept an object of type {given} ({value})")


def _disconnect(self: QObject, signature: str, function: Function | None = None) -> bool:
    return disconnect(self, signature, function)


def _descendants(self: QObject, kind: type | str, name: str | None = None) -> list[QObject]:
    found = []
    for child in PLAIN_GET(self, "children")():
        fits = PLAIN_GET(child, "inherits")(kind) if isinstance(kind, str) else isinstance(child, kind)
        if fits and name in (None, PLAIN_GET(child, "objectName")()):
            found.append(child)
        found.extend(_descendants(child, kind, name))
    return found


# What PythonQt adds to every object, or does in its own way.
_EXTRAS: dict[str, Function] = {
    "className": class_name,
    "connect": connect,
    "disconnect": _disconnect,
    "delete": shiboken6.delete,
    "findChild": lambda self, kind, name=None: next(iter(_descendants(self, kind, name)), None),
    "findChildren": _descendants,
}
