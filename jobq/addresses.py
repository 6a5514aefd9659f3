"""Addresses of databases: reads every common form, and hides every secret in them.

libpq's own parser reads an address. If it cannot, nothing of the address is shown: a password may be anywhere in it.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote

from jobq.errors import ConfigurationError

HIDDEN = "***"

SCHEME = re.compile(r"([a-z][a-z0-9+._-]*)://", re.IGNORECASE)

POSTGRESQL = {"postgres", "postgresql", "pgsql", "postgis"}
"""Schemes that mean PostgreSQL. The last two are those of web frameworks; each may be followed by a driver:
`+asyncpg`."""

DRIVER_ONLY = {
    "async_fallback", "autocommit", "command_timeout", "conn_health_checks", "conn_max_age", "connection_limit",
    "executemany_batch_page_size", "executemany_mode", "max_cacheable_statement_size",
    "max_cached_statement_lifetime", "max_overflow", "pool", "pool_pre_ping", "pool_recycle", "pool_size",
    "pool_timeout", "prepare_threshold", "prepared_statement_cache_size", "prepared_statement_name_func",
    "prepared_statements", "socket_timeout", "statement_cache_size", "use_insertmanyvalues", "use_native_hstore",
}  # fmt: skip
"""Parameters of other drivers and their pools. They do not say which database it is, so they are left out."""

SSL_MODES = {"true": "require", "on": "require", "1": "require", "false": "disable", "off": "disable", "0": "disable"}
"""Values of other drivers' `ssl`, as libpq's `sslmode`. Any other word is a mode already."""

SECRET_WORD = re.compile(r"p(?!assfile)(?:as+|w)|secret|token|(?:client|server)_key|credential", re.IGNORECASE)
"""Parts of the names of options that hold a secret. `passfile` and `sslkey` are names of files."""

SECRET_VALUE = re.compile(
    rf"(?P<name>\w*(?:{SECRET_WORD.pattern})\w*)(?P<is>\s*=\s*)"
    r"(?:'(?:[^'\\]|\\.)*'?|\"[^\"]*\"?|(?:\\.|[^\s&,;)\]])+)",
    re.IGNORECASE | re.DOTALL,
)

FORM = "user:password@host:port"
"""The form of an address in jobq's own messages: it holds no secret."""

POSTGRESQL_URL = re.compile(rf"(postgres\w*(?:\+\w+)?://)(?!{FORM})[^/\s]*?:.*@", re.IGNORECASE | re.DOTALL)
OTHER_URL = re.compile(rf"(//(?!{FORM})[^:/\s]*):[^\s]*@")

MIN_SECRET = 3
"""Shorter secrets cannot be searched for in a message: they are parts of ordinary words."""


def understood(text: str) -> str:
    """An address as libpq reads it: without blanks and quotes from a file, without a driver's name and options.

    A text that is not a PostgreSQL address stays as it is; `parse` refuses it.
    """
    text = unquoted(text)
    scheme = SCHEME.match(text)
    if scheme is None or not is_postgresql(text):
        return text
    rest = text[scheme.end() :]
    query = start_of_query(rest)
    parameters = "&".join(translated(rest[query + 1 :])) if query < len(rest) else ""
    return f"{scheme_of_libpq(scheme[1])}://{rest[:query]}{'?' * bool(parameters)}{parameters}"


def unquoted(text: str) -> str:
    text = text.strip()
    while len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1].strip()
    return text


def scheme_of_libpq(scheme: str) -> str:
    return "postgres" if scheme.lower().partition("+")[0] == "postgres" else "postgresql"


def is_postgresql(text: str) -> bool:
    """Whether it is a PostgreSQL URL, for any driver."""
    scheme = SCHEME.match(unquoted(text))
    return scheme is not None and scheme[1].lower().partition("+")[0] in POSTGRESQL


