#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""corpus.py FILE COUNT [SEED]: a mailbox of realistic letters, always the same.

FILE holds the letters end to end with CRLF lines, FILE.index one line for each:
offset, length, seen, INTERNALDATE.  About nine KiB on average: short texts, HTML
beside text, attachments from some KiB to half a MiB, lists and threads; English,
German and Chinese in UTF-8, GBK, ISO-8859-1, as 8bit, quoted-printable or base64.

The words that bench/run searches for are sown here: see WORDS.
"""

import base64
import binascii
import random
import sys
import time

# What is searched for: word, and the share of letters that have it in the body.
WORDS = {"rare": ("quixotry", 0.0008), "common": ("meeting", 0.25),
    "chinese": ("合同", 0.12)}
SUBJECT_SHARE = {"rare": 0.0008, "common": 0.06, "chinese": 0.05}
FROM = {"rare": "zoltan", "common": "maria", "chinese": "王伟"}

LETTERS = ["e", "a", "i", "o", "u", "ou", "ea", "ai"]
HEADS = ["b", "br", "c", "ch", "d", "f", "g", "gr", "h", "l", "m", "n", "p", "pl",
    "r", "s", "sh", "st", "t", "tr", "v", "w"]
ENDS = ["", "n", "r", "s", "t", "l", "nd", "ng", "ck", "st", "ment", "tion"]
ENGLISH = ("the of and to in a is that for it as was with be by on not he his but at "
    "are this have from or had an they which one you were all her she there would "
    "their we him been has when who will no more if out so up said what its about "
    "than into them can only other time new some could these two may first then do "
    "any like my now over such our man me even most made after also did many off "
    "please find attached report invoice thanks regards project budget review team "
    "schedule update customer order delivery account question answer Monday Friday").split()
GERMAN = ("der die das und in zu den mit sich des auf für ist im dem nicht ein eine als "
    "auch es an werden aus er hat daß sie nach wird bei noch über können müssen Grüße "
    "Besprechung Rechnung Größe Straße schön möglich Änderung Übersicht Anhang").split()
HAN = ("的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生自会那后能对着"
    "事其里所去行过家十用发天如然作方成者多日都三小军二无同么经法当起与好看学进种将还分此心前面又定见"
    "只主没公从工作项目时间安排客户报告付款订单发货附件请查收谢谢您好周一周五部门经理产品价格问题回复")
PEOPLE = ["anna", "ben", "clara", "david", "elena", "felix", "grace", "henry", "ines",
    "jonas", "karin", "louis", "nina", "oscar", "paula", "quentin", "rosa", "simon",
    "tara", "ulrich", "vera", "walter", "xenia", "yusuf", "zoe"]
HAN_PEOPLE = ["李娜", "张敏", "刘洋", "陈静", "杨帆", "赵磊", "黄丽", "周杰"]
HOSTS = ["example.com", "example.net", "example.org", "mail.example.cn", "post.example.de"]
DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
BEGIN = 1500000000


class Corpus:
	def __init__(self, seed=1):
		self.r = random.Random(seed)
		r = self.r
		self.words = ENGLISH + ["".join(r.choice(HEADS) + r.choice(LETTERS) for _ in
		    range(r.randint(1, 3))) + r.choice(ENDS) for _ in range(3000)]
		weights = [1 / (i + 8) for i in range(len(self.words))]
		self.english = [self.paragraph(r.choices(self.words, weights,
		    k=r.randint(30, 110)), " ") for _ in range(1500)]
		self.german = [self.paragraph(r.choices(GERMAN + self.words[150:400],
		    k=r.randint(30, 90)), " ") for _ in range(300)]
		self.chinese = [self.paragraph(r.choices(HAN, k=r.randint(40, 160)), "")
		    for _ in range(600)]
		self.blob = base64.encodebytes(r.randbytes(3 << 20)).replace(b"\n", b"\r\n")
		self.threads = []
		self.number = 0

	def paragraph(self, words, between):
		lines, line = [], ""
		for word in words:
			if len(line) + len(word) > (70 if between else 34):
				lines.append(line)
				line = ""
			line += (between if line else "") + word
		return "\n".join(lines + [line])

	def date(self, when, zone, internal=False):
		t = time.gmtime(when + zone * 60)
		offset = "%s%02d%02d" % ("-" if zone < 0 else "+", abs(zone) // 60, abs(zone) % 60)
		if internal:
			return "%02d-%s-%d %02d:%02d:%02d %s" % (t.tm_mday, MONTHS[t.tm_mon - 1],
			    t.tm_year, t.tm_hour, t.tm_min, t.tm_sec, offset)
		return "%s, %d %s %d %02d:%02d:%02d %s" % (DAYS[t.tm_wday], t.tm_mday,
		    MONTHS[t.tm_mon - 1], t.tm_year, t.tm_hour, t.tm_min, t.tm_sec, offset)

	def encoded_word(self, text, charset):
		"""rfc2047, in pieces that stay below 75 characters."""
		if text.isascii():
			return text
		pieces = [text[i:i + 12] for i in range(0, len(text), 12)]
		return "\r\n ".join("=?%s?B?%s?=" % (charset,
		    base64.b64encode(p.encode(charset, "replace")).decode()) for p in pieces)

	def sown(self, share):
		"""Which of the words this letter gets."""
		return [kind for kind in share if self.r.random() < share[kind]]

	def text(self, tongue, size):
		pool = {"en": self.english, "de": self.german, "zh": self.chinese}[tongue]
		parts = []
		while size > 0:
			parts.append(self.r.choice(pool))
			size -= len(parts[-1]) * (3 if tongue == "zh" else 1)
		for kind in self.sown({k: v[1] for k, v in WORDS.items()}):
			if kind != "chinese" or tongue == "zh":
				parts.insert(self.r.randint(0, len(parts)), WORDS[kind][0] +
				    (" " if kind != "chinese" else "") + self.r.choice(pool))
		return "\n\n".join(parts) + "\n"

	def part(self, text, charset, kind="plain"):
		"""One text part: header lines and body."""
		how = "7bit" if text.isascii() else self.r.choice(
		    ["8bit", "base64", "quoted-printable"])
		raw = text.encode(charset, "replace").replace(b"\n", b"\r\n")
		if how == "base64":
			raw = base64.encodebytes(raw).replace(b"\n", b"\r\n")
		elif how == "quoted-printable":
			raw = b"\r\n".join(binascii.b2a_qp(line).replace(b"=\n", b"=\r\n")
			    for line in raw.split(b"\r\n"))
		return ("Content-Type: text/%s; charset=%s\r\nContent-Transfer-Encoding: %s\r\n"
		    % (kind, charset, how)).encode(), raw

	def attachment(self, size):
		name = "%s-%d.%s" % (self.r.choice(self.words), self.r.randint(1, 99),
		    self.r.choice(["pdf", "jpg", "docx", "zip"]))
		lines = min(size // 78 + 1, len(self.blob) // 78 - 1)
		at = self.r.randrange(len(self.blob) // 78 - lines) * 78
		return ('Content-Type: application/octet-stream; name="%s"\r\n'
		    'Content-Disposition: attachment; filename="%s"\r\n'
		    "Content-Transfer-Encoding: base64\r\n" % (name, name)).encode(), \
		    self.blob[at:at + lines * 78]

	def multipart(self, kind, parts):
		mark = "=_%08x.%d" % (self.r.getrandbits(32), self.number)
		out = []
		for header, body in parts:
			out += [b"--", mark.encode(), b"\r\n", header, b"\r\n", body, b"\r\n"]
		out += [b"--", mark.encode(), b"--\r\n"]
		return ('Content-Type: multipart/%s; boundary="%s"\r\n' % (kind, mark)).encode(), \
		    b"".join(out)

	def body(self, tongue, charset):
		r, x = self.r, self.r.random()
		text = self.text(tongue, int(r.lognormvariate(6.8, 0.8)))
		plain = self.part(text, charset)
		if x < 0.6:
			return plain
		html = self.part("<html><body>\n<p>" + text.replace("\n\n", "</p>\n<p>") +
		    "</p>\n" + "<div style=\"margin:0;padding:4px 8px\">&nbsp;</div>\n" *
		    r.randint(5, 80) + "</body></html>\n", charset, "html")
		both = self.multipart("alternative", [plain, html])
		if x < 0.9:
			return both
		size = int(r.lognormvariate(9.8, 0.8)) if x < 0.99 else r.randint(80000, 500000)
		return self.multipart("mixed", [r.choice([plain, both]), self.attachment(size)])

	def sender(self, tongue):
		r = self.r
		if r.random() < 0.0008:
			who = FROM["rare"]
		elif tongue == "zh":
			who = FROM["chinese"] if r.random() < 0.1 else r.choice(HAN_PEOPLE)
			return who, "user%d@mail.example.cn" % r.randint(1, 400)
		else:
			who = FROM["common"] if r.random() < 0.1 else r.choice(PEOPLE)
		return "%s %s" % (who.capitalize(), r.choice(self.words[150:600]).capitalize()), \
		    "%s%d@%s" % (who, r.randint(1, 30), r.choice(HOSTS))

	def subject(self, tongue):
		r = self.r
		if tongue == "zh":
			words = "".join(r.choices(HAN, k=r.randint(6, 20)))
		else:
			words = " ".join(r.choices(self.words, k=r.randint(2, 8)))
		for kind in self.sown(SUBJECT_SHARE):
			if kind != "chinese" or tongue == "zh":
				words += ("" if kind == "chinese" else " ") + WORDS[kind][0]
		return words

	def thread(self, mid, subject):
		"""(subject, references): a new thread, or an answer in one of the latest."""
		if self.threads and self.r.random() < 0.45:
			old = self.r.choice(self.threads)
			references = (old[1] + [old[2]])[-12:]
			old[1], old[2] = references, mid
			return "Re: " + old[0], references
		self.threads.append([subject, [], mid])
		if len(self.threads) > 400:
			self.threads.pop(self.r.randrange(100))
		return subject, []

	def letter(self):
		"""The next letter: bytes, seen, INTERNALDATE."""
		r = self.r
		self.number += 1
		tongue = r.choices(["en", "de", "zh"], [60, 15, 25])[0]
		charset = {"en": "utf-8", "de": r.choice(["utf-8", "iso-8859-1"]),
		    "zh": r.choice(["utf-8", "utf-8", "gbk"])}[tongue]
		arrived = BEGIN + self.number * 600 + r.randrange(600)
		zone = r.choice([-480, -300, 0, 0, 60, 60, 120, 330, 480, 480])
		sent = arrived - r.randint(1, 40) - (r.randrange(300000) if r.random() < 0.05 else 0)
		name, address = self.sender(tongue)
		mid = "<%x.%x@%s>" % (r.getrandbits(48), self.number, address.split("@")[1])
		subject, references = self.thread(mid, self.subject(tongue))
		header = ["Return-Path: <%s>" % address,
		    "Received: from mx%d.example.net (mx.example.net [192.0.2.%d])\r\n"
		    "\tby mail.example.com (Postfix) with ESMTPS id %012X\r\n"
		    "\tfor <bench@example.com>; %s" % (r.randint(1, 9), r.randint(1, 254),
		    r.getrandbits(48), self.date(arrived, 0)),
		    "Received: from [198.51.100.%d] (client.example.net [198.51.100.%d])\r\n"
		    "\tby mx.example.net with ESMTPSA id %x; %s" % (r.randint(1, 254),
		    r.randint(1, 254), r.getrandbits(40), self.date(sent, 0))]
		if r.random() < 0.5:
			at = r.randrange(len(self.blob) // 78 - 8) * 78
			header.append("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=%s; s=mail;\r\n"
			    "\th=from:to:subject:date:message-id;\r\n\tb=%s" % (address.split("@")[1],
			    self.blob[at:at + 4 * 78 - 2].decode().replace("\r\n", "\r\n\t ")))
		header += ["Date: " + self.date(sent, zone),
		    "From: %s <%s>" % (self.encoded_word(name, charset), address),
		    "To: bench@example.com" + (", %s@%s" % (r.choice(PEOPLE), r.choice(HOSTS))
		    if r.random() < 0.3 else "")]
		if r.random() < 0.15:
			header.append("Cc: " + ",\r\n\t".join("%s@%s" % (p, r.choice(HOSTS))
			    for p in r.sample(PEOPLE, r.randint(1, 6))))
		header += ["Subject: " + self.encoded_word(subject, charset), "Message-ID: " + mid]
		if references:
			header += ["In-Reply-To: " + references[-1], "References: " +
			    "\r\n\t".join(references)]
		if r.random() < 0.2:
			header += ["List-Id: <list%d.example.org>" % r.randint(1, 20),
			    "List-Unsubscribe: <mailto:leave@example.org>", "Precedence: list"]
		header += ["MIME-Version: 1.0", "X-Mailer: Corpus 1.0"]
		more, body = self.body(tongue, charset)
		return "\r\n".join(header).encode() + b"\r\n" + more + b"\r\n" + body, \
		    r.random() < 0.7, self.date(arrived, r.choice([0, 60, 480]), True)


def corpus_write(path, count, seed=1):
	"""Returns the octets written."""
	corpus, at = Corpus(seed), 0
	with open(path, "wb", 1 << 20) as f, open(path + ".index", "w") as index:
		for _ in range(count):
			letter, seen, date = corpus.letter()
			f.write(letter)
			index.write("%d %d %d %s\n" % (at, len(letter), seen, date))
			at += len(letter)
	return at


if __name__ == "__main__":
	print(corpus_write(sys.argv[1], int(sys.argv[2]), int((sys.argv + [1])[3])))
