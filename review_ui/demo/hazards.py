"""Where advice can hurt: what not to do with the standard library, and what to do instead."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hazard:
    """One way to do harm, and the way round it."""

    bad: str
    """What is tempting: a name of the standard library, sometimes with an argument."""
    act: str
    """Doing harm with it; completes "Is it safe to ...?"."""
    goal: str
    """What the person wants; completes "How do I ...?"."""
    good: tuple[str, ...]
    """Names that do it safely, the best one first."""


HAZARDS: tuple[Hazard, ...] = (
    Hazard("pickle.loads", "unpickle bytes from a stranger with `pickle.loads`", "decode data from a stranger", ("json.loads",)),
    Hazard("pickle.load", "open a downloaded file with `pickle.load`", "read a downloaded data file", ("json.load",)),
    Hazard("marshal.loads", "feed network data to `marshal.loads`", "decode network data", ("json.loads",)),
    Hazard("shelve.open", "open somebody else's file with `shelve.open`", "open somebody else's key-value file",
           ("sqlite3.connect",)),
    Hazard("eval", "call `eval` on what a user typed", "read a literal that a user typed", ("ast.literal_eval",)),
    Hazard("exec", "call `exec` on an uploaded script", "inspect an uploaded script", ("ast.parse",)),
    Hazard("subprocess.getoutput", "put a user's file name into `subprocess.getoutput`", "get a program's output",
           ("subprocess.check_output", "subprocess.run")),
    Hazard("os.system", "put user input into `os.system`", "start a program with user input", ("subprocess.run",)),
    Hazard("os.popen", "put a form field into `os.popen`", "read from a program that gets a form field",
           ("subprocess.Popen", "subprocess.run")),
    Hazard("subprocess.call", "use `subprocess.call` with shell=True on user input", "call a program without a shell",
           ("subprocess.run",)),
    Hazard("asyncio.create_subprocess_shell", "give user input to `asyncio.create_subprocess_shell`",
           "start a program from a coroutine", ("asyncio.create_subprocess_exec",)),
    Hazard("os.execvp", "let a visitor name the program for `os.execvp`", "find a program before it is started",
           ("shutil.which",)),
    Hazard("tempfile.mktemp", "name a temporary file with `tempfile.mktemp`", "create a temporary file",
           ("tempfile.mkstemp", "tempfile.NamedTemporaryFile", "tempfile.TemporaryFile")),
    Hazard("os.mkdir", "make a scratch folder in /tmp by `os.mkdir` and a fixed name", "create a scratch folder",
           ("tempfile.mkdtemp", "tempfile.TemporaryDirectory")),
    Hazard("hashlib.md5", "store passwords as `hashlib.md5`", "store a password",
           ("hashlib.scrypt", "hashlib.pbkdf2_hmac")),
    Hazard("hashlib.sha1", "check downloads with `hashlib.sha1`", "check a download against tampering",
           ("hashlib.sha256", "hashlib.sha512", "hashlib.sha3_256")),
    Hazard("zlib.crc32", "sign messages with `zlib.crc32`", "sign a message", ("hmac.new", "hmac.digest")),
    Hazard("zlib.adler32", "detect tampering with `zlib.adler32`", "detect tampering", ("hmac.digest", "hmac.new")),
    Hazard("operator.eq", "compare secret digests with `operator.eq`", "compare two digests",
           ("hmac.compare_digest", "secrets.compare_digest")),
    Hazard("random.random", "make session tokens from `random.random`", "make a session token",
           ("secrets.token_hex", "secrets.token_urlsafe", "secrets.token_bytes")),
    Hazard("random.choice", "pick password letters with `random.choice`", "pick the letters of a password",
           ("secrets.choice",)),
    Hazard("random.randint", "draw one-time codes with `random.randint`", "draw a one-time code", ("secrets.randbelow",)),
    Hazard("random.getrandbits", "make keys with `random.getrandbits`", "make a random key of some bits",
           ("secrets.randbits", "secrets.token_bytes")),
    Hazard("random.randbytes", "salt passwords with `random.randbytes`", "make a salt", ("os.urandom", "secrets.token_bytes")),
    Hazard("uuid.uuid1", "make secret links with `uuid.uuid1`", "make a secret link", ("secrets.token_urlsafe",)),
    Hazard("xml.etree.ElementTree.parse", "parse a stranger's file with `xml.etree.ElementTree.parse`",
           "take structured data from a stranger", ("json.load", "json.loads")),
    Hazard("xml.dom.minidom.parseString", "parse a visitor's text with `xml.dom.minidom.parseString`",
           "read a visitor's structured text", ("json.loads",)),
    Hazard("xmlrpc.server.SimpleXMLRPCServer", "open `xmlrpc.server.SimpleXMLRPCServer` to the internet", "", ()),
    Hazard("tarfile.TarFile", "extract a stranger's archive with `tarfile.TarFile` and no filter",
           "clean the members of an archive", ("tarfile.data_filter",)),
    Hazard("shutil.unpack_archive", "run `shutil.unpack_archive` on an upload without a filter", "", ()),
    Hazard("zlib.decompress", "run `zlib.decompress` on an upload of any size", "unpack zlib data up to a limit",
           ("zlib.decompressobj",)),
    Hazard("bz2.decompress", "run `bz2.decompress` on a stranger's upload", "unpack bzip2 data up to a limit",
           ("bz2.BZ2Decompressor",)),
    Hazard("lzma.decompress", "run `lzma.decompress` on a stranger's upload", "unpack xz data up to a limit",
           ("lzma.LZMADecompressor",)),
    Hazard("ssl._create_unverified_context", "silence errors with `ssl._create_unverified_context`",
           "make a verified TLS context", ("ssl.create_default_context",)),
    Hazard("http.client.HTTPConnection", "send passwords over `http.client.HTTPConnection`", "send a password to a web server",
           ("http.client.HTTPSConnection",)),
    Hazard("ftplib.FTP", "log in to a server with `ftplib.FTP`", "log in to a file server", ("ftplib.FTP_TLS",)),
    Hazard("imaplib.IMAP4", "read mail over `imaplib.IMAP4` without TLS", "read a mailbox over the network",
           ("imaplib.IMAP4_SSL",)),
    Hazard("poplib.POP3", "fetch mail over `poplib.POP3` without TLS", "fetch mail over the network", ("poplib.POP3_SSL",)),
    Hazard("smtplib.SMTP", "log in over `smtplib.SMTP` without TLS", "log in to a mail server", ("smtplib.SMTP_SSL",)),
    Hazard("http.server.HTTPServer", "serve customers with `http.server.HTTPServer`", "", ()),
    Hazard("logging.config.listen", "accept settings from anyone with `logging.config.listen`", "load log settings",
           ("logging.config.dictConfig",)),
    Hazard("multiprocessing.connection.Listener", "accept strangers on `multiprocessing.connection.Listener`", "", ()),
    Hazard("urllib.request.urlopen", "open a visitor's address with `urllib.request.urlopen` unchecked",
           "check the scheme of an address", ("urllib.parse.urlsplit", "urllib.parse.urlparse")),
    Hazard("os.path.join", "build upload paths from user input with `os.path.join` alone", "check a path built from user input",
           ("pathlib.Path.resolve", "os.path.realpath")),
    Hazard("os.chmod", "give everybody write access with `os.chmod`", "", ()),
    Hazard("string.Formatter", "fill in a visitor's template with `string.Formatter`", "fill in a visitor's template",
           ("string.Template",)),
    Hazard("html.unescape", "put `html.unescape` of user text into a page", "put user text into a page", ("html.escape",)),
    Hazard("re.compile", "run `re.compile` on a visitor's search text", "search for a visitor's text as it stands",
           ("re.escape",)),
    Hazard("subprocess.getstatusoutput", "put a search text into `subprocess.getstatusoutput`", "quote user text for a shell",
           ("shlex.quote",)),
    Hazard("base64.b64encode", "hide passwords with `base64.b64encode`", "keep only a check value of a password",
           ("hashlib.pbkdf2_hmac", "hashlib.scrypt")),
    Hazard("input", "ask for a password with `input`", "ask for a password", ("getpass.getpass",)),
    Hazard("importlib.import_module", "let visitors choose names for `importlib.import_module`", "", ()),
    Hazard("code.interact", "expose `code.interact` on a socket", "", ()),
    Hazard("pdb.set_trace", "leave `pdb.set_trace` in a web service", "", ()),
)
"""What the standard library's own documentation warns about."""

SAFE_ACTS: tuple[str, ...] = (
    "make a session token with `secrets.token_urlsafe`",
    "compare digests with `hmac.compare_digest`",
    "read a stranger's short text with `json.loads`",
    "escape user text with `html.escape`",
    "quote one argument with `shlex.quote`",
    "create a scratch file with `tempfile.mkstemp`",
    "ask for a password with `getpass.getpass`",
    "store passwords with `hashlib.scrypt`",
    "draw one-time codes with `secrets.randbelow`",
    "escape a visitor's search text with `re.escape`",
    "make a TLS context with `ssl.create_default_context`",
    "start a program with `subprocess.run` and a list",
    "copy my own file with `shutil.copy`",
    "make a scratch folder with `tempfile.TemporaryDirectory`",
    "read my own settings with `tomllib.load`",
    "check a download with `hashlib.sha256`",
)
"""Fine to do: so that "no" is not the answer to everything."""