def start_of_query(rest: str) -> int:
    """The place of the `?` that begins a URL's parameters. One in the password does not: libpq ends that at the `@`."""
    user_end, path = rest.find("@"), rest.find("/")
    after_user = user_end if user_end >= 0 and (path < 0 or user_end < path) else 0
    found = rest.find("?", after_user)
    return found if found >= 0 else len(rest)


def translated(query: str) -> list[str]:
    """The parameters of a URL in libpq's form, each as `name=value`. Hosts given one by one become a list."""
    places: dict[str, list[str]] = {"host": [], "port": []}
    found = []
    for pair in query.split("&"):
        name, has_value, value = pair.partition("=")
        if name == "host" and has_value:
            host, colon, port = value.partition(":") if re.fullmatch(r"[^/:\[\]%]+:\d+", value) else (value, "", "")
            places["host"].append(host)
            places["port"] += [port] if colon else []
        elif name == "port" and has_value:
            places["port"].append(value)
        elif name == "ssl" and has_value:
            found.append(f"sslmode={SSL_MODES.get(value.lower(), value)}")
        elif name not in DRIVER_ONLY and pair:
            found.append(pair)
    return found + [f"{name}={','.join(values)}" for name, values in places.items() if values]


def parse(address: str, where: str = "database_url") -> dict[str, str]:
    """The parts of an address, by the names of libpq's options.

    Raises ConfigurationError, which names `where` the address is from and quotes nothing of it.
    """
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    scheme = SCHEME.match(address)
    if scheme is not None and not is_postgresql(address):
        raise unreadable(where, "it is not an address of PostgreSQL")
    if scheme is not None:
        refuse_ambiguous(address[scheme.end() :], where)
    try:
        found = {name: str(value) for name, value in conninfo_to_dict(address).items() if value is not None}
    except UnicodeEncodeError:
        raise unreadable(where, "it is not UTF-8") from None
    except ProgrammingError as error:
        raise unreadable(where, in_own_words(str(error))) from None
    refuse_bad_numbers(found, where)
    return found


def unreadable(where: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"{where} is not the address of a PostgreSQL database: {what}. It is not shown, as there may be a password in "
        f"it. Its form is postgresql://{FORM}/database."
    )


def refuse_ambiguous(rest: str, where: str) -> None:
    """If a password is not encoded, libpq would take a part of it for a host or a database, and show it in errors."""
    place = rest[: start_of_query(rest)]
    user, at, others = place.partition("@")
    if (at and "/" in user) or "@" in others:
        raise unreadable(
            where,
            "there is one @ too many in it. In a password, write @ as %40, : as %3A, / as %2F, ? as %3F, # as %23, a "
            "blank as %20",
        )


def refuse_bad_numbers(found: Mapping[str, str], where: str) -> None:
    """Numbers that libpq reads only when it connects. It would quote them, and they may be a part of a password."""
    for port in found.get("port", "").split(","):
        if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise unreadable(where, "its port is not a number of 1 to 65535, or its password is not encoded (: / @)")
    if not re.fullmatch(r"\s*-?\d{0,9}\s*", found.get("connect_timeout", "")):
        raise unreadable(where, "its connect_timeout is not a number of seconds")


def in_own_words(message: str) -> str:
    """libpq's message about an address that it cannot read, without the quoted parts."""
    message = message.strip()
    if (name := re.search(r'(?:option|parameter)\S* "([^"]*)"', message)) and "missing" not in message:
        return f"libpq knows no option that it names{similar(name[1])}"
    return re.sub(r'("[=\]]")|".*"', lambda found: found[1] or '"…"', message, flags=re.S)


def similar(name: str) -> str:
    """The option that was probably meant. Any other word may be a part of a password."""
    from difflib import get_close_matches

    from psycopg import pq

    known = [option.keyword.decode() for option in pq.Conninfo.get_defaults()]
    near = get_close_matches(name, known, n=1, cutoff=0.8)
    return f" (did you mean {near[0]}?)" if near else ""


# For display


