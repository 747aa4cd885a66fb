// SPDX-License-Identifier: ISC
//
// idleconns: many quiet guests.
//
// Opens --count connections, brings each to the point where a client falls
// silent (after EHLO; after LOGIN, SELECT and IDLE) and holds them all until
// its standard input ends.  "ready N" on standard output says that the
// server's memory may now be measured.
//
// With --rate it comes so often a second, --count times in all, and goes as soon
// as it is refused: at the door, or at RCPT for somebody elsewhere.

#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct guest {
	int fd;
	SSL *tls;
	size_t fill;
	char in[2048];
};

static struct {
	const char *host, *port, *password;
	const char *users[1024];
	unsigned user_count, count, parallel;
	unsigned rate;
	bool imap, tls, starttls, idle;
} want = { .host = "127.0.0.1", .port = "25", .count = 1, .parallel = 4 };

static SSL_CTX *tls_context;
static struct addrinfo *server;
static struct guest *guests;
static unsigned next_guest;
static pthread_mutex_t next_lock = PTHREAD_MUTEX_INITIALIZER;

static void
die(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	fputs("idleconns: ", stderr);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(2);
}

static void
guest_say(struct guest *g, const char *format, ...)
{
	char line[1024];
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(line, sizeof line, format, ap);
	va_end(ap);
	int sent = g->tls ? SSL_write(g->tls, line, n) :
	    (int)write(g->fd, line, (size_t)n);
	if (sent != n)
		die("write: %s", strerror(errno));
}

// Reads one line into .in and returns it without its CRLF.
static const char *
guest_line(struct guest *g, char *to, size_t room)
{
	for (;;) {
		char *end = memchr(g->in, '\n', g->fill);
		if (end) {
			size_t n = (size_t)(end - g->in) + 1;
			size_t keep = n < room ? n : room;
			memcpy(to, g->in, keep);
			to[keep - 1] = 0;
			memmove(g->in, end + 1, g->fill - n);
			g->fill -= n;
			return to;
		}
		if (g->fill == sizeof g->in)
			die("endless line");
		void *at = g->in + g->fill;
		size_t left = sizeof g->in - g->fill;
		int n = g->tls ? SSL_read(g->tls, at, (int)left) :
		    (int)read(g->fd, at, left);
		if (n <= 0)
			die("the server closed guest %u: %s",
			    (unsigned)(g - guests), strerror(errno));
		g->fill += (size_t)n;
	}
}

static void
guest_expect_smtp(struct guest *g, char digit)
{
	char line[1024];
	do
		guest_line(g, line, sizeof line);
	while (strlen(line) > 3 && line[3] == '-');
	if (line[0] != digit)
		die("unexpected: %s", line);
}

static void
guest_expect_imap(struct guest *g, const char *tag)
{
	char line[1024];
	size_t n = strlen(tag);
	do
		guest_line(g, line, sizeof line);
	while (strncmp(line, tag, n) != 0);
	if (*tag != '+' && strncasecmp(line + n, " OK", 3) != 0)
		die("unexpected: %s", line);
}

static void
guest_shake(struct guest *g)
{
	g->tls = SSL_new(tls_context);
	if (!g->tls || !SSL_set_fd(g->tls, g->fd) || SSL_connect(g->tls) != 1)
		die("TLS handshake: %s",
		    ERR_reason_error_string(ERR_get_error()));
}

static void
guest_settle_smtp(struct guest *g)
{
	guest_expect_smtp(g, '2');
	guest_say(g, "EHLO idle.example.net\r\n");
	guest_expect_smtp(g, '2');
	if (want.starttls) {
		guest_say(g, "STARTTLS\r\n");
		guest_expect_smtp(g, '2');
		guest_shake(g);
		guest_say(g, "EHLO idle.example.net\r\n");
		guest_expect_smtp(g, '2');
	}
}

static void
guest_settle_imap(struct guest *g, unsigned number)
{
	guest_expect_imap(g, "*");
	if (want.starttls) {
		guest_say(g, "t STARTTLS\r\n");
		guest_expect_imap(g, "t");
		guest_shake(g);
	}
	if (want.user_count == 0)
		return;
	guest_say(g, "a LOGIN %s \"%s\"\r\n",
	    want.users[number % want.user_count], want.password);
	guest_expect_imap(g, "a");
	guest_say(g, "b SELECT INBOX\r\n");
	guest_expect_imap(g, "b");
	if (want.idle) {
		guest_say(g, "c IDLE\r\n");
		guest_expect_imap(g, "+");
	}
}

