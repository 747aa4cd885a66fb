/* credential-socket.c -- saslauthd and Dovecot's auth process, behind sockets of this machine */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/clock.h"
#include "directory/credential-remote.h"

enum { ANSWER_MOST = 65536, WORD_MOST = 8192 };

struct service {
	struct sockaddr_un address;
};
/* One question on a connection of its own. */
struct talk {
	int           fd;
	int64_t       until;
	struct buffer heard;
};

static void *
service_open(const char *path, const struct table_source *source, struct buffer *errors,
             struct buffer *warnings)
{
	struct service *s = memory_take(sizeof *s);

	(void)source;
	(void)warnings;
	s->address.sun_family = AF_UNIX;
	if (bytes_string(bytes_of(path), s->address.sun_path, sizeof s->address.sun_path))
		return s;
	buffer_printf(errors, "%s: a path this long is no socket's\n", path);
	memory_free(s);
	return NULL;
}

static void
service_close(void *own)
{
	memory_free(own);
}

/* The server may come later: what the cage must have is the directory of its socket. */
static void
service_reach(void *own, struct reach *r)
{
	struct service *s = own;

	reach_path(r, path_above(bytes_of(s->address.sun_path)));
}

static bool
talk_wait(const struct talk *t, short what)
{
	int64_t       left = t->until - clock_patient_ms();
	struct pollfd p = { t->fd, what, 0 };

	return left > 0 && poll(&p, 1, (int)left) == 1;
}

static bool
talk_open(struct talk *t, const struct service *s, const struct credential_question *q)
{
	int why = 0;

	*t = (struct talk){ .until = clock_patient_ms() + q->patience_ms };
	t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (t->fd < 0)
		return false;
	/* A full queue of connections says EAGAIN: it is looked at again for a while. */
	while ((why = connect(t->fd, (const struct sockaddr *)&s->address, sizeof s->address)) <
	               0 &&
	       errno == EAGAIN && clock_patient_ms() < t->until)
		(void)poll(NULL, 0, 20);
	return why == 0;
}

static void
talk_close(struct talk *t)
{
	if (t->fd >= 0)
		(void)close(t->fd);
	if (t->heard.len > 0)
		explicit_bzero(t->heard.at, t->heard.len);
	buffer_free(&t->heard);
}

static bool
talk_say(struct talk *t, struct bytes text)
{
	while (text.len > 0) {
		ssize_t n =
			talk_wait(t, POLLOUT) ? send(t->fd, text.at, text.len, MSG_NOSIGNAL) : -1;
		if (n <= 0)
			return false;
		text = bytes_cut(text, (size_t)n, SIZE_MAX);
	}
	return true;
}

/* Some more; false: no more is to come. */
static bool
talk_hear(struct talk *t)
{
	ssize_t n;

	if (t->heard.len > ANSWER_MOST || !talk_wait(t, POLLIN))
		return false;
	n = recv(t->fd, buffer_room(&t->heard, 4096), 4096, 0);
	if (n > 0)
		buffer_took(&t->heard, (size_t)n);
	return n > 0;
}

/* ---- saslauthd ---- */

static void
add_counted(struct buffer *out, struct bytes word)
{
	buffer_add_char(out, (char)(word.len >> 8));
	buffer_add_char(out, (char)word.len);
	buffer_add(out, word);
}

/* Four words with their lengths; the answer is one such word, "OK" or "NO" and perhaps a reason.  It does not say whether there is
   such a user. */
static void
saslauthd_ask(void *own, const struct credential_question *q, struct arena *a,
              struct credential_answer *out)
{
	ptrdiff_t     at = bytes_find_last(q->user, '@');
	struct bytes  name = at < 0 ? q->user : bytes_cut(q->user, 0, (size_t)at);
	struct bytes  realm = at < 0 ? BYTES("") : bytes_cut(q->user, (size_t)at + 1, SIZE_MAX);
	struct buffer text = { 0 };
	struct talk   t;
	struct bytes  said = { NULL, 0 };
	bool          whole;

	if (q->user.len > WORD_MOST || q->password.len > WORD_MOST)
		return;
	add_counted(&text, name);
	add_counted(&text, q->password);
	add_counted(&text, bytes_of(q->service));
	add_counted(&text, realm);
	whole = talk_open(&t, own, q) && talk_say(&t, buffer_bytes(&text));
	while (whole && t.heard.len < 2)
		whole = talk_hear(&t);
	while (whole && t.heard.len < 2 + ((size_t)(unsigned char)t.heard.at[0] << 8 |
	                                   (unsigned char)t.heard.at[1]))
		whole = talk_hear(&t);
	if (whole)
		said = bytes_cut(buffer_bytes(&t.heard), 2, SIZE_MAX);
	if (bytes_starts(said, BYTES("OK")))
		out->outcome = CREDENTIAL_PASS;
	else if (bytes_starts(said, BYTES("NO"))) {
		out->outcome = CREDENTIAL_UNSURE;
		out->why = "password mismatch";
	} else {
		out->outcome = CREDENTIAL_LATER;
		out->why = "saslauthd does not answer";
	}
	(void)a;
	talk_close(&t);
	explicit_bzero(text.at, text.len);
	buffer_free(&text);
}

/* Nobody's name is refused before anybody is asked about it. */
static void
saslauthd_ping(void *own, const struct credential_question *q, struct arena *a,
               struct credential_answer *out)
{
	struct credential_question nobody = { .service = "",
		                              .remote = "",
		                              .patience_ms = q->patience_ms };

	saslauthd_ask(own, &nobody, a, out);
}

const struct credential_ways credential_saslauthd = { false,         service_open,  saslauthd_ask,
	                                              service_reach, service_close, saslauthd_ping,
	                                              NULL };

