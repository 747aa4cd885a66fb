"""Strange letters for the oracles: a list made by hand, and as many as wanted
made by dice from a seed."""

import random

CRLF = "\r\n"


def part(header, body):
    return header + "\r\n" + body


BY_HAND = {
    "plain": "From: a@b.c\r\nTo: d@e.f\r\nSubject: x\r\n\r\nhello\r\n",
    "empty-body": "From: a@b.c\r\n\r\n",
    "no-final-newline": "From: a@b.c\r\n\r\nhello",
    "names": 'From: "Doe, John" <j@e.org>\r\nTo: A B <a@b.c>, c@d.e (Comment Name), f@g.h\r\n\r\nx\r\n',
    "group": "To: People: a@b.c, D <d@e.f>;, g@h.i\r\nCc: undisclosed-recipients:;\r\n\r\n",
    "route": "To: Mary <@x.test,@y.test:m@z.test>\r\n\r\n",
    "sender": "From: a@b.c\r\nSender: s@t.u\r\nReply-To: r@s.t\r\n\r\n",
    "sender-empty": "From: a@b.c\r\nSender:\r\nReply-To: \r\n\r\n",
    "folded": "Subject: one\r\n two\r\n\tthree\r\nDate: Sun, 22 Nov\r\n 2026 01:35:19 +0000\r\n\r\n",
    "escapes": 'From: "a \\"b\\" \\\\c" <d@e.f>\r\nSubject: "q" \\b\r\n\r\n',
    "dots": "From: John Q. Public <john.q.public@example.com>\r\nTo: first . last @ example . org\r\n\r\n",
    "comments": "From: Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>\r\n\r\n",
    "8bit": "Subject: \u4f60\u597d\r\nFrom: \u738b <w@e.cn>\r\n\r\n\u4f60\r\n",
    "ids": "Message-ID: <a@b>\r\nIn-Reply-To: <c@d> <e@f>\r\nReferences: <g@h>\r\n\r\n",
    "mixed": "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n"
             "--b\r\n\r\none\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>\r\n\r\n--b--\r\nepi\r\n",
    "disposition": "MIME-Version: 1.0\r\nContent-Type: application/pdf; name=\"x y.pdf\"\r\n"
                   "Content-Transfer-Encoding: base64\r\nContent-ID: <a@b>\r\nContent-Description: d e\r\n"
                   "Content-MD5: abc\r\nContent-Location: http://x/\r\nContent-Language: en, de\r\n"
                   "Content-Disposition: attachment; filename=\"x y.pdf\"; size=3\r\n\r\nYWJj\r\n",
    "rfc822": "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
              "From: i@n.n\r\nSubject: in\r\n\r\ninside\r\n--b--\r\n",
    "rfc822-top": "MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\n1\r\n--q--\r\n",
    "digest": "MIME-Version: 1.0\r\nContent-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: 1\r\n\r\none\r\n--b\r\n\r\nSubject: 2\r\n\r\ntwo\r\n--b--\r\n",
    "unclosed": "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n",
    "nested": "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n"
              "--i\r\n\r\n1\r\n--i\r\nContent-Type: text/html\r\n\r\n2\r\n--i--\r\n\r\n--o\r\n\r\n3\r\n--o--\r\n",
    "nested-unclosed": "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n"
                       "--i\r\n\r\n1\r\n--o\r\n\r\n3\r\n--o--\r\n",
    "prefix-boundaries": "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n"
                         "--bb\r\n\r\n1\r\n--bb--\r\n--b\r\n\r\n2\r\n--b--\r\n",
    "charset-comment": "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii (Plain text)\r\n\r\nx\r\n",
    "type-case": "MIME-Version: 1.0\r\nCONTENT-TYPE: TEXT/Html; CHARSET=UTF-8; Format=flowed\r\n\r\nx\r\n",
    "rfc2231": "MIME-Version: 1.0\r\nContent-Type: application/x-stuff; title*0*=us-ascii'en'even%20more%20;\r\n title*1*=%2A%2A;\r\n title*2=\"isnt it\"\r\n\r\n",
    "rfc2231-plain": "MIME-Version: 1.0\r\nContent-Type: message/external-body; access-type=URL;\r\n URL*0=\"ftp://\";\r\n URL*1=\"cs.utk.edu\"\r\n\r\n",
    "lone-cr": "Subject: a\rb\r\n\r\nx\ry\r\n",
    "long-lines": "Subject: " + "x" * 2000 + "\r\n\r\n" + "y" * 3000 + "\r\n",
    "report": "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nsorry\r\n"
              "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\nA: b\r\n--b--\r\n",
    "signed": "MIME-Version: 1.0\r\nContent-Type: multipart/signed; micalg=pgp-sha1;\r\n\tprotocol=\"application/pgp-signature\"; boundary=\"=-x/y z\"\r\n\r\n"
              "--=-x/y z\r\n\r\nhi\r\n\r\n--=-x/y z\r\nContent-Type: application/pgp-signature; name=\"signature.asc\"\r\n\r\nxx\r\n--=-x/y z--\r\n",
}