static void
guest_open(unsigned number)
{
	struct guest *g = &guests[number];
	g->fd = socket(server->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (g->fd < 0)
		die("socket: %s", strerror(errno));
	struct timeval patience = { .tv_sec = 60 };
	setsockopt(g->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	int one = 1;
	setsockopt(g->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(g->fd, server->ai_addr, server->ai_addrlen) < 0)
		die("connect of guest %u: %s", number, strerror(errno));
	if (want.tls)
		guest_shake(g);
	if (want.imap)
		guest_settle_imap(g, number);
	else
		guest_settle_smtp(g);
}

// One stranger who wants something that will not be; true: refused.
static bool
guest_refused(unsigned number)
{
	static const char *const says[] = { "EHLO stranger.example.net\r\n",
		"MAIL FROM:<a@stranger.example.net>\r\n",
		"RCPT TO:<b@elsewhere.example.org>\r\n" };
	struct guest *g = &guests[number];
	char line[1024] = "";
	bool refused = false;

	g->fd = socket(server->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (g->fd < 0 || connect(g->fd, server->ai_addr, server->ai_addrlen) < 0)
		die("connect of guest %u: %s", number, strerror(errno));
	for (size_t i = 0; i <= 3 && !refused; i++) {
		do
			guest_line(g, line, sizeof line);
		while (strlen(line) > 3 && line[3] == '-');
		refused = line[0] == '4' || line[0] == '5';
		if (!refused && i < 3)
			guest_say(g, "%s", says[i]);
	}
	close(g->fd);
	return refused;
}

static void
strangers_pace(const struct timespec *begin, unsigned number)
{
	struct timespec now, pause;
	double due = (double)number / want.rate;

	clock_gettime(CLOCK_MONOTONIC, &now);
	due -= (double)(now.tv_sec - begin->tv_sec) +
	    (double)(now.tv_nsec - begin->tv_nsec) / 1e9;
	if (due <= 0)
		return;
	pause.tv_sec = (time_t)due;
	pause.tv_nsec = (long)((due - (double)pause.tv_sec) * 1e9);
	nanosleep(&pause, NULL);
}

static struct timespec strangers_begin;
static unsigned strangers_refused;

static void *
stranger_run(void *unused)
{
	(void)unused;
	for (;;) {
		pthread_mutex_lock(&next_lock);
		unsigned n = next_guest++;
		pthread_mutex_unlock(&next_lock);
		if (n >= want.count)
			return NULL;
		strangers_pace(&strangers_begin, n);
		bool refused = guest_refused(n);
		pthread_mutex_lock(&next_lock);
		strangers_refused += refused;
		pthread_mutex_unlock(&next_lock);
	}
}

static void *
opener_run(void *unused)
{
	(void)unused;
	for (;;) {
		pthread_mutex_lock(&next_lock);
		unsigned n = next_guest++;
		pthread_mutex_unlock(&next_lock);
		if (n >= want.count)
			return NULL;
		guest_open(n);
	}
}

static const char usage[] =
"usage: idleconns --port P [--host H] [--count N] [--protocol smtp|imap]\n"
"  [--tls | --starttls] [--login USER,... --password P [--idle]]\n"
"  [--parallel N]    open connections until standard input ends\n"
"  [--rate R]        or be refused, R times a second\n";

static void
options_read(int argc, char **argv)
{
	static const struct option options[] = {
		{ "host", 1, NULL, 'h' }, { "port", 1, NULL, 'p' },
		{ "count", 1, NULL, 'n' }, { "protocol", 1, NULL, 'P' },
		{ "tls", 0, NULL, 't' }, { "starttls", 0, NULL, 's' },
		{ "login", 1, NULL, 'l' }, { "password", 1, NULL, 'w' },
		{ "idle", 0, NULL, 'i' }, { "rate", 1, NULL, 'r' }, { "parallel", 1, NULL, 'j' }, { 0 },
	};
	int o;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'h': want.host = optarg; break;
		case 'p': want.port = optarg; break;
		case 'n': want.count = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'P': want.imap = strcmp(optarg, "imap") == 0; break;
		case 't': want.tls = true; break;
		case 's': want.starttls = true; break;
		case 'w': want.password = optarg; break;
		case 'i': want.idle = true; break;
		case 'r': want.rate = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'j': want.parallel = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'l':
			for (char *u = strtok(optarg, ","); u &&
			    want.user_count < 1024; u = strtok(NULL, ","))
				want.users[want.user_count++] = u;
			break;
		default: optind = argc + 1;
		}
	}
	if (optind != argc || (want.user_count && !want.password) ||
	    want.count == 0 || want.parallel == 0) {
		fputs(usage, stderr);
		exit(2);
	}
}

int
main(int argc, char **argv)
{
	options_read(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);

	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	int e = getaddrinfo(want.host, want.port, &hints, &server);
	if (e)
		die("%s port %s: %s", want.host, want.port, gai_strerror(e));
	if (want.tls || want.starttls) {
		tls_context = SSL_CTX_new(TLS_client_method());
		if (!tls_context)
			die("no TLS context");
		SSL_CTX_set_verify(tls_context, SSL_VERIFY_NONE, NULL);
		SSL_CTX_set_mode(tls_context, SSL_MODE_RELEASE_BUFFERS);
	}
	if (!(guests = calloc(want.count, sizeof *guests)))
		die("out of memory");

	struct timespec begin, end;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	strangers_begin = begin;
	pthread_t openers[64];
	unsigned parallel = want.parallel < 64 ? want.parallel : 64;
	for (unsigned i = 0; i < parallel; i++)
		if (pthread_create(&openers[i], NULL,
		    want.rate ? stranger_run : opener_run, NULL))
			die("no thread");
	for (unsigned i = 0; i < parallel; i++)
		pthread_join(openers[i], NULL);
	clock_gettime(CLOCK_MONOTONIC, &end);
	if (want.rate) {
		printf("{\"refused\": %u, \"seconds\": %.3f}\n", strangers_refused,
		    (double)(end.tv_sec - begin.tv_sec) +
		    (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
		return 0;
	}
	printf("ready %u seconds=%.3f\n", want.count,
	    (double)(end.tv_sec - begin.tv_sec) +
	    (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
	fflush(stdout);

	char c;
	while (read(STDIN_FILENO, &c, 1) > 0 || errno == EINTR)
		;
	return 0;
}
