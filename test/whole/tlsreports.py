# SPDX-License-Identifier: ISC
"""Reports of TLS (rfc8460) as who gets them reads them, and the day that is over before they are sent."""

import datetime
import email
import gzip
import json
import sqlite3


def read_report(packed):
    """What an independent reader sees: the fields of rfc8460:4.4, each of its type."""
    report = json.loads(gzip.decompress(packed))
    assert set(report) == {"organization-name", "date-range", "contact-info", "report-id", "policies"}
    begin, end = (datetime.datetime.strptime(report["date-range"][n], "%Y-%m-%dT%H:%M:%SZ") for n in ("start-datetime", "end-datetime"))
    assert (end - begin).total_seconds() == 86399 and begin.hour == 0
    kinds = {"starttls-not-supported", "certificate-host-mismatch", "certificate-expired", "certificate-not-trusted", "validation-failure", "tlsa-invalid",
             "dnssec-invalid", "dane-required", "sts-policy-fetch-error", "sts-policy-invalid", "sts-webpki-invalid"}        # rfc8460:4.3
    for p in report["policies"]:
        assert set(p) <= {"policy", "summary", "failure-details"}
        assert p["policy"]["policy-type"] in ("tlsa", "sts", "no-policy-found")
        assert all(isinstance(line, str) for line in p["policy"].get("policy-string", []))
        good, bad = (p["summary"][f"total-{n}-session-count"] for n in ("successful", "failure"))
        assert {f["result-type"] for f in p.get("failure-details", [])} <= kinds
        assert isinstance(good, int) and bad == sum(f["failed-session-count"] for f in p.get("failure-details", []))
    return report


def yesterday(h, domains):
    """What was counted of these domains becomes the count of the day before, whose reports are sent at once."""
    assert h.stop() == 0
    db = sqlite3.connect(h.directory / "mail/spool/queue.db")
    names = [n for n, in db.execute("SELECT name FROM kept WHERE name LIKE 'tlsrpt/%'")]
    assert {n.split("/")[2] for n in names} == set(domains)
    for n in names:
        _, day, domain = n.split("/")
        db.execute("UPDATE kept SET name=? WHERE name=?", (f"tlsrpt/{int(day) - 1}/{domain}", n))
    db.commit()
    db.close()
    h.start()


def reports_in(relay):
    """The reports that came, by the domain they are of."""
    letters = [email.message_from_bytes(x[2]) for x in list(relay.letters) if b"TLS-Report-Domain" in x[2]]
    return {m["TLS-Report-Domain"]: read_report(m.get_payload()[1].get_payload(decode=True)) for m in letters}
