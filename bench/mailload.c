// SPDX-License-Identifier: ISC
//
// mailload: a stranger with a great deal of mail.
//
// Opens --connections sessions to one SMTP or LMTP server, hands over
// --messages letters of exactly --size octets and says how fast they were
// taken.  The generator lives on the same machine as the server it measures,
// so whatever it burns is missing over there: one thread, edge-triggered
// epoll, one shared copy of the letter, and only the two lines with the number
// written anew each time.
//
// A letter counts as accepted, and its number goes to --log, after the final
// 250 has been read and not a moment earlier: the crash tests hold the server
// to exactly these lines.

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { INPUT_MAX = 8192, EVENT_MAX = 256, ID_MAX = 64, RETRY_MS = 10 };

// A session walks down this list; RESETTING and QUITTING are the two ways out.
enum step {
	RESTING,	// no socket; waits for .wake
	CONNECTING,	// connect(2) has not answered
	GREETED,	// waits for 220
	INTRODUCED,	// waits for the reply to EHLO or LHLO
	SECURING,	// waits for the reply to STARTTLS
	SHAKING,	// TLS handshake
	SENDER,		// waits for the reply to MAIL
	RECIPIENT,	// ... to each RCPT
	CONTENT,	// ... to DATA
	VERDICT,	// ... to the final dot, once per recipient in LMTP
	RESETTING,	// ... to RSET, after a refused letter
	QUITTING,	// ... to QUIT
	FINISHED,	// nothing left to send
};

struct session {
	int fd;
	unsigned life;		// counts sockets: a new one may reuse the number
	SSL *tls;
	enum step step;
	bool secured;
	bool pipelining;	// offered by this server and wished for
	uint64_t wake;		// RESTING until then, in microseconds
	uint64_t opened;	// when connect(2) was called
	uint64_t begun;		// when MAIL was sent
	uint64_t number;	// of the letter under way
	bool carrying;		// a letter is under way
	unsigned sent_here;	// letters on this connection
	unsigned rcpt_at;	// the recipient whose reply is awaited
	unsigned rcpt_good;
	unsigned verdicts;	// LMTP replies still due after the dot
	bool verdict_bad;
	char *good;		// one byte per recipient: 1 taken
	char id[ID_MAX];
	char *out;		// commands and the letter's own first lines
	size_t out_fill, out_sent;
	const char *tail;	// the shared rest of the letter
	size_t tail_left;
	size_t in_fill;
	char in[INPUT_MAX];
};

static struct {
	const char *host, *port, *helo, *from, *template, *tag, *log_path;
	char **rcpts;
	unsigned rcpt_count, users, recipients, connections, per_connection;
	uint64_t messages;
	size_t size;
	double seconds;
	bool starttls, tls, lmtp, pipelining, keep_going, json;
} want = {
	.host = "127.0.0.1", .port = "25", .helo = "load.example.net",
	.from = "load@example.net", .recipients = 1, .connections = 1,
	.messages = 1, .size = 2048,
};

static struct {
	uint64_t issued, accepted, failed, disconnects, refused;
	unsigned active;
	// Microseconds, one of each per accepted letter: from MAIL on, and with
	// the making of the connection for its first letter.
	uint32_t *latency, *whole;
	size_t latency_fill, latency_room;
	uint64_t first, last;
} tally;

static struct sockaddr_storage server;
static socklen_t server_length;
static int poller;
static SSL_CTX *tls_context;
static char *tail;
static size_t tail_length;
static size_t out_room;
static FILE *log_file;
static volatile sig_atomic_t stopped;

static void
die(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	fputs("mailload: ", stderr);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(2);
}

static void *
must(void *p)
{
	if (!p)
		die("out of memory");
	return p;
}

static uint64_t
clock_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void
signal_stop(int signal)
{
	(void)signal;
	stopped = 1;
}