/* ---- Dovecot ---- */

/* The next whole line, in the arena. */
static bool
talk_line(struct talk *t, size_t *from, struct bytes *line)
{
	ptrdiff_t end;

	for (;;) {
		struct bytes rest = bytes_cut(buffer_bytes(&t->heard), *from, SIZE_MAX);
		if ((end = bytes_find(rest, '\n')) >= 0) {
			*line = bytes_cut(rest, 0, (size_t)end);
			*from += (size_t)end + 1;
			return true;
		}
		if (!talk_hear(t))
			return false;
	}
}

/* Tabs and newlines within a value are written with \001. */
static void
add_value(struct buffer *out, const char *value)
{
	for (; *value != '\0'; value++)
		if (*value != '\t' && *value != '\n' && *value != '\r' && *value != '\001')
			buffer_add_char(out, *value);
}

static void
add_request(struct buffer *out, const struct credential_question *q)
{
	struct buffer plain = { 0 };

	buffer_printf(out, "VERSION\t1\t2\nCPID\t%d\nAUTH\t1\tPLAIN\tservice=", (int)getpid());
	add_value(out, *q->service != '\0' ? q->service : "imap");
	buffer_add_string(out, "\tsecured\tno-penalty");
	if (*q->remote != '\0' && strcmp(q->remote, "local") != 0) {
		buffer_add_string(out, "\trip=");
		add_value(out, q->remote);
	}
	buffer_add_string(out, "\tresp=");
	buffer_add_char(&plain, '\0');
	buffer_add(&plain, q->user);
	buffer_add_char(&plain, '\0');
	buffer_add(&plain, q->password);
	base64_encode(out, buffer_bytes(&plain));
	buffer_add_char(out, '\n');
	explicit_bzero(plain.at, plain.len);
	buffer_free(&plain);
}

static bool
has_word(struct bytes line, const char *word)
{
	struct bytes part;

	while (bytes_split(&line, '\t', &part))
		if (bytes_equal(part, bytes_of(word)))
			return true;
	return false;
}

static void
read_verdict(struct bytes line, struct arena *a, struct credential_answer *out)
{
	struct buffer fields = { 0 };
	struct bytes  part, rest = line;

	if (bytes_starts(line, BYTES("OK\t1"))) {
		out->outcome = CREDENTIAL_PASS;
		while (bytes_split(&rest, '\t', &part)) {
			ptrdiff_t is = bytes_find(part, '=');
			if (is > 0 && bytes_starts(part, BYTES("user=")))
				credential_column(&fields, bytes_cut(part, 0, (size_t)is),
				                  bytes_cut(part, (size_t)is + 1, SIZE_MAX));
		}
		out->fields = arena_keep(a, buffer_bytes(&fields));
		buffer_free(&fields);
	} else if (has_word(line, "temp")) {
		out->outcome = CREDENTIAL_LATER;
		out->why = "Dovecot cannot tell now";
	} else if (has_word(line, "code=user_disabled") || has_word(line, "code=pass_expired") ||
	           has_word(line, "authz")) {
		out->outcome = CREDENTIAL_CLOSED;
		out->why = "Dovecot says the account is closed";
	} else {
		out->outcome = CREDENTIAL_UNSURE;
		out->why = "password mismatch";
	}
}

/* Dovecot's "Authentication Protocol": something is said, and each line that comes is looked at until one `is_last`. */
static void
dovecot_say(void *own, const struct credential_question *q, struct bytes text, struct arena *a,
            bool (*is_last)(struct bytes line, struct arena *, struct credential_answer *),
            struct credential_answer *out)
{
	struct talk  t;
	struct bytes line;
	size_t       from = 0;
	bool         more;

	out->outcome = CREDENTIAL_LATER;
	out->why = "Dovecot's auth process does not answer";
	more = talk_open(&t, own, q) && talk_say(&t, text);
	while (more && talk_line(&t, &from, &line))
		more = !is_last(line, a, out);
	talk_close(&t);
}

static bool
is_verdict(struct bytes line, struct arena *a, struct credential_answer *out)
{
	if (!bytes_starts(line, BYTES("OK\t1\t")) && !bytes_starts(line, BYTES("FAIL\t1")) &&
	    !bytes_equal(line, BYTES("OK\t1")))
		return false;
	read_verdict(line, a, out);
	return true;
}

/* A handshake, AUTH with its initial response, OK or FAIL. */
static void
dovecot_ask(void *own, const struct credential_question *q, struct arena *a,
            struct credential_answer *out)
{
	struct buffer text = { 0 };

	if (q->user.len > WORD_MOST || q->password.len > WORD_MOST) {
		out->outcome = CREDENTIAL_NOBODY;
		return;
	}
	add_request(&text, q);
	dovecot_say(own, q, buffer_bytes(&text), a, is_verdict, out);
	explicit_bzero(text.at, text.len);
	buffer_free(&text);
}

/* Its side of the handshake ends with DONE. */
static bool
is_done(struct bytes line, struct arena *a, struct credential_answer *out)
{
	(void)a;
	if (!bytes_is(line, "DONE"))
		return false;
	out->outcome = CREDENTIAL_NOBODY;
	return true;
}

static void
dovecot_ping(void *own, const struct credential_question *q, struct arena *a,
             struct credential_answer *out)
{
	struct buffer text = { 0 };

	buffer_printf(&text, "VERSION\t1\t2\nCPID\t%d\n", (int)getpid());
	dovecot_say(own, q, buffer_bytes(&text), a, is_done, out);
	buffer_free(&text);
}

const struct credential_ways credential_dovecot = { false,         service_open,  dovecot_ask,
	                                            service_reach, service_close, dovecot_ping,
	                                            NULL };