def header(dice, depth):
    fields = []
    address = lambda: dice.choice(["a@b.c", "A B <a@b.c>", '"x, y" <q@r.s>', "n@m.o (C N)", "<z@y.x>",
                                   "G: u@v.w, x@y.z;", '"a b"@c.d', "=?utf-8?B?5byg?= <z@e.cn>"])
    addresses = lambda: ", ".join(address() for _ in range(dice.randint(1, 3)))
    for name in ("From", "To", "Cc", "Bcc", "Sender", "Reply-To"):
        if dice.random() < 0.5:
            fields.append(f"{name}: {addresses() if name != 'Sender' else 's@t.u'}")
    for name, value in (("Subject", "a subject\r\n folded"), ("Date", "Sun, 22 Nov 2026 01:35:19 +0800"),
                        ("Message-ID", "<m@i.d>"), ("In-Reply-To", "<i@r.t>"), ("X-Other", "thing")):
        if dice.random() < 0.6:
            fields.append(f"{name}: {value}")
    dice.shuffle(fields)
    return fields


def entity(dice, depth, letter):
    fields = header(dice, depth) if letter else []
    if letter or dice.random() < 0.3:
        fields.append("MIME-Version: 1.0")
    kind = dice.choice(["none", "text", "html", "bin", "multi", "multi", "message"] if depth < 5 else ["none", "text", "bin"])
    if dice.random() < 0.2:
        fields.append(f"Content-Transfer-Encoding: {dice.choice(['7bit', '8BIT', 'quoted-printable'])}")
    if dice.random() < 0.2:
        fields.append("Content-Description: something  here")
    if dice.random() < 0.2:
        fields.append("Content-Disposition: " + dice.choice(["inline", 'attachment; filename="a b.c"', "attachment; size=3"]))
    body = "".join(dice.choice(["hello world\r\n", "--\r\n", "-- \r\n", "--not\r\n", "\r\n", "x" * 90 + "\r\n"])
                   for _ in range(dice.randint(0, 5)))
    if kind == "text":
        fields.append("Content-Type: text/plain; charset=" + dice.choice(["utf-8", '"us-ascii"', "GB2312; format=flowed"]))
    elif kind == "html":
        fields.append("Content-Type: TEXT/html")
    elif kind == "bin":
        fields.append('Content-Type: application/octet-stream; name="f.x"')
    elif kind == "message":
        fields.append("Content-Type: message/rfc822")
        body = entity(dice, depth + 1, True)
    elif kind == "multi":
        boundary = f"bound{depth}" + dice.choice(["", "x", " y", "=z"])
        fields.append(f'Content-Type: multipart/{dice.choice(["mixed", "alternative", "related"])}; boundary="{boundary}"')
        body = dice.choice(["", "preamble\r\n", "pre--\r\n\r\n"])
        for _ in range(dice.randint(1, 3)):
            body += f"--{boundary}" + dice.choice(["", "", " "]) + "\r\n" + entity(dice, depth + 1, False)
            if not body.endswith("\r\n") or dice.random() < 0.7:
                body += "\r\n"
        if dice.random() < 0.8:
            body += f"--{boundary}--\r\n" + dice.choice(["", "epilogue\r\n", "\r\n"])
    dice.shuffle(fields)
    return "".join(f + "\r\n" for f in fields) + "\r\n" + body


def letters(many, seed=4711):
    for name, text in BY_HAND.items():
        yield name, text.encode()
    dice = random.Random(seed)
    for i in range(many):
        yield f"dice-{i}", entity(dice, 0, True).encode()