def shown(address: str) -> str:
    """An address for display: secrets in it are hidden, whatever its form."""
    try:
        found = parse(address)
    except ConfigurationError:
        scheme = SCHEME.match(address)
        return f"{scheme[0] if scheme and is_postgresql(address) else ''}{HIDDEN}"
    public = {name: HIDDEN if is_secret(name) else value for name, value in found.items()}
    return as_url(address, public) if SCHEME.match(address) else conninfo(public)


def is_secret(option: str) -> bool:
    return SECRET_WORD.search(option) is not None


def as_url(address: str, parts: Mapping[str, str]) -> str:
    """The parts of a URL, joined again."""
    left = dict(parts)
    user, password = left.pop("user", ""), left.pop("password", "")
    credentials = quote(user, safe="") + (f":{part_of_url(password)}" if password else "")
    places = hosts_of(left)
    path = f"/{quote(left.pop('dbname'), safe='')}" if "dbname" in left else ""
    query = "&".join(f"{name}={part_of_url(value, '/,:')}" for name, value in left.items())
    scheme = SCHEME.match(address)
    assert scheme is not None
    return f"{scheme[0]}{credentials}{'@' * bool(credentials)}{places}{path}{'?' * bool(query)}{query}"


def part_of_url(value: str, safe: str = "") -> str:
    return value if value == HIDDEN else quote(value, safe=safe)


def hosts_of(left: dict[str, str]) -> str:
    """The hosts with their ports, taken out of the parameters. Folders of sockets stay parameters."""
    hosts = left.get("host", "").split(",")
    if not all(re.fullmatch(r"[\w.:-]*", host, re.ASCII) for host in hosts):
        return ""
    ports = left.get("port", "").split(",")
    if len(ports) not in (1, len(hosts)):
        return ""
    left.pop("host", None)
    left.pop("port", None)
    ports = ports * len(hosts) if len(ports) == 1 else ports
    return ",".join(
        (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
        for host, port in zip(hosts, ports, strict=True)
    )


def url_of(address: str) -> str:
    """The same address as a URL with its password, for other libraries."""
    return as_url("postgresql://", parse(understood(address)))


def short(address: str) -> str:
    """The database in short form without a password: user@host:port/name."""
    try:
        found = parse(address)
    except ConfigurationError:
        return "database"
    public: dict[str, str] = {name: found[name] for name in found.keys() & {"user", "host", "port", "dbname"}}
    return as_url("postgresql://", public).partition("://")[2].partition("?")[0] or "database"


def redacted(message: str, address: str = "") -> str:
    """A message that may quote an address, in full or in part, without any secret.

    Hides too much rather than too little.
    """
    if address:
        message = message.replace(address, shown(address))
    for secret in sorted(secrets_of(address), key=len, reverse=True):
        message = message.replace(secret, HIDDEN)
    message = POSTGRESQL_URL.sub(rf"\1{HIDDEN}@", message)
    message = OTHER_URL.sub(rf"\1:{HIDDEN}@", message)
    return SECRET_VALUE.sub(rf"\g<name>\g<is>{HIDDEN}", message)


def secrets_of(address: str) -> set[str]:
    """The secrets in an address, decoded and as they are written there."""
    if not address:
        return set()
    try:
        found = parse(address)
    except ConfigurationError:
        return set()
    secrets = {value for name, value in found.items() if is_secret(name)}
    return {form for secret in secrets for form in (secret, quote(secret, safe="")) if len(form) >= MIN_SECRET}


def conninfo(parameters: Mapping[str, object]) -> str:
    """An address in libpq's other form, `name=value`, each value quoted where it must be."""
    return " ".join(f"{name}={quoted(str(value))}" for name, value in parameters.items())


def quoted(value: str) -> str:
    if value and not re.search(r"[\s'\\]", value):
        return value
    escaped = re.sub(r"(['\\])", r"\\\1", value)
    return f"'{escaped}'"