// The i-th recipient of a letter.  Letters walk through the users in turn, so
// that --recipients 1 over twenty users fills twenty mailboxes evenly.
static const char *
rcpt_of(uint64_t number, unsigned i)
{
	return want.rcpts[(number * want.recipients + i) % want.rcpt_count];
}

// ---- the letter -----------------------------------------------------------

// Everything of a letter but its number is the same each time.  The two lines
// with the number have a fixed width, so the size comes out exactly.
static size_t
letter_head(char *to, size_t room, const char *id)
{
	return (size_t)snprintf(to, room,
	    "Message-ID: <%s@%s>\r\nX-Load-Id: %s\r\n", id, want.helo, id);
}

static void
letter_id(char to[ID_MAX], uint64_t number)
{
	snprintf(to, ID_MAX, "%s-%010" PRIu64, want.tag, number);
}

static void
letter_prepare(void)
{
	char head[1024], id[ID_MAX], date[64];
	time_t now = time(NULL);
	letter_id(id, 0);
	size_t head_length = letter_head(head, sizeof head, id);
	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", gmtime(&now));

	char *s = must(malloc(want.size + 2048));
	size_t n = (size_t)snprintf(s, want.size + 2048,
	    "From: Load <%s>\r\nTo: undisclosed-recipients:;\r\nDate: %s\r\n"
	    "Subject: A letter of %zu octets\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=us-ascii\r\n\r\n",
	    want.from, date, want.size);
	if (head_length + n + 2 > want.size)
		die("--size must be at least %zu", head_length + n + 2);

	// Text that no filter finds remarkable and no compressor loves too much.
	static const char words[] =
	    "the bench stands by the road and counts the carts that pass all day ";
	size_t left = want.size - head_length - n;
	unsigned w = 0, seed = 1;
	while (left > 0) {
		// The last line takes all the rest, so that never a lone octet
		// remains with no room for its CRLF.
		size_t line = left >= 80 ? 78 : left;
		for (size_t i = 0; i + 2 < line; i++) {
			seed = seed * 1103515245u + 12345u;
			char c = words[w++ % (sizeof words - 1)];
			if (seed >> 28 == 0)
				c = (char)('0' + (seed >> 16) % 10);
			s[n++] = c;
		}
		s[n++] = '\r', s[n++] = '\n';
		left -= line;
	}
	memcpy(s + n, ".\r\n", 3);
	tail = s;
	tail_length = n + 3;
}

// ---- sessions -------------------------------------------------------------

static void session_connect(struct session *);
static void session_flush(struct session *);

static void
session_say(struct session *s, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(s->out + s->out_fill, out_room - s->out_fill,
	    format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= out_room - s->out_fill)
		die("command longer than the buffer");
	s->out_fill += (size_t)n;
}

static void
session_shut(struct session *s)
{
	SSL_free(s->tls);
	s->tls = NULL;
	if (s->fd >= 0)
		close(s->fd);	// leaves the epoll set by itself
	s->fd = -1;
	s->life++;
	s->out_fill = s->out_sent = s->tail_left = s->in_fill = 0;
	s->secured = false;
	s->sent_here = 0;
}

static bool
load_exhausted(void)
{
	return tally.issued >= want.messages || stopped ||
	    (want.seconds > 0 && clock_us() - tally.first >=
	    (uint64_t)(want.seconds * 1e6));
}

// Goes to sleep for a while, or for good when there is nothing left to send.
static void
session_rest(struct session *s, unsigned ms)
{
	session_shut(s);
	if (load_exhausted()) {
		s->step = FINISHED;
		tally.active--;
	} else if (ms == 0) {
		session_connect(s);
	} else {
		s->step = RESTING;
		s->wake = clock_us() + ms * 1000;
	}
}

static void
letter_fail(struct session *s)
{
	if (s->carrying)
		tally.failed++;
	s->carrying = false;
}

// The connection is gone.  The letter under way may or may not have arrived;
// it is counted as failed and its number is never used again.
static void
session_lost(struct session *s, const char *why)
{
	bool polite = s->step == QUITTING;
	if (!polite) {
		tally.disconnects++;
		if (!want.keep_going && !stopped)
			die("connection lost (%s) in step %d", why, s->step);
	}
	letter_fail(s);
	session_rest(s, polite ? 0 : RETRY_MS);
}

