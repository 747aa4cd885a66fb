#include "base/journal.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"

#define LINE_MOST 2000            /* one line with its newline */
#define TEXT_MOST (4 * LINE_MOST) /* what is read of a text before it is cut */
#define KEPT_MOST ((size_t)64 * 1024)
#define FACILITY_MAIL 2
#define BATCH 64 /* syslog datagrams in one call */

/* What a severity is called: in front of the text, where pflogsumm looks; in
   JSON; and to syslog (rfc5424:6.2.1). */
enum severity { DETAIL, NOTE, WARN, FAULT, PANIC };
/* clang-format off */
static const struct severity_row {
	const char *prefix, *name;
	int         syslog;
	bool        at_once;          /* does not wait for the next flush */
} severities[] = {
	[DETAIL] = { "detail: ",  "detail", 7, false },
	[NOTE]   = { "",          "note",   6, false },
	[WARN]   = { "warning: ", "warn",   4, false },
	[FAULT]  = { "error: ",   "fault",  3, true  },
	[PANIC]  = { "panic: ",   "panic",  2, true  },
};
/* clang-format on */

static struct {
	enum journal_target target;
	int                 fd;
	bool                open, json, verbose, forks_known;
	char                host[256], service[64];
	char                kept[KEPT_MOST]; /* whole lines, not yet written */
	size_t              len;
	size_t              lost;      /* lines there was no room for */
	char                stamp[32]; /* of the second below */
	int64_t             stamp_second;
	pid_t               pid;
	pthread_mutex_t     lock;
} journal = { .fd = STDERR_FILENO,
	      .host = "localhost",
	      .service = "mansio",
	      .stamp_second = -1,
	      .lock = PTHREAD_MUTEX_INITIALIZER };

/* A line under construction; add() stops at the end of it. */
struct line {
	char   at[LINE_MOST];
	size_t len;
};

static size_t
room_in(const struct line *l)
{
	return sizeof l->at - l->len;
}

static void
add(struct line *l, struct bytes b)
{
	if (b.len > room_in(l))
		b.len = room_in(l);
	memcpy(l->at + l->len, b.at, b.len);
	l->len += b.len;
}

static __attribute__((format(printf, 2, 3))) void
addf(struct line *l, const char *form, ...)
{
	va_list list;
	char    piece[512];
	int     n;

	va_start(list, form);
	n = vsnprintf(piece, sizeof piece, form, list);
	va_end(list);
	if (n > 0)
		add(l, (struct bytes){ piece,
		                       (size_t)n < sizeof piece ? (size_t)n : sizeof piece - 1 });
}

/* What would move the eye or the cursor: controls, line and paragraph
   separators, and the marks that turn text around. */
static bool
rune_may_show(uint32_t rune)
{
	return rune >= 0x20 && (rune < 0x7f || rune > 0x9f) && rune != 0x2028 && rune != 0x2029 &&
	       !(rune >= 0x200b && rune <= 0x200f) && !(rune >= 0x202a && rune <= 0x202e) &&
	       !(rune >= 0x2066 && rune <= 0x2069) && rune != 0xfeff;
}

/* One character of the text as it may stand in a line. */
static struct bytes
shown(struct bytes text, size_t *taken, bool json, char hex[24])
{
	static const char digits[] = "0123456789abcdef";
	uint32_t          rune;
	size_t            n = bytes_utf8(text, &rune), at = 0;

	*taken = n == 0 ? 1 : n;
	if (n > 0 && json && (rune == '"' || rune == '\\'))
		return rune == '"' ? BYTES("\\\"") : BYTES("\\\\");
	if (n > 0 && rune_may_show(rune))
		return bytes_cut(text, 0, n);
	for (size_t i = 0; i < *taken; i++) {
		unsigned char c = (unsigned char)text.at[i];
		hex[at++] = '\\';
		if (json)
			hex[at++] = '\\';
		hex[at++] = 'x';
		hex[at++] = digits[c >> 4];
		hex[at++] = digits[c & 15];
	}
	return (struct bytes){ hex, at };
}

/* Outside text, made harmless, leaving `spare` bytes of the line free; what
   does not fit is cut between characters and the cut is shown. */
static void
add_text(struct line *l, struct bytes text, size_t spare, bool json)
{
	static const size_t dots = 3;
	char                hex[24];
	size_t              taken, good = l->len; /* so much stands when dots follow */

	for (; text.len > 0; text = bytes_cut(text, taken, text.len)) {
		struct bytes one = shown(text, &taken, json, hex);
		if (one.len + spare > room_in(l)) {
			l->len = good;
			add(l, BYTES("..."));
			return;
		}
		add(l, one);
		if (room_in(l) >= spare + dots)
			good = l->len;
	}
}

