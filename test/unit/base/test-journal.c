#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/journal.h"

static int log_fd = -1;

static void
begin(bool json)
{
	log_fd = memfd_create("journal", MFD_CLOEXEC);
	assert_true(log_fd >= 0);
	clock_pretend(1795311319);
	journal_open(JOURNAL_FILE, log_fd, json, "mx.example");
	journal_service("mansio/smtpd");
}

/* What was written, the process's number replaced by a word. */
static const char *
written(void)
{
	static char text[200000];
	char        raw[100000], pid[32], *at = text;
	ssize_t     n;

	journal_flush();
	n = pread(log_fd, raw, sizeof raw - 1, 0);
	assert_true(n >= 0);
	raw[n] = '\0';
	(void)snprintf(pid, sizeof pid, "%d", (int)getpid());
	for (char *from = raw; *from != '\0';) {
		size_t len = strlen(pid);
		bool   here = strncmp(from, pid, len) == 0 && from > raw &&
		            (from[-1] == '[' || from[-1] == ':');
		if (here) {
			at = stpcpy(at, "PID");
			from += len;
		} else {
			*at++ = *from++;
		}
	}
	*at = '\0';
	(void)close(log_fd);
	return text;
}

static void
test_lines_look_like_postfix(void **state)
{
	(void)state;
	begin(false);
	note("1A00F3: client=%s", "mail.example[192.0.2.1]");
	errno = ENOSPC;
	warn_("disk is nearly full: %s", strerror(ENOSPC));
	assert_int_equal(errno, ENOSPC);
	fault("no");
	note_as("mansio/submission/smtpd", "connect");
	warn_as("mansio/qmgr", "late");
	detail("not asked for");
	journal_verbose(true);
	detail("asked for");
	journal_verbose(false);
	assert_string_equal(
		written(),
		"Nov 22 01:35:19 mx.example mansio/smtpd[PID]: 1A00F3: client=mail.example[192.0.2.1]\n"
		"Nov 22 01:35:19 mx.example mansio/smtpd[PID]: warning: disk is nearly full: No space left on device\n"
		"Nov 22 01:35:19 mx.example mansio/smtpd[PID]: error: no\n"
		"Nov 22 01:35:19 mx.example mansio/submission/smtpd[PID]: connect\n"
		"Nov 22 01:35:19 mx.example mansio/qmgr[PID]: warning: late\n"
		"Nov 22 01:35:19 mx.example mansio/smtpd[PID]: detail: asked for\n");
}

static void
test_json(void **state)
{
	(void)state;
	begin(true);
	note("1A00F3: to=<\"e\\va\"@example.org>\n");
	note("NOQUEUE: reject");
	warn_("hello: no id");
	assert_string_equal(
		written(),
		"{\"time\":\"2026-11-22T01:35:19.000000Z\",\"level\":\"note\",\"host\":\"mx.example\","
		"\"service\":\"mansio/smtpd\",\"pid\":PID,\"id\":\"1A00F3\","
		"\"message\":\"to=<\\\"e\\\\va\\\"@example.org>\\\\x0a\"}\n"
		"{\"time\":\"2026-11-22T01:35:19.000000Z\",\"level\":\"note\",\"host\":\"mx.example\","
		"\"service\":\"mansio/smtpd\",\"pid\":PID,\"id\":\"NOQUEUE\",\"message\":\"reject\"}\n"
		"{\"time\":\"2026-11-22T01:35:19.000000Z\",\"level\":\"warn\",\"host\":\"mx.example\","
		"\"service\":\"mansio/smtpd\",\"pid\":PID,\"message\":\"hello: no id\"}\n");
}

struct forged_case {
	const char *why, *in, *wanted;
};
static const struct forged_case forged[] = {
	{ "a second line", "a\r\nNov 22 forged", "a\\x0d\\x0aNov 22 forged" },
	{ "an escape for the terminal", "\x1b[2J", "\\x1b[2J" },
	{ "DEL", "\x7f", "\\x7f" },
	{ "C1 controls are controls too", "\xc2\x85", "\\xc2\\x85" },
	{ "U+2028 is a line to some", "\xe2\x80\xa8", "\\xe2\\x80\\xa8" },
	{ "text turned around", "\xe2\x80\xae", "\\xe2\\x80\\xae" },
	{ "a tab", "\t", "\\x09" },
	{ "no UTF-8", "\xe4\xf6", "\\xe4\\xf6" },
	{ "cut UTF-8", "\xe9\xa9", "\\xe9\\xa9" },
	{ "good UTF-8 stays", "\xe9\xa9\xbf\xe7\xab\x99 \xc3\xa4",
	  "\xe9\xa9\xbf\xe7\xab\x99 \xc3\xa4" },
	{ "a percent sign is no form", "%s%n", "%s%n" },
};

static void
test_no_line_can_be_forged(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(forged); i++) {
		const char *line;
		begin(false);
		note("%s", forged[i].in);
		line = strstr(written(), "]: ") + 3;
		SAME(forged[i].why, bytes_trim(bytes_of(line)), bytes_of(forged[i].wanted));
	}
}