static void
letter_accept(struct session *s)
{
	uint64_t now = clock_us();
	tally.last = now;
	tally.accepted++;
	if (tally.latency_fill == tally.latency_room) {
		tally.latency_room = tally.latency_room * 2 + 4096;
		tally.latency = must(realloc(tally.latency,
		    tally.latency_room * sizeof *tally.latency));
		tally.whole = must(realloc(tally.whole,
		    tally.latency_room * sizeof *tally.whole));
	}
	uint64_t begun = s->sent_here == 1 ? s->opened : s->begun;
	tally.whole[tally.latency_fill] = (uint32_t)(now - begun);
	tally.latency[tally.latency_fill++] = (uint32_t)(now - s->begun);
	if (log_file) {
		fputs(s->id, log_file);
		for (unsigned i = 0; i < want.recipients; i++)
			if (s->good[i])
				fprintf(log_file, " %s", rcpt_of(s->number, i));
		fputc('\n', log_file);
	}
	s->carrying = false;
}

static void
session_quit(struct session *s)
{
	session_say(s, "QUIT\r\n");
	s->step = QUITTING;
}

// Takes the next letter from the common heap, or leaves.
static void
session_next(struct session *s)
{
	bool full = want.per_connection && s->sent_here >= want.per_connection;
	if (full || load_exhausted()) {
		session_quit(s);
		return;
	}
	s->number = tally.issued++;
	s->sent_here++;
	s->carrying = true;
	s->rcpt_at = s->rcpt_good = 0;
	s->verdict_bad = false;
	letter_id(s->id, s->number);
	s->begun = clock_us();
	session_say(s, "MAIL FROM:<%s>\r\n", want.from);
	if (s->pipelining) {
		for (unsigned i = 0; i < want.recipients; i++)
			session_say(s, "RCPT TO:<%s>\r\n", rcpt_of(s->number, i));
		session_say(s, "DATA\r\n");
	}
	s->step = SENDER;
}

static void
session_introduce(struct session *s)
{
	session_say(s, "%s %s\r\n", want.lmtp ? "LHLO" : "EHLO", want.helo);
	s->step = INTRODUCED;
}

static void
session_shake(struct session *s)
{
	int r = SSL_connect(s->tls);
	if (r == 1) {
		s->secured = true;
		if (want.tls)
			s->step = GREETED;
		else
			session_introduce(s);
		return;
	}
	int e = SSL_get_error(s->tls, r);
	if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE) {
		ERR_clear_error();
		session_lost(s, "TLS handshake");
	}
}

static void
session_secure(struct session *s)
{
	s->tls = must(SSL_new(tls_context));
	SSL_set_fd(s->tls, s->fd);
	s->in_fill = 0;
	s->step = SHAKING;
	session_shake(s);
}

static void
session_send_letter(struct session *s)
{
	if (s->rcpt_good == 0) {	// only reached when pipelining
		session_say(s, ".\r\n");
	} else {
		s->out_fill += letter_head(s->out + s->out_fill,
		    out_room - s->out_fill, s->id);
		s->tail = tail;
		s->tail_left = tail_length;
	}
	s->verdicts = want.lmtp && s->rcpt_good ? s->rcpt_good : 1;
	s->rcpt_at = 0;
	s->step = VERDICT;
}

// A letter was refused half-way: forget it and go on with the next.
static void
session_reset(struct session *s)
{
	letter_fail(s);
	tally.refused++;
	session_say(s, "RSET\r\n");
	s->step = RESETTING;
}

static void
session_ask_recipient(struct session *s)
{
	if (!s->pipelining)
		session_say(s, "RCPT TO:<%s>\r\n",
		    rcpt_of(s->number, s->rcpt_at));
	s->step = RECIPIENT;
}

