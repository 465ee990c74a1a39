"""A file of the book is known again, a changed byte is seen, a stranger is named; signatures by keys made here."""

import base64
import hashlib
import json
import zipfile

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from elbo.cli.entry import main
from elbo.companion.project.errors import CompanionError
from elbo.companion.release import signatures

FIGURE = b"\x89PNG figure"


def crate(*files: tuple[str, bytes]) -> str:
    graph = [{"@id": name, "@type": "File", "sha256": hashlib.sha256(content).hexdigest()} for name, content in files]
    return json.dumps({"@graph": [{"@id": "./", "@type": "Dataset"}, *graph]})


@pytest.fixture
def site(tmp_path):
    """A site with one figure and one table."""
    folder = tmp_path / "site"
    (folder / "figures").mkdir(parents=True)
    (folder / "figures" / "toy-2013-line.png").write_bytes(FIGURE)
    (folder / "figures" / "toy-2013-line.csv").write_bytes(b"x\n1\n")
    listed = crate(("figures/toy-2013-line.png", FIGURE), ("figures/toy-2013-line.csv", b"x\n1\n"))
    (folder / "ro-crate-metadata.json").write_text(listed)
    return folder


@pytest.fixture
def verify(capsys):
    def command(*words) -> tuple[int, str]:
        code = main(["verify", *map(str, words)])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out + err

    return command


def test_an_untouched_file_passes_where_it_lies_and_anywhere_else(site, verify, tmp_path):
    figure = site / "figures" / "toy-2013-line.png"
    code, said = verify(figure)
    assert code == 0 and "figures/toy-2013-line.png is the file" in said
    (tmp_path / "Downloads").mkdir()
    renamed = tmp_path / "Downloads" / "figure (1).png"
    renamed.write_bytes(FIGURE)
    for where in (site, site / "ro-crate-metadata.json"):
        code, said = verify(renamed, "--crate", where)
        assert code == 0 and "figures/toy-2013-line.png is the file" in said


def test_one_changed_byte_is_seen(site, verify):
    figure = site / "figures" / "toy-2013-line.png"
    figure.write_bytes(FIGURE[:-1] + bytes([FIGURE[-1] ^ 1]))
    code, said = verify(figure)
    assert code == 7 and "is not the file" in said and hashlib.sha256(FIGURE).hexdigest() in said


def test_a_stranger_is_named_as_such(site, verify, tmp_path):
    (tmp_path / "stranger.png").write_bytes(b"?")
    code, said = verify(tmp_path / "stranger.png", "--crate", site)
    assert code == 2 and "stranger.png is not a file of ro-crate-metadata.json" in said
    code, said = verify(tmp_path / "nothing.png", "--crate", site)
    assert code == 2 and "cannot be read" in said
    (tmp_path / "no.json").write_text("[]")
    code, said = verify(tmp_path / "stranger.png", "--crate", tmp_path / "no.json")
    assert code == 2 and "is no crate" in said


@pytest.fixture
def deposit(site, tmp_path):
    """A deposit with a wheel and the site in it."""
    inner = tmp_path / "site.zip"
    with zipfile.ZipFile(inner, "w") as archive:
        for path in sorted(site.rglob("*.*")):
            archive.write(path, path.relative_to(site).as_posix())
    path = tmp_path / "deposit.zip"
    files = [("dist/toy.whl", b"wheel"), ("editions/site.zip", inner.read_bytes())]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ro-crate-metadata.json", crate(*files))
        for name, content in files:
            archive.writestr(name, content)
    return path


def test_a_deposit_is_checked_whole_and_knows_the_figures_of_its_site(deposit, site, verify, tmp_path):
    code, said = verify(deposit)
    assert code == 0 and "all 2 files" in said
    code, said = verify(site / "figures" / "toy-2013-line.png", "--crate", deposit)
    assert code == 0 and "the crate of the site in deposit.zip" in said
    (tmp_path / "toy.whl").write_bytes(b"wheel!")
    code, said = verify(tmp_path / "toy.whl", "--crate", deposit)
    assert code == 7 and "dist/toy.whl is not the file" in said


def test_a_deposit_with_a_changed_a_missing_and_a_strange_file(deposit, verify, tmp_path):
    broken = tmp_path / "broken.zip"
    with zipfile.ZipFile(deposit) as old, zipfile.ZipFile(broken, "w") as new:
        new.writestr("ro-crate-metadata.json", old.read("ro-crate-metadata.json"))
        new.writestr("dist/toy.whl", b"whee1")
        new.writestr("extra.txt", b"")
    code, said = verify(broken)
    assert code == 7 and "dist/toy.whl is not the file" in said
    assert "editions/site.zip is missing" in said and "extra.txt is in broken.zip, but" in said


KEYS = {"ed25519": ed25519.Ed25519PrivateKey.generate(), "ecdsa": ec.generate_private_key(ec.SECP256R1())}