static void
fill_stamp(int64_t second)
{
	struct tm t = { 0 };
	time_t    when = (time_t)second;

	if (second == journal.stamp_second)
		return;
	journal.stamp_second = second;
	if (journal.json) {
		(void)gmtime_r(&when, &t);
		(void)strftime(journal.stamp, sizeof journal.stamp, "%Y-%m-%dT%H:%M:%S", &t);
		return;
	}
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
		                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	(void)localtime_r(&when, &t);
	(void)snprintf(journal.stamp, sizeof journal.stamp, "%s %2d %02d:%02d:%02d",
	               months[t.tm_mon], t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
}

/* A letter's id in front of the text: "1A00F3: ..." or "NOQUEUE: ...". */
static struct bytes
id_of(struct bytes *text)
{
	size_t n = 0;
	bool   digit = false;

	for (; n < text->len; n++) {
		char c = text->at[n];
		if (c >= '0' && c <= '9')
			digit = true;
		else if (ascii_lower(c) < 'a' || ascii_lower(c) > 'z')
			break;
	}
	struct bytes id = bytes_cut(*text, 0, n);
	if (n < 6 || n > 32 || !bytes_starts(bytes_cut(*text, n, 2), BYTES(": ")))
		return BYTES("");
	if (!digit && !bytes_equal(id, BYTES("NOQUEUE")))
		return BYTES("");
	*text = bytes_cut(*text, n + 2, text->len);
	return id;
}

static void
compose_text(struct line *l, const struct severity_row *s, const char *service, struct bytes text)
{
	fill_stamp(clock_wall());
	if (journal.open && journal.target == JOURNAL_SYSLOG)
		addf(l, "<%d>%s", FACILITY_MAIL << 3 | s->syslog, journal.stamp);
	else
		addf(l, "%s %s", journal.stamp, journal.host);
	addf(l, " %s[%d]: %s", service, (int)journal.pid, s->prefix);
	add_text(l, text, 1, false);
	add(l, BYTES("\n"));
}

static void
compose_json(struct line *l, const struct severity_row *s, const char *service, struct bytes text)
{
	struct bytes id = id_of(&text);
	int64_t      now = clock_wall_us();

	fill_stamp(now / 1000000);
	if (journal.target == JOURNAL_SYSLOG) {
		addf(l, "<%d>%s[%d]: ", FACILITY_MAIL << 3 | s->syslog, service, (int)journal.pid);
	}
	addf(l, "{\"time\":\"%s.%06dZ\",\"level\":\"%s\",\"host\":\"", journal.stamp,
	     (int)(now % 1000000), s->name);
	add_text(l, bytes_of(journal.host), 0, true);
	add(l, BYTES("\",\"service\":\""));
	add_text(l, bytes_of(service), 0, true);
	addf(l, "\",\"pid\":%d", (int)journal.pid);
	if (id.len > 0)
		addf(l, ",\"id\":\"%.*s\"", (int)id.len, id.at);
	add(l, BYTES(",\"message\":\""));
	add_text(l, text, 3, true);
	add(l, BYTES("\"}\n"));
}

static void
forget_first(size_t n)
{
	journal.len -= n;
	memmove(journal.kept, journal.kept + n, journal.len);
}

/* Each line is a datagram of its own; as many as there are go in one call.
   Returns how many bytes of lines are gone, -1 with errno when none could go. */
static ssize_t
send_lines(void)
{
	struct mmsghdr message[BATCH] = { 0 };
	struct iovec   piece[BATCH];
	unsigned       count = 0;
	struct bytes   rest = { journal.kept, journal.len }, line;
	ssize_t        gone = 0;
	int            sent;

	while (count < BATCH && bytes_split(&rest, '\n', &line) && line.len > 0) {
		piece[count] = (struct iovec){ journal.kept + (line.at - journal.kept), line.len };
		message[count].msg_hdr.msg_iov = &piece[count];
		message[count].msg_hdr.msg_iovlen = 1;
		count++;
	}
	sent = sendmmsg(journal.fd, message, count, MSG_NOSIGNAL);
	if (sent < 0 && errno == EMSGSIZE)
		sent = 1; /* nobody will ever take that one */
	if (sent < 0)
		return -1;
	for (unsigned i = 0; i < count && (int)i < sent; i++)
		gone += (ssize_t)piece[i].iov_len + 1;
	return gone;
}

static bool
syslog_connect(int fd)
{
	struct sockaddr_un there = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };

	return connect(fd, (struct sockaddr *)&there, sizeof there) == 0;
}

/* Write what is kept; what cannot be written stays for the next time. */
static void
flush_locked(void)
{
	bool asked_again = false;

	while (journal.len > 0) {
		bool    syslog = journal.open && journal.target == JOURNAL_SYSLOG;
		ssize_t n = syslog ? send_lines() : write(journal.fd, journal.kept, journal.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && syslog && errno != EAGAIN && !asked_again) {
			asked_again = true; /* syslogd was restarted, perhaps */
			if (syslog_connect(journal.fd))
				continue;
		}
		if (n <= 0)
			return;
		forget_first((size_t)n);
	}
}

