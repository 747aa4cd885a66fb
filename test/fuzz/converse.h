/*
 * converse -- what fuzz-imap and fuzz-pop3 have in common: a store with a few
 * letters, made anew now and then, and one session for each input
 */
#ifndef FUZZ_CONVERSE_H
#define FUZZ_CONVERSE_H

#include "../unit/access/lab.h"

enum { RUNS_EACH = 400 };

static const char letter[] =
	"Return-Path: <a@b>\r\nFrom: \"A\" <a@b.example>\r\nTo: c@d.example\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\n"
	"Date: Sun, 22 Nov 2026 01:02:03 +0100\r\nMessage-ID: <1@x>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
	"--b\r\nContent-Type: text/plain\r\n\r\n.Hello\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nin\r\n--b--\r\n";

static struct lab *lab;
static unsigned runs;

static void
lab_fresh(void)
{
	if (lab != NULL)
		lab_close(lab);
	lab = lab_open();
	for (int i = 0; i < 3; i++)
		lab_letter(lab, "INBOX", BYTES("Delivered-To: x\r\n"), BYTES("Received: y\r\n"), bytes_of(letter), 1000 + i);
}

/* Say it, hear whatever comes, hang up: the session must end by itself. */
static void
converse(struct lab *l, bool pop3, struct bytes said, size_t step)
{
	int fd = lab_connect(l, pop3, (struct bytes){ 0 });
	unsigned over = l->over;
	char heard[65536];
	bool open = true;

	while (open && said.len > 0) {
		ssize_t n = send(fd, said.at, step == 0 || step > said.len ? said.len : step, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			break;
		if (n > 0)
			said = bytes_cut(said, (size_t)n, said.len);
		lab_settle(l, 0);
		while ((n = read(fd, heard, sizeof heard)) > 0)
			continue;
		open = n != 0;
	}
	for (int i = 0; i < 4; i++) {
		lab_settle(l, 0);
		while (read(fd, heard, sizeof heard) > 0)
			continue;
	}
	close(fd);
	/* What it was told may have to come to the disk first. */
	for (int i = 0; l->over == over; i++) {
		if (i > 10000)
			abort();
		lab_settle(l, i < 100 ? 0 : 1);
	}
}

/* The first byte says in what pieces the rest comes; 0: all at once. */
static void
converse_input(bool pop3, const uint8_t *data, size_t size)
{
	if (size < 1)
		return;
	if (runs++ % RUNS_EACH == 0)
		lab_fresh();
	converse(lab, pop3, (struct bytes){ (const char *)data + 1, size - 1 }, data[0]);
}

#endif