static void
session_verdict(struct session *s, bool good)
{
	while (want.lmtp && s->rcpt_at < want.recipients && !s->good[s->rcpt_at])
		s->rcpt_at++;
	if (!good) {
		s->verdict_bad = true;
		if (want.lmtp && s->rcpt_at < want.recipients)
			s->good[s->rcpt_at] = 0, s->rcpt_good--;
	}
	s->rcpt_at++;
	if (--s->verdicts > 0)
		return;
	// In LMTP a letter that reached somebody is logged for those it reached.
	if (!s->verdict_bad || (want.lmtp && s->rcpt_good > 0))
		letter_accept(s);
	else
		letter_fail(s);
	session_next(s);
}

// One complete reply has come.
static void
session_reply(struct session *s, int code)
{
	bool good = code >= 200 && code < 300;

	if (code == 421) {
		session_lost(s, "421");
		return;
	}
	switch (s->step) {
	case GREETED:
		if (!good)
			session_lost(s, "greeting");
		else
			session_introduce(s);
		break;
	case INTRODUCED:
		if (!good) {
			session_lost(s, "EHLO refused");
		} else if (want.starttls && !s->secured) {
			session_say(s, "STARTTLS\r\n");
			s->step = SECURING;
		} else {
			session_next(s);
		}
		break;
	case SECURING:
		if (good)
			session_secure(s);
		else
			session_lost(s, "STARTTLS refused");
		break;
	case SENDER:
		if (!good && !s->pipelining)
			session_reset(s);
		else
			session_ask_recipient(s);
		break;
	case RECIPIENT:
		s->good[s->rcpt_at++] = good;
		s->rcpt_good += good;
		if (s->rcpt_at < want.recipients) {
			session_ask_recipient(s);
		} else if (s->pipelining) {
			s->step = CONTENT;
		} else if (s->rcpt_good == 0) {
			session_reset(s);
		} else {
			session_say(s, "DATA\r\n");
			s->step = CONTENT;
		}
		break;
	case CONTENT:
		if (code == 354)
			session_send_letter(s);
		else
			session_reset(s);
		break;
	case VERDICT:
		session_verdict(s, good);
		break;
	case RESETTING:
		session_next(s);
		break;
	case QUITTING:
		session_rest(s, 0);
		break;
	default:
		session_lost(s, "a reply nobody asked for");
	}
}

// Eats complete lines.  A reply may span several; only the last has a blank
// after its code.  Stops when the session changed its skin underneath.
static void
session_lines(struct session *s)
{
	size_t at = 0;
	for (;;) {
		char *line = s->in + at;
		char *end = memchr(line, '\n', s->in_fill - at);
		if (!end)
			break;
		at += (size_t)(end - line) + 1;
		if (end - line < 3) {
			session_lost(s, "malformed reply");
			return;
		}
		*end = 0;
		if (s->step == INTRODUCED && strncasecmp(line + 4, "PIPELINING",
		    10) == 0)
			s->pipelining = want.pipelining;
		if (line[3] == '-')
			continue;
		unsigned life = s->life;
		enum step before = s->step;
		session_reply(s, atoi(line));
		if (s->life != life || before == SECURING)
			return;	// another connection, or TLS: the rest is void
	}
	memmove(s->in, s->in + at, s->in_fill - at);
	s->in_fill -= at;
	if (s->in_fill == sizeof s->in)
		session_lost(s, "endless line");
}

// Reads what there is.  False when nothing more will come for now.  When the
// server is known to have closed, its end must be read too: there will not be
// another edge.
static bool
session_read(struct session *s, bool closing)
{
	ssize_t n;
	unsigned life = s->life;
	if (s->tls) {
		n = SSL_read(s->tls, s->in + s->in_fill,
		    (int)(sizeof s->in - s->in_fill));
		if (n <= 0) {
			int e = SSL_get_error(s->tls, (int)n);
			if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
				return false;
			ERR_clear_error();
			session_lost(s, "TLS read");
			return false;
		}
		s->in_fill += (size_t)n;
		session_lines(s);
		return s->life == life;
	}
	size_t room = sizeof s->in - s->in_fill;
	n = read(s->fd, s->in + s->in_fill, room);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return errno == EINTR;
	if (n <= 0) {
		session_lost(s, n < 0 ? strerror(errno) : "closed");
		return false;
	}
	s->in_fill += (size_t)n;
	session_lines(s);
	// A short read has emptied the socket: the next edge will tell.
	return s->life == life && !s->tls && ((size_t)n == room || closing);
}