static void
before_fork(void)
{
	(void)pthread_mutex_lock(&journal.lock);
	flush_locked();
}

static void
after_fork(void)
{
	(void)pthread_mutex_unlock(&journal.lock);
}

/* What is still kept is the parent's to write. */
static void
after_fork_in_child(void)
{
	journal.len = 0;
	journal.lost = 0;
	journal.pid = getpid();
	(void)pthread_mutex_unlock(&journal.lock);
}

static void
know_forks(void)
{
	if (journal.forks_known)
		return;
	journal.forks_known = true;
	journal.pid = getpid();
	(void)pthread_atfork(before_fork, after_fork, after_fork_in_child);
	(void)atexit(journal_flush);
}

static void
compose(struct line *l, const struct severity_row *s, const char *service, struct bytes text)
{
	if (service == NULL)
		service = journal.service;
	if (journal.json)
		compose_json(l, s, service, text);
	else
		compose_text(l, s, service, text);
}

static bool
keep(const struct line *l)
{
	if (l->len > sizeof journal.kept - journal.len)
		flush_locked();
	if (l->len > sizeof journal.kept - journal.len)
		return false;
	memcpy(journal.kept + journal.len, l->at, l->len);
	journal.len += l->len;
	return true;
}

/* Lines that were lost are at least counted, as soon as there is room. */
static void
keep_or_count(const struct line *l)
{
	if (journal.lost > 0) {
		struct line about = { .len = 0 };
		char        text[64];
		int n = snprintf(text, sizeof text, "journal: %zu lines were lost", journal.lost);
		compose(&about, &severities[WARN], NULL, (struct bytes){ text, (size_t)n });
		if (keep(&about))
			journal.lost = 0;
	}
	if (journal.lost > 0 || !keep(l))
		journal.lost++;
}

static __attribute__((format(printf, 3, 0))) void
write_line(const struct severity_row *s, const char *service, const char *form, va_list list)
{
	char        text[TEXT_MOST];
	struct line l = { .len = 0 };
	int         kept_errno = errno, n = vsnprintf(text, sizeof text, form, list);

	if (n < 0)
		n = snprintf(text, sizeof text, "%s", form);
	if ((size_t)n >= sizeof text)
		n = sizeof text - 1;
	(void)pthread_mutex_lock(&journal.lock);
	know_forks();
	compose(&l, s, service, (struct bytes){ text, (size_t)n });
	keep_or_count(&l);
	if (s->at_once || !journal.open)
		flush_locked();
	(void)pthread_mutex_unlock(&journal.lock);
	errno = kept_errno;
}

void
journal_open(enum journal_target target, int fd, bool json, const char *host)
{
	(void)pthread_mutex_lock(&journal.lock);
	know_forks();
	flush_locked();
	journal.target = target;
	journal.fd = fd;
	journal.json = json;
	journal.stamp_second = -1;
	(void)snprintf(journal.host, sizeof journal.host, "%s", host);
	journal.open = true;
	(void)pthread_mutex_unlock(&journal.lock);
}

int
journal_syslog_socket(void)
{
	int fd, why;

	if ((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
		goto err0;
	if (!syslog_connect(fd))
		goto err1;
	return fd;

err1:
	why = errno;
	(void)close(fd);
	errno = why;
err0:
	return -1;
}

void
journal_reopen(int fd)
{
	(void)pthread_mutex_lock(&journal.lock);
	flush_locked();
	journal.fd = fd;
	(void)pthread_mutex_unlock(&journal.lock);
}

void
journal_service(const char *service)
{
	(void)pthread_mutex_lock(&journal.lock);
	(void)snprintf(journal.service, sizeof journal.service, "%s", service);
	(void)pthread_mutex_unlock(&journal.lock);
}

void
journal_flush(void)
{
	(void)pthread_mutex_lock(&journal.lock);
	flush_locked();
	(void)pthread_mutex_unlock(&journal.lock);
}

void
journal_verbose(bool verbose)
{
	journal.verbose = verbose;
}

/* Each name of a severity, with its va_list. */
#define WRITE(severity, service, form)                                  \
	do {                                                            \
		va_list list;                                           \
		va_start(list, form);                                   \
		write_line(&severities[severity], service, form, list); \
		va_end(list);                                           \
	} while (0)

void
note(const char *form, ...)
{
	WRITE(NOTE, NULL, form);
}

void
warn_(const char *form, ...)
{
	WRITE(WARN, NULL, form);
}

void
fault(const char *form, ...)
{
	WRITE(FAULT, NULL, form);
}

void
panic(const char *form, ...)
{
	WRITE(PANIC, NULL, form);
	abort();
}

void
note_as(const char *service, const char *form, ...)
{
	WRITE(NOTE, service, form);
}

void
warn_as(const char *service, const char *form, ...)
{
	WRITE(WARN, service, form);
}

void
detail(const char *form, ...)
{
	if (!journal.verbose)
		return;
	WRITE(DETAIL, NULL, form);
}