def signed(kind: str, content: bytes) -> bytes:
    return KEYS[kind].sign(content) if kind == "ed25519" else KEYS[kind].sign(content, ec.ECDSA(hashes.SHA256()))


@pytest.fixture
def pem(tmp_path):
    def write(key, name="key.pem"):
        path = tmp_path / name
        path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        return path

    return write


@pytest.mark.parametrize("kind", KEYS)
def test_a_signature_holds_for_its_key_and_its_bytes_only(kind, site, pem, verify):
    figure = site / "figures" / "toy-2013-line.png"
    signature = figure.with_name(figure.name + ".sig")
    signature.write_bytes(base64.b64encode(signed(kind, FIGURE)) + b"\n")
    code, said = verify(figure)
    assert code == 0 and "was not checked: say with --key" in said
    code, said = verify(figure, "--key", pem(KEYS[kind]))
    assert code == 0 and f"key {signatures.fingerprint(KEYS[kind].public_key())} over toy-2013-line.png" in said
    code, said = verify(figure, "--key", pem(ed25519.Ed25519PrivateKey.generate(), "other.pem"))
    assert code == 7 and "does not hold" in said
    signature.write_bytes(signed(kind, FIGURE + b"."))
    assert verify(figure, "--key", pem(KEYS[kind]))[0] == 7
    signature.write_bytes(b"rubbish")
    assert verify(figure, "--key", pem(KEYS[kind]))[0] == 7


def test_a_signed_crate_vouches_for_its_files(site, pem, verify):
    figure, listed = site / "figures" / "toy-2013-line.png", site / "ro-crate-metadata.json"
    private = site.parent / "private.pem"
    private.write_bytes(KEYS["ed25519"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    listed.with_name(listed.name + ".sig").write_bytes(signatures.sign(listed.read_bytes(), private))
    code, said = verify(figure, "--key", pem(KEYS["ed25519"]))
    assert code == 0 and "over ro-crate-metadata.json" in said
    listed.write_text(listed.read_text() + " ")
    code, said = verify(figure, "--key", pem(KEYS["ed25519"]))
    assert code == 7 and "ro-crate-metadata.json.sig does not hold" in said


def statement(kind: str, content: bytes, **changes) -> str:
    """A bundle of sigstore with a signed in-toto statement about ``content``, as an
    attestation of a workflow has it.
    """
    subject = [{"name": "x", "digest": {"sha256": hashlib.sha256(content).hexdigest()}}]
    payload = json.dumps({"_type": "https://in-toto.io/Statement/v1", "subject": subject}).encode()
    form = b"application/vnd.in-toto+json"
    together = b"DSSEv1 " + b" ".join([str(len(form)).encode(), form, str(len(payload)).encode(), payload])
    envelope = {"payload": base64.b64encode(payload).decode(), "payloadType": form.decode(),
                "signatures": [{"sig": base64.b64encode(signed(kind, together)).decode()}]}  # fmt: skip
    return json.dumps({"dsseEnvelope": envelope | changes})


@pytest.mark.parametrize("kind", KEYS)
def test_a_bundle_of_sigstore_holds_for_the_file_of_its_statement(kind, site, pem, verify):
    figure, key = site / "figures" / "toy-2013-line.png", pem(KEYS[kind])
    bundle = figure.with_name(figure.name + ".sigstore.json")
    bundle.write_text(statement(kind, FIGURE))
    assert verify(figure, "--key", key)[0] == 0
    bundle.write_text(statement(kind, b"another file"))
    code, said = verify(figure, "--key", key)
    assert code == 7 and "about other files" in said
    bundle.write_text(statement(kind, FIGURE, payloadType="text/plain"))
    assert verify(figure, "--key", key)[0] == 7
    message = {"signature": base64.b64encode(signed(kind, FIGURE)).decode()}
    bundle.write_text(json.dumps({"messageSignature": message}))
    assert verify(figure, "--key", key)[0] == 0
    for rubbish in ("{", "[]", '{"dsseEnvelope": {}}', '{"messageSignature": {"signature": 3}}'):
        bundle.write_text(rubbish)
        code, said = verify(figure, "--key", key)
        assert code == 7 and "does not hold" in said, rubbish


def test_a_key_must_be_one_and_a_signature_must_be_there(site, pem, verify):
    figure = site / "figures" / "toy-2013-line.png"
    code, said = verify(figure, "--key", pem(KEYS["ed25519"]))
    assert code == 2 and "no signature beside" in said
    figure.with_name(figure.name + ".sig").write_bytes(b"")
    code, said = verify(figure, "--key", figure)
    assert code == 2 and "no public key in PEM form" in said
    code, said = verify(figure, "--key", pem(rsa.generate_private_key(65537, 2048)))
    assert code == 2 and "of another kind" in said
    with pytest.raises(CompanionError, match="no private Ed25519 key"):
        signatures.sign(b"", figure)