// TLS wants one buffer at a time; a small letter is joined so that it
// travels in one record, as a real client's would.
static void
session_flush_tls(struct session *s)
{
	if (s->tail_left > 0 && s->tail_left + s->out_fill <= out_room) {
		memcpy(s->out + s->out_fill, s->tail, s->tail_left);
		s->out_fill += s->tail_left;
		s->tail_left = 0;
	}
	while (s->out_fill > s->out_sent || s->tail_left > 0) {
		bool first = s->out_fill > s->out_sent;
		const char *p = first ? s->out + s->out_sent : s->tail;
		size_t left = first ? s->out_fill - s->out_sent : s->tail_left;
		int n = SSL_write(s->tls, p, left > 65536 ? 65536 : (int)left);
		if (n <= 0) {
			int e = SSL_get_error(s->tls, n);
			if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
				return;
			ERR_clear_error();
			session_lost(s, "TLS write");
			return;
		}
		if (first)
			s->out_sent += (size_t)n;
		else
			s->tail += n, s->tail_left -= (size_t)n;
	}
	s->out_fill = s->out_sent = 0;
}

static void
session_flush(struct session *s)
{
	if (s->tls) {
		session_flush_tls(s);
		return;
	}
	while (s->out_fill > s->out_sent || s->tail_left > 0) {
		struct iovec v[2] = {
			{ s->out + s->out_sent, s->out_fill - s->out_sent },
			{ (void *)(uintptr_t)s->tail, s->tail_left },
		};
		ssize_t n = writev(s->fd, v, s->tail_left ? 2 : 1);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			if (errno != EAGAIN)
				session_lost(s, strerror(errno));
			return;
		}
		size_t of_out = (size_t)n < v[0].iov_len ? (size_t)n : v[0].iov_len;
		s->out_sent += of_out;
		s->tail += (size_t)n - of_out;
		s->tail_left -= (size_t)n - of_out;
	}
	s->out_fill = s->out_sent = 0;
}

static void
session_connect(struct session *s)
{
	int fd = socket(server.ss_family, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket: %s", strerror(errno));
	int one = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	s->fd = fd;
	s->step = CONNECTING;
	s->opened = clock_us();
	struct epoll_event e = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.ptr = s,
	};
	if (connect(fd, (struct sockaddr *)&server, server_length) < 0 &&
	    errno != EINPROGRESS) {
		session_lost(s, strerror(errno));
		return;
	}
	if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e) < 0)
		die("epoll_ctl: %s", strerror(errno));
}

static void
session_event(struct session *s, uint32_t events)
{
	if (s->fd < 0)
		return;
	if (s->step == CONNECTING) {
		if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
			return;
		int e = 0;
		socklen_t n = sizeof e;
		getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &e, &n);
		if (e) {
			session_lost(s, strerror(e));
			return;
		}
		s->step = GREETED;
		if (want.tls)
			session_secure(s);
	}
	if (s->step == SHAKING)
		session_shake(s);
	if (s->fd >= 0 && s->step != SHAKING && s->step != CONNECTING) {
		uint32_t gone = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
		if (events & (EPOLLIN | gone))
			while (session_read(s, events & gone))
				;
		if (s->fd >= 0 && s->step != SHAKING && s->step != CONNECTING &&
		    (s->out_fill > s->out_sent || s->tail_left))
			session_flush(s);
	}
}

// ---- the run --------------------------------------------------------------

