# SPDX-License-Identifier: ISC
"""A mailing list of mlmmj, set up as its README.postfix has it: a letter to the list goes to each subscriber from an address of their own (VERP), and
what comes back finds who it was.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_mailing_list.py
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest
from house import wait_for
from test_sending import Sink, empty, house

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mlmmj-receive") is None, reason="needs root and mlmmj")
USER, LIST = "daemon", "news@here.example"


@pytest.fixture
def spool():
    """mlmmj-make-ml, with the program's own answers to its questions."""
    where = pathlib.Path(tempfile.mkdtemp(prefix="mlmmj-"))
    where.chmod(0o755)
    subprocess.run(["mlmmj-make-ml", "-L", "news", "-s", where], input="here.example\nowner@there.example\nen\n", text=True, check=True, capture_output=True, timeout=60)
    yield where
    shutil.rmtree(where)


def prepare(spool, port, **control):
    for name, text in {"relayhost": "127.0.0.1", "smtpport": str(port), **control}.items():
        (spool / "news/control" / name).write_text(f"{text}\n")
    subprocess.run(["chown", "-R", USER, spool], check=True)
    for name in ("ann", "bob", "bad"):
        subprocess.run(["runuser", "-u", USER, "--", "/usr/bin/mlmmj-sub", "-L", spool / "news", "-a", f"{name}@there.example"], check=True, capture_output=True, timeout=60)


# By one transaction with XVERP, and by a transaction for each.
@pytest.mark.parametrize("control", [{"verp": "postfix"}, {}], ids=["by us", "by the list"])
def test_each_subscriber_has_the_letter_and_who_is_not_known_is_found(spool, control):
    def refuses(verb, argument, session):
        return "550 5.1.1 nobody of that name" if verb == "RCPT" and "<bad@" in argument else None
    with Sink(refuses) as sink, house(
            mydestination="here.example", local_recipient_maps="", recipient_delimiter="+", virtual_alias_maps=f"inline:{{{{{LIST} = here.example--news@localhost.mlmmj}}}}",
            transport_maps="inline:{{here.example--news@localhost.mlmmj = mlmmj:news}}", mlmmj_destination_recipient_limit="1", propagate_unmatched_extensions="virtual",
            relayhost=f"[127.0.0.1]:{sink.port}",
            **{"mlmmj/transport": f"pipe flags=ORhu user={USER} argv=/usr/bin/mlmmj-receive -F -L {spool}/$nexthop"}) as h:
        prepare(spool, h.ports["smtp"], **control)
        with wait_for(h.smtp) as s:
            s.sendmail("ann@there.example", [LIST], f"From: ann@there.example\r\nTo: {LIST}\r\nSubject: news\r\nMessage-ID: <1@there.example>\r\n\r\nbody\r\n")
        wait_for(lambda: len(sink.got()) == 2)
        assert sorted(sink.got()) == ["ann@there.example", "bob@there.example"]
        senders = {to[0].partition("@")[0]: re.search("<(.*?)>", mail)[1] for mail, to, _ in sink.letters}
        assert senders == {name: f"news+bounces-1-{name}=there.example@here.example" for name in ("ann", "bob")}
        # The notice comes to an address of the list, and mlmmj notes by it who cannot be reached.
        noted = wait_for(lambda: [p for p in (spool / "news/bounce").iterdir() if p.name.startswith("bad=there.example")])
        assert noted and not [p for p in (spool / "news/bounce").iterdir() if p.name.startswith(("ann", "bob"))]
        wait_for(lambda: empty(h))
