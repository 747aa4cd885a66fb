/* mbox-letter.c -- where a letter of an mbox begins and ends, and how readers see it (mbox.h) */
#include "store/mbox.h"

#include "base/journal.h"

#include <errno.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { HEADER_MOST = 1 << 20 };

/* Who does not care for locks may cut it off meanwhile: what is gone is read as zeros, and `torn` says it. */
static _Thread_local struct mbox_text *mapped;

static void
page_gone(int number, siginfo_t *what, void *ctx)
{
	uintptr_t page = (uintptr_t)what->si_addr & ~(uintptr_t)4095;
	uintptr_t from = mapped != NULL ? (uintptr_t)mapped->at : 0;
	(void)ctx;

	if (mapped == NULL || page < from || page >= from + mapped->len ||
	    mmap((void *)page, from + mapped->len - page, PROT_READ,
	         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		(void)signal(number, SIG_DFL);
	else
		mapped->torn = true;
}

int
mbox_text_open(int fd, struct mbox_text *t)
{
	struct sigaction act = { .sa_sigaction = page_gone, .sa_flags = SA_SIGINFO };
	struct stat      st;
	void            *at;

	*t = (struct mbox_text){ .at = "" };
	if (fstat(fd, &st) < 0)
		return errno;
	if (st.st_size == 0)
		return 0;
	at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		return errno;
	*t = (struct mbox_text){ .at = at, .len = (size_t)st.st_size };
	mapped = t;
	(void)sigaction(SIGBUS, &act, NULL);
	return 0;
}

/* 0, or EBADMSG: what was read means nothing. */
int
mbox_text_close(struct mbox_text *t)
{
	mapped = NULL;
	if (t->len > 0)
		(void)munmap((void *)(uintptr_t)t->at, t->len);
	return t->torn ? EBADMSG : 0;
}

/* A line with its end; false at the end of the text. */
bool
mbox_line(const struct mbox_text *t, size_t at, struct bytes *line)
{
	const char *lf;

	if (at >= t->len)
		return false;
	lf = memchr(t->at + at, '\n', t->len - at);
	*line = (struct bytes){ t->at + at,
		                lf != NULL ? (size_t)(lf - t->at) - at + 1 : t->len - at };
	return true;
}

struct bytes
mbox_bare(struct bytes line)
{
	while (line.len > 0 && (line.at[line.len - 1] == '\n' || line.at[line.len - 1] == '\r'))
		line.len--;
	return line;
}

/* The IMAP servers of the University of Washington and Dovecot keep what an empty folder must not forget in a letter. */
static const char internal_subject[] = "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA";

/* The hash goes over what no program changes while the letter stays the same. */
static void
read_header(const struct mbox_text *t, struct mbox_letter *l, struct bytes from)
{
	EVP_MD_CTX   *hash = EVP_MD_CTX_new();
	unsigned char sum[EVP_MAX_MD_SIZE];
	struct bytes  line;
	bool          hidden = false, told = false;

	if (hash == NULL || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)
		panic("no SHA-256");
	(void)EVP_DigestUpdate(hash, from.at, from.len);
	l->body = l->header;
	while (l->body - l->header < HEADER_MOST && mbox_line(t, l->body, &line)) {
		bool         folded = line.at[0] == ' ' || line.at[0] == '\t';
		struct bytes text = mbox_bare(line);
		if (l->body > l->header && mbox_is_from(text))
			break;
		l->body += line.len;
		if (text.len == 0)
			break;
		told = told || bytes_is(text, internal_subject);
		if (!folded) {
			enum mbox_field field = mbox_field_of(text);
			hidden = field != MBOX_NO_FIELD;
			mbox_field_read(field, text, &l->state);
		}
		if (!hidden)
			(void)EVP_DigestUpdate(hash, text.at, text.len);
	}
	l->internal = told && l->state.based &&
	              (bytes_starts(from, BYTES("From MAILER-DAEMON ")) ||
	               bytes_starts(from, BYTES("From MAILER_DAEMON ")));
	(void)EVP_DigestFinal_ex(hash, sum, NULL);
	EVP_MD_CTX_free(hash);
	for (size_t i = 0; i < MBOX_NAME_BYTES; i++)
		(void)snprintf(l->name + i * 2, 3, "%02x", sum[i]);
}

/* The next message at or after `at`. */
bool
mbox_letter_next(const struct mbox_text *t, size_t at, struct mbox_letter *l)
{
	struct bytes line;
	bool         empty = false;

	*l = (struct mbox_letter){ .from = at };
	while (mbox_line(t, l->from, &line) && !mbox_is_from(mbox_bare(line)))
		l->from += line.len; /* what stands before the first is nobody's letter */
	if (!mbox_line(t, l->from, &line))
		return false;
	l->state.date = mbox_from_date(mbox_bare(line));
	l->header = l->from + line.len;
	read_header(t, l, mbox_bare(line));
	l->stop = l->end = l->body;
	while (mbox_line(t, l->end, &line)) {
		struct bytes text = mbox_bare(line);
		if ((empty || l->end == l->body) && mbox_is_from(text))
			break;
		empty = text.len == 0;
		l->end += line.len;
		l->stop =
			empty ? l->end - line.len : l->end; /* one empty line stands between two */
	}
	return true;
}

/* As readers see it: without the status fields and the '>' of quoting. */
void
mbox_letter_plain(const struct mbox_text *t, const struct mbox_letter *l, struct buffer *out)
{
	struct bytes line;
	bool         hidden = false;

	for (size_t at = l->header; at < l->stop && mbox_line(t, at, &line); at += line.len) {
		if (at + line.len > l->stop)
			line.len = l->stop - at;
		size_t skip = mbox_is_quoted(line) ? 1 : 0;
		if (at < l->body) {
			if (line.at[0] != ' ' && line.at[0] != '\t')
				hidden = mbox_field_of(line) != MBOX_NO_FIELD;
			if (hidden)
				continue;
			if (skip == 0 && !mbox_is_kept(line, &skip))
				skip = 0;
		}
		buffer_add(out, bytes_cut(line, skip, line.len));
	}
}