// Wakes those whose rest is over; says how long the others may sleep.
static int
sessions_wake(struct session *all)
{
	uint64_t now = clock_us();
	int timeout = want.seconds > 0 ? 20 : 1000;
	for (unsigned i = 0; i < want.connections; i++) {
		if (all[i].step != RESTING)
			continue;
		if (all[i].wake <= now) {
			if (load_exhausted())
				session_rest(&all[i], 0);
			else
				session_connect(&all[i]);
		}
		timeout = 5;
	}
	return timeout;
}

static void
load_run(void)
{
	struct session *all = must(calloc(want.connections, sizeof *all));
	for (unsigned i = 0; i < want.connections; i++) {
		all[i].fd = -1;
		all[i].out = must(malloc(out_room));
		all[i].good = must(calloc(want.recipients, 1));
	}
	tally.first = tally.last = clock_us();
	tally.active = want.connections;
	for (unsigned i = 0; i < want.connections; i++)
		session_connect(&all[i]);

	struct epoll_event events[EVENT_MAX];
	uint64_t latest = want.seconds > 0 ?
	    tally.first + (uint64_t)((want.seconds + 5) * 1e6) : UINT64_MAX;
	while (tally.active > 0 && !stopped && clock_us() < latest) {
		int timeout = want.keep_going ? sessions_wake(all) : 1000;
		int n = epoll_wait(poller, events, EVENT_MAX, timeout);
		for (int i = 0; i < n; i++)
			session_event(events[i].data.ptr, events[i].events);
		if (log_file)
			fflush(log_file);
	}
	for (unsigned i = 0; i < want.connections; i++)
		if (all[i].carrying)
			letter_fail(&all[i]);
}

static int
latency_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static void
latency_sort(uint32_t *all)
{
	if (tally.latency_fill)
		qsort(all, tally.latency_fill, sizeof *all, latency_compare);
}

static double
latency_at(const uint32_t *sorted, double share)
{
	if (tally.latency_fill == 0)
		return 0;
	size_t i = (size_t)(share * (double)(tally.latency_fill - 1) + 0.5);
	return sorted[i] / 1000.0;
}

static void
load_report(void)
{
	double seconds = (double)(tally.last - tally.first) / 1e6;
	double rate = seconds > 0 ? (double)tally.accepted / seconds : 0;
	latency_sort(tally.latency);
	latency_sort(tally.whole);
#define TALLY tally.accepted, tally.failed, seconds, rate, \
	    latency_at(tally.latency, .5), latency_at(tally.latency, .99), \
	    latency_at(tally.whole, .5), latency_at(tally.whole, .99), \
	    tally.disconnects, tally.refused
	if (want.json)
		printf("{\"accepted\": %" PRIu64 ", \"failed\": %" PRIu64
	    ", \"seconds\": %.4f, \"per_second\": %.1f, \"p50_ms\": %.3f"
	    ", \"p99_ms\": %.3f, \"whole_p50_ms\": %.3f"
	    ", \"whole_p99_ms\": %.3f, \"disconnects\": %" PRIu64
	    ", \"refused\": %" PRIu64 "}\n", TALLY);
	else
		printf("accepted=%" PRIu64 " failed=%" PRIu64
	    " seconds=%.4f per_second=%.1f p50_ms=%.3f p99_ms=%.3f"
	    " whole_p50_ms=%.3f whole_p99_ms=%.3f"
	    " disconnects=%" PRIu64 " refused=%" PRIu64 "\n", TALLY);
#undef TALLY
}

static void
server_resolve(void)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
	int e = getaddrinfo(want.host, want.port, &hints, &found);
	if (e)
		die("%s port %s: %s", want.host, want.port, gai_strerror(e));
	memcpy(&server, found->ai_addr, found->ai_addrlen);
	server_length = found->ai_addrlen;
	freeaddrinfo(found);
}