static void
test_a_long_line_is_cut_between_characters(void **state)
{
	char text[9000], *line;

	(void)state;
	for (int json = 0; json < 2; json++)
		for (size_t shift = 0; shift < 8; shift++) {
			struct bytes b;
			uint32_t     rune;
			size_t       n;
			memset(text, 'x', sizeof text);
			for (size_t i = shift; i + 3 < sizeof text; i += 3)
				memcpy(text + i, shift < 4 ? "\xe9\xa9\xbf" : "\"\x01\\", 3);
			text[sizeof text - 1] = '\0';
			begin(json);
			note("%s", text);
			line = strdup(written());
			b = bytes_of(line);
			assert_in_range(b.len, 1980, 2000 + 1); /* PID is shorter or longer */
			HOLDS("shown",
			      bytes_ends_nocase(b, json ? BYTES("...\"}\n") : BYTES("...\n")));
			for (; b.len > 0; b = bytes_cut(b, n, b.len)) {
				n = bytes_utf8(b, &rune);
				HOLDS("whole characters", n > 0);
			}
			free(line);
		}
}

static void
test_lines_are_gathered(void **state)
{
	struct bytes all;
	size_t       lines = 0;

	(void)state;
	begin(false);
	note("one");
	HOLDS("not yet written", lseek(log_fd, 0, SEEK_END) == 0);
	note("two");
	journal_flush();
	HOLDS("both", lseek(log_fd, 0, SEEK_END) > 0);
	off_t before = lseek(log_fd, 0, SEEK_END);
	fault("three");
	HOLDS("a fault does not wait", lseek(log_fd, 0, SEEK_END) > before);
	(void)written();
	begin(false);
	for (int i = 0; i < 1000; i++)
		note("line %d of many, more than are kept at a time", i);
	all = bytes_of(written());
	for (struct bytes line; bytes_split(&all, '\n', &line);)
		lines += line.len > 0;
	assert_int_equal(lines, 1000);
}

/* A child starts with an empty journal; nothing is written twice. */
static void
test_fork(void **state)
{
	int   status;
	pid_t child;

	(void)state;
	begin(false);
	note("once");
	child = fork();
	if (child == 0) {
		note("from the child");
		journal_flush();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	const char *all = written(), *first = strstr(all, "once");
	assert_non_null(first);
	assert_null(strstr(first + 1, "once"));
	assert_non_null(strstr(all, "from the child"));
}

static void
test_a_panic_is_written_and_aborts(void **state)
{
	int   status;
	pid_t child;

	(void)state;
	begin(false);
	child = fork();
	if (child == 0) {
		(void)signal(SIGABRT, SIG_DFL);
		INSIDE(1 + 1 == 3);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	const char *all = written();
	assert_non_null(strstr(all, "panic: broken promise at "));
	assert_non_null(strstr(all, ": 1 + 1 == 3\n"));
}

/* One datagram a line; what does not go now is kept, then counted. */
static void
test_syslog(void **state)
{
	int     pair[2];
	char    got[3000];
	ssize_t n;
	size_t  count = 0;
	bool    told = false;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
	                 0);
	clock_pretend(1795311319);
	journal_open(JOURNAL_SYSLOG, pair[0], false, "mx.example");
	journal_service("mansio/smtpd");
	note("first\nline");
	warn_("second");
	journal_flush();
	n = recv(pair[1], got, sizeof got, 0);
	assert_true(n > 0);
	got[n] = '\0';
	assert_non_null(strstr(got, "<22>Nov 22 01:35:19 mansio/smtpd["));
	assert_non_null(strstr(got, "]: first\\x0aline"));
	n = recv(pair[1], got, sizeof got, 0);
	assert_true(n > 0);
	got[n] = '\0';
	assert_non_null(strstr(got, "<20>Nov 22"));
	for (int i = 0; i < 5000; i++)
		note("flood %d", i);
	while ((n = recv(pair[1], got, sizeof got, 0)) > 0 || count == 0 || !told) {
		if (n > 0) {
			got[n] = '\0';
			count++;
			told = told || strstr(got, "lines were lost") != NULL;
		} else {
			note("after the flood");
			journal_flush();
		}
	}
	HOLDS("more than the socket held", count > 100);
	journal_open(JOURNAL_STDERR, STDERR_FILENO, false, "mx.example");
	(void)close(pair[0]);
	(void)close(pair[1]);
}

/* A full disk: nothing stops, and the next lines say that some are missing. */
static void
test_a_full_disk(void **state)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	if (full < 0)
		skip();
	begin(false);
	journal_reopen(full);
	for (int i = 0; i < 3000; i++)
		note("a line of some length that cannot be written, number %d", i);
	journal_flush();
	journal_reopen(log_fd);
	note("room again");
	const char *all = written();
	assert_non_null(strstr(all, "number 0\n"));
	assert_non_null(strstr(all, "lines were lost\n"));
	assert_non_null(strstr(all, "room again\n"));
	(void)close(full);
}

UNIT(test_lines_look_like_postfix, test_json, test_no_line_can_be_forged,
     test_a_long_line_is_cut_between_characters, test_lines_are_gathered, test_fork,
     test_a_panic_is_written_and_aborts, test_syslog, test_a_full_disk)