static void
rcpt_add(const char *list)
{
	char *copy = must(strdup(list));
	for (char *r = strtok(copy, ","); r; r = strtok(NULL, ",")) {
		want.rcpts = must(realloc(want.rcpts,
		    (want.rcpt_count + 1) * sizeof *want.rcpts));
		want.rcpts[want.rcpt_count++] = r;
	}
}

static void
rcpt_prepare(void)
{
	if (want.template) {
		// The one %d is put in by hand: a format from the command line
		// has no business in printf.
		const char *hole = strstr(want.template, "%d");
		if (!hole)
			die("--rcpt-template needs a %%d");
		unsigned users = want.users ? want.users : want.recipients;
		for (unsigned i = 1; i <= users; i++) {
			char address[512];
			snprintf(address, sizeof address, "%.*s%u%s",
			    (int)(hole - want.template), want.template, i,
			    hole + 2);
			rcpt_add(address);
		}
	}
	if (want.rcpt_count == 0)
		rcpt_add("load@example.com");
	if (want.recipients > want.rcpt_count)
		die("--recipients %u, but only %u addresses are known",
		    want.recipients, want.rcpt_count);
}

static const char usage[] =
"usage: mailload [option ...]\n"
"  --host H --port P          the server (127.0.0.1, 25)\n"
"  --connections N            sessions at the same time (1)\n"
"  --messages M               letters in all (1)\n"
"  --per-connection K         letters on one connection; 0: no limit (0)\n"
"  --size BYTES               octets of each letter, CRLF counted (2048)\n"
"  --recipients R             recipients of each letter (1)\n"
"  --rcpt A[,B...]            addresses, taken in turn; may be repeated\n"
"  --rcpt-template T          addresses made by putting 1..U for the %d in T\n"
"  --users U                  how many of them (as many as --recipients)\n"
"  --from A --helo NAME       envelope sender, name of this client\n"
"  --starttls | --tls         STARTTLS, or TLS from the first octet\n"
"  --lmtp                     LMTP instead of SMTP\n"
"  --pipelining on|off        MAIL, RCPT and DATA in one go (off)\n"
"  --seconds S                take no new letter after so long\n"
"  --keep-going               reconnect when the server goes away\n"
"  --tag WORD                 start of every message id (time and process)\n"
"  --log FILE                 append \"id rcpt...\" for each letter accepted\n"
"  --json                     report as JSON\n";

enum option_code { OPT_HOST = 256, OPT_PORT, OPT_CONNECTIONS, OPT_MESSAGES,
	OPT_PER_CONNECTION, OPT_SIZE, OPT_RECIPIENTS, OPT_RCPT, OPT_TEMPLATE,
	OPT_USERS, OPT_FROM, OPT_HELO, OPT_STARTTLS, OPT_TLS, OPT_LMTP,
	OPT_PIPELINING, OPT_SECONDS, OPT_KEEP, OPT_TAG, OPT_LOG, OPT_JSON,
	OPT_HELP };

static const struct option options[] = {
	{ "host", 1, NULL, OPT_HOST },
	{ "port", 1, NULL, OPT_PORT },
	{ "connections", 1, NULL, OPT_CONNECTIONS },
	{ "messages", 1, NULL, OPT_MESSAGES },
	{ "per-connection", 1, NULL, OPT_PER_CONNECTION },
	{ "size", 1, NULL, OPT_SIZE },
	{ "recipients", 1, NULL, OPT_RECIPIENTS },
	{ "rcpt", 1, NULL, OPT_RCPT },
	{ "rcpt-template", 1, NULL, OPT_TEMPLATE },
	{ "users", 1, NULL, OPT_USERS },
	{ "from", 1, NULL, OPT_FROM },
	{ "helo", 1, NULL, OPT_HELO },
	{ "starttls", 0, NULL, OPT_STARTTLS },
	{ "tls", 0, NULL, OPT_TLS },
	{ "lmtp", 0, NULL, OPT_LMTP },
	{ "pipelining", 1, NULL, OPT_PIPELINING },
	{ "seconds", 1, NULL, OPT_SECONDS },
	{ "keep-going", 0, NULL, OPT_KEEP },
	{ "tag", 1, NULL, OPT_TAG },
	{ "log", 1, NULL, OPT_LOG },
	{ "json", 0, NULL, OPT_JSON },
	{ "help", 0, NULL, OPT_HELP },
	{ 0 },
};

static unsigned long
number_of(const char *word, unsigned long least, unsigned long most)
{
	char *end;
	errno = 0;
	unsigned long n = strtoul(word, &end, 10);
	if (errno || *end || end == word || n < least || n > most)
		die("%s is not a number from %lu to %lu", word, least, most);
	return n;
}

static void
options_read(int argc, char **argv)
{
	int o;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case OPT_HOST: want.host = optarg; break;
		case OPT_PORT: want.port = optarg; break;
		case OPT_CONNECTIONS:
			want.connections = (unsigned)number_of(optarg, 1, 60000);
			break;
		case OPT_MESSAGES:
			want.messages = number_of(optarg, 1, 1000000000);
			break;
		case OPT_PER_CONNECTION:
			want.per_connection =
			    (unsigned)number_of(optarg, 0, 1000000000);
			break;
		case OPT_SIZE: want.size = number_of(optarg, 1, 1 << 30); break;
		case OPT_RECIPIENTS:
			want.recipients = (unsigned)number_of(optarg, 1, 10000);
			break;
		case OPT_RCPT: rcpt_add(optarg); break;
		case OPT_TEMPLATE: want.template = optarg; break;
		case OPT_USERS:
			want.users = (unsigned)number_of(optarg, 1, 1000000);
			break;
		case OPT_FROM: want.from = optarg; break;
		case OPT_HELO: want.helo = optarg; break;
		case OPT_STARTTLS: want.starttls = true; break;
		case OPT_TLS: want.tls = true; break;
		case OPT_LMTP: want.lmtp = true; break;
		case OPT_PIPELINING:
			want.pipelining = strcmp(optarg, "on") == 0;
			break;
		case OPT_SECONDS: want.seconds = atof(optarg); break;
		case OPT_KEEP: want.keep_going = true; break;
		case OPT_TAG: want.tag = optarg; break;
		case OPT_LOG: want.log_path = optarg; break;
		case OPT_JSON: want.json = true; break;
		case OPT_HELP: fputs(usage, stdout); exit(0);
		default: fputs(usage, stderr); exit(2);
		}
	}
	if (optind < argc) {
		fputs(usage, stderr);
		exit(2);
	}
}

int
main(int argc, char **argv)
{
	options_read(argc, argv);
	char tag[32];
	if (!want.tag) {
		snprintf(tag, sizeof tag, "%lx.%x", (unsigned long)time(NULL),
		    (unsigned)getpid());
		want.tag = tag;
	}
	if (strlen(want.tag) > ID_MAX - 16)
		die("--tag is too long");
	if (want.connections > want.messages)
		want.connections = (unsigned)want.messages;
	rcpt_prepare();
	server_resolve();
	letter_prepare();
	out_room = 24576;
	for (unsigned i = 0; i < want.recipients; i++)
		out_room += strlen(rcpt_of(0, i)) + 64;

	if (want.starttls || want.tls) {
		tls_context = must(SSL_CTX_new(TLS_client_method()));
		SSL_CTX_set_verify(tls_context, SSL_VERIFY_NONE, NULL);
		SSL_CTX_set_session_cache_mode(tls_context, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_mode(tls_context, SSL_MODE_ENABLE_PARTIAL_WRITE |
		    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	}
	if (want.log_path && !(log_file = fopen(want.log_path, "ae")))
		die("%s: %s", want.log_path, strerror(errno));
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, signal_stop);
	signal(SIGINT, signal_stop);
	if ((poller = epoll_create1(EPOLL_CLOEXEC)) < 0)
		die("epoll_create1: %s", strerror(errno));
	load_run();
	load_report();
	return tally.failed && !want.keep_going;
}
