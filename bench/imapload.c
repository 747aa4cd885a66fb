// SPDX-License-Identifier: ISC
//
// imapload: a reader of mail that costs next to nothing.
//
// talk      takes IMAP commands from standard input, one a line, and prints one
//           line of JSON for each: time, octets, counts, and a checksum of what
//           came, so that nobody is fast by being wrong.
//           "<append MAILBOX FIRST COUNT one|multi|ahead" takes letters from the
//           corpus (bench/corpus.py): one command after the other, one MULTIAPPEND,
//           or one command after the other without waiting.
// sessions  connect, log in, select, log out; --count of them by --parallel hands.
// pop3      logs in, and then fetches --count letters, one after the other or --ahead: "seconds" is the
//           fetching, "open" the login, which costs what the scheme of the password costs.

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { READ_AT_ONCE = 256 << 10, AHEAD = 64 };

static struct {
	const char *host, *port, *user, *password, *corpus, *mailbox;
	unsigned count, parallel;
	bool tls, ahead;
} want = { .host = "127.0.0.1", .count = 1, .parallel = 1, .mailbox = "INBOX" };

static struct addrinfo *server;
static SSL_CTX *tls_context;

static void
die(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	fputs("imapload: ", stderr);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(2);
}

static double
now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// ---- the corpus -------------------------------------------------------------

static struct letter { uint64_t at; uint32_t len; bool seen; char date[30]; } *letters;
static unsigned letter_count;
static const char *letter_bytes;

// PATH.index: "offset length seen date" a line; PATH: the letters end to end.
static void
corpus_open(const char *path)
{
	char name[4096];
	snprintf(name, sizeof name, "%s.index", path);
	FILE *f = fopen(name, "r");
	int fd = open(path, O_RDONLY);
	struct stat st;
	if (!f || fd < 0 || fstat(fd, &st) < 0)
		die("%s: %s", path, strerror(errno));
	letter_bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (letter_bytes == MAP_FAILED)
		die("%s: %s", path, strerror(errno));
	unsigned room = 0;
	unsigned long long at;
	unsigned len, seen;
	char date[30];
	while (fscanf(f, "%llu %u %u %29[^\n]", &at, &len, &seen, date) == 4) {
		if (letter_count == room) {
			room = room ? 2 * room : 1024;
			if (!(letters = realloc(letters, room * sizeof *letters)))
				die("out of memory");
		}
		struct letter *l = &letters[letter_count++];
		*l = (struct letter){ at, len, seen, "" };
		memcpy(l->date, date, sizeof date);
	}
	fclose(f);
}

// ---- a connection -----------------------------------------------------------

struct line { char *at; size_t len; };

struct visit {
	int fd;
	SSL *tls;
	char *in;
	size_t room, from, fill;
	uint64_t octets;
};

static void
visit_say(struct visit *v, const void *what, size_t len)
{
	const char *at = what;
	while (len > 0) {
		ssize_t n = v->tls ? SSL_write(v->tls, at, (int)(len < 1 << 30 ? len : 1 << 30)) :
		    write(v->fd, at, len);
		if (n <= 0)
			die("write: %s", strerror(errno));
		at += n;
		len -= (size_t)n;
	}
}

static void
visit_print(struct visit *v, const char *format, ...)
{
	char line[4096];
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(line, sizeof line, format, ap);
	va_end(ap);
	visit_say(v, line, (size_t)n);
}

static bool
visit_fill(struct visit *v)
{
	if (v->from == v->fill)
		v->from = v->fill = 0;
	if (v->room - v->fill < READ_AT_ONCE / 4 && v->from > 0) {
		memmove(v->in, v->in + v->from, v->fill - v->from);
		v->fill -= v->from;
		v->from = 0;
	}
	if (v->room - v->fill < READ_AT_ONCE / 4) {
		v->room = v->room ? 2 * v->room : v->tls ? 16384 + READ_AT_ONCE / 4 : READ_AT_ONCE;
		if (!(v->in = realloc(v->in, v->room)))
			die("out of memory");
	}
	ssize_t n = v->tls ? SSL_read(v->tls, v->in + v->fill, (int)(v->room - v->fill)) :
	    read(v->fd, v->in + v->fill, v->room - v->fill);
	if (n <= 0)
		return false;
	v->fill += (size_t)n;
	v->octets += (uint64_t)n;
	return true;
}

// Until `len` bytes are there, unread.
static void
visit_need(struct visit *v, size_t len)
{
	while (v->fill - v->from < len)
		if (!visit_fill(v))
			die("the server closed the connection");
}

// One line with its LF, good until the next call.
static struct line
visit_line(struct visit *v)
{
	size_t looked = 0;
	for (;;) {
		char *begin = v->in + v->from;
		char *end = v->fill - v->from > looked ?
		    memchr(begin + looked, '\n', v->fill - v->from - looked) : NULL;
		if (end) {
			size_t len = (size_t)(end - begin) + 1;
			v->from += len;
			return (struct line){ begin, len };
		}
		looked = v->fill - v->from;
		if (!visit_fill(v))
			die("the server closed the connection");
	}
}

static void
visit_open(struct visit *v)
{
	*v = (struct visit){ .fd = socket(server->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	int one = 1;
	struct timeval patience = { .tv_sec = 600 };
	if (v->fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(v->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(v->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (connect(v->fd, server->ai_addr, server->ai_addrlen) < 0)
		die("connect: %s", strerror(errno));
	if (!want.tls)
		return;
	v->tls = SSL_new(tls_context);
	if (!v->tls || !SSL_set_fd(v->tls, v->fd) || SSL_connect(v->tls) != 1)
		die("TLS handshake: %s", ERR_reason_error_string(ERR_get_error()));
}

static void
visit_close(struct visit *v)
{
	if (v->tls) {
		SSL_shutdown(v->tls);
		SSL_free(v->tls);
	}
	close(v->fd);
	free(v->in);
}

// Reads until the line that begins with `tag`; whether it says OK.
static bool
visit_until(struct visit *v, const char *tag)
{
	size_t n = strlen(tag);
	struct line l;
	do
		l = visit_line(v);
	while (l.len <= n || memcmp(l.at, tag, n) != 0);
	return *tag == '*' || *tag == '+' || strncasecmp(l.at + n, " OK", 3) == 0;
}

static void
visit_login(struct visit *v)
{
	visit_open(v);
	visit_until(v, "*");
	visit_print(v, "l LOGIN \"%s\" \"%s\"\r\n", want.user, want.password);
	if (!visit_until(v, "l"))
		die("LOGIN failed");
}

// ---- talk -------------------------------------------------------------------

struct tally {
	uint64_t lines, fetches, expunges, literals, literal_octets, hash, numbers, order;
	uint64_t octets;
	long exists;
	double first;
	char said[512];
};

static uint64_t
mix(uint64_t h, const char *at, size_t len)
{
	uint64_t w;
	for (; len >= 8; at += 8, len -= 8) {
		memcpy(&w, at, 8);
		h = (h ^ w) * 0x9E3779B97F4A7C15ULL;
		h ^= h >> 29;
	}
	w = 0;
	memcpy(&w, at, len);
	return (h ^ w ^ len << 56) * 0x9E3779B97F4A7C15ULL;
}

// Does the line end with {n}?  Then n.
static bool
line_literal(struct line l, uint64_t *n)
{
	if (l.len < 5 || l.at[l.len - 3] != '}')
		return false;
	const char *at = l.at + l.len - 4;
	uint64_t scale = 1;
	for (*n = 0; at > l.at && *at >= '0' && *at <= '9'; at--, scale *= 10)
		*n += (uint64_t)(*at - '0') * scale;
	return *at == '{';
}

// The numbers of SEARCH, SORT and THREAD, in their order.
static void
count_numbers(struct tally *t, struct line l)
{
	uint64_t n = 0;
	bool in = false;
	for (size_t i = 0; i < l.len; i++) {
		if (l.at[i] >= '0' && l.at[i] <= '9') {
			n = n * 10 + (uint64_t)(l.at[i] - '0');
			in = true;
		} else if (in) {
			t->numbers++;
			t->order = (t->order ^ n) * 0x9E3779B97F4A7C15ULL;
			n = 0;
			in = false;
		}
	}
}

static void
count_line(struct tally *t, struct line l)
{
	t->lines++;
	if (l.len < 4 || l.at[0] != '*')
		return;
	if (strncmp(l.at, "* SEARCH", 8) == 0 || strncmp(l.at, "* SORT", 6) == 0 ||
	    strncmp(l.at, "* THREAD", 8) == 0) {
		count_numbers(t, l);
		return;
	}
	const char *at = l.at + 2, *end = l.at + l.len;
	long n = 0;
	while (at < end && *at >= '0' && *at <= '9')
		n = n * 10 + (*at++ - '0');
	if (end - at < 6)
		return;
	if (strncmp(at, " FETCH", 6) == 0)
		t->fetches++;
	else if (strncmp(at, " EXPUN", 6) == 0)
		t->expunges++;
	else if (strncmp(at, " EXIST", 6) == 0)
		t->exists = n;
}

// Reads answers until the tagged one.
static bool
talk_hear(struct visit *v, struct tally *t, const char *tag, double begin)
{
	size_t tag_len = strlen(tag);
	bool fresh = true;
	uint64_t n;
	for (;;) {
		struct line l = visit_line(v);
		if (t->first == 0)
			t->first = now() - begin;
		if (fresh && l.len > tag_len && memcmp(l.at, tag, tag_len) == 0) {
			size_t len = l.len - tag_len - 1;
			while (len > 0 && (l.at[tag_len + len] == '\n' || l.at[tag_len + len] == '\r'))
				len--;
			snprintf(t->said, sizeof t->said, "%.*s", (int)len, l.at + tag_len + 1);
			return strncasecmp(t->said, "OK", 2) == 0;
		}
		if (fresh)
			count_line(t, l);
		fresh = true;
		if (line_literal(l, &n)) {
			visit_need(v, n);
			t->literals++;
			t->literal_octets += n;
			t->hash = mix(t->hash, v->in + v->from, n);
			v->from += n;
			fresh = false;
		}
	}
}

static void
talk_print(const struct tally *t, bool ok, double seconds)
{
	printf("{\"ok\": %s, \"seconds\": %.6f, \"first\": %.6f, \"octets\": %llu, \"lines\": %llu, "
	    "\"fetches\": %llu, \"expunges\": %llu, \"exists\": %ld, \"literals\": %llu, "
	    "\"literal_octets\": %llu, \"hash\": \"%016llx\", \"numbers\": %llu, "
	    "\"order\": \"%016llx\", \"said\": \"", ok ? "true" : "false", seconds, t->first,
	    (unsigned long long)t->octets, (unsigned long long)t->lines,
	    (unsigned long long)t->fetches, (unsigned long long)t->expunges, t->exists,
	    (unsigned long long)t->literals, (unsigned long long)t->literal_octets,
	    (unsigned long long)t->hash, (unsigned long long)t->numbers,
	    (unsigned long long)t->order);
	for (const char *s = t->said; *s; s++)
		if ((unsigned char)*s >= ' ' && *s != '"' && *s != '\\')
			putchar(*s);
	printf("\"}\n");
	fflush(stdout);
}

static void
append_say(struct visit *v, const char *before, unsigned i)
{
	const struct letter *l = &letters[i % letter_count];
	visit_print(v, "%s %s\"%s\" {%u+}\r\n", before, l->seen ? "(\\Seen) " : "", l->date, l->len);
	visit_say(v, letter_bytes + l->at, l->len);
}

static bool
append_ahead(struct visit *v, struct tally *t, const char *mailbox, unsigned first, unsigned count)
{
	bool ok = true;
	char tag[20], before[300];
	for (unsigned said = 0, heard = 0; heard < count; heard++) {
		for (; said < count && said < heard + AHEAD; said++) {
			snprintf(before, sizeof before, "p%u APPEND \"%s\"", said, mailbox);
			append_say(v, before, first + said);
			visit_say(v, "\r\n", 2);
		}
		snprintf(tag, sizeof tag, "p%u", heard);
		ok &= talk_hear(v, t, tag, now());
	}
	return ok;
}

static bool
talk_append(struct visit *v, struct tally *t, const char *words, double begin)
{
	char mailbox[200], how[10], before[300];
	unsigned first, count;
	if (sscanf(words, "%199s %u %u %9s", mailbox, &first, &count, how) != 4)
		die("what is <append %s?", words);
	if (strcmp(how, "ahead") == 0)
		return append_ahead(v, t, mailbox, first, count);
	bool multi = strcmp(how, "multi") == 0, ok = true;
	snprintf(before, sizeof before, "a APPEND \"%s\"", mailbox);
	for (unsigned i = 0; i < count; i++) {
		append_say(v, multi && i > 0 ? "" : before, first + i);
		if (multi && i + 1 < count)
			continue;
		visit_say(v, "\r\n", 2);
		ok &= talk_hear(v, t, "a", begin);
	}
	return ok;
}

static int
run_talk(void)
{
	struct visit v;
	char *line = NULL;
	size_t room = 0;
	ssize_t len;
	visit_login(&v);
	printf("ready\n");
	fflush(stdout);
	while ((len = getline(&line, &room, stdin)) > 0) {
		struct tally t = { .exists = -1 };
		uint64_t before = v.octets;
		double begin = now();
		bool ok;
		if (line[len - 1] == '\n')
			line[--len] = 0;
		if (strncmp(line, "<append ", 8) == 0) {
			ok = talk_append(&v, &t, line + 8, begin);
		} else {
			char *whole = malloc((size_t)len + 8);
			int n = snprintf(whole, (size_t)len + 8, "t %s\r\n", line);
			visit_say(&v, whole, (size_t)n);
			free(whole);
			ok = talk_hear(&v, &t, "t", begin);
		}
		double seconds = now() - begin;
		t.octets = v.octets - before;
		talk_print(&t, ok, seconds);
	}
	visit_print(&v, "z LOGOUT\r\n");
	return 0;
}

// ---- sessions ---------------------------------------------------------------

static double *session_times;
static unsigned next_session;

static void *
sessions_run(void *unused)
{
	(void)unused;
	for (;;) {
		unsigned i = __atomic_fetch_add(&next_session, 1, __ATOMIC_RELAXED);
		if (i >= want.count)
			return NULL;
		double begin = now();
		struct visit v;
		visit_login(&v);
		visit_print(&v, "s SELECT \"%s\"\r\n", want.mailbox);
		if (!visit_until(&v, "s"))
			die("SELECT failed");
		visit_print(&v, "z LOGOUT\r\n");
		visit_until(&v, "z");
		visit_close(&v);
		session_times[i] = now() - begin;
	}
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static int
run_sessions(void)
{
	pthread_t hand[64];
	unsigned hands = want.parallel < 64 ? want.parallel : 64;
	session_times = calloc(want.count, sizeof *session_times);
	double begin = now();
	for (unsigned i = 0; i < hands; i++)
		if (pthread_create(&hand[i], NULL, sessions_run, NULL))
			die("no thread");
	for (unsigned i = 0; i < hands; i++)
		pthread_join(hand[i], NULL);
	double seconds = now() - begin;
	qsort(session_times, want.count, sizeof *session_times, by_size);
	printf("{\"seconds\": %.6f, \"per_second\": %.3f, \"p50_ms\": %.4f, \"p99_ms\": %.4f}\n",
	    seconds, want.count / seconds, 1e3 * session_times[want.count / 2],
	    1e3 * session_times[(uint64_t)want.count * 99 / 100]);
	return 0;
}

// ---- pop3 -------------------------------------------------------------------

static void
pop3_ok(struct visit *v)
{
	struct line l = visit_line(v);
	if (l.len < 3 || memcmp(l.at, "+OK", 3) != 0)
		die("POP3: %.*s", (int)l.len, l.at);
}

// Until the line with the dot.  Octets of the letter as it was before stuffing.
static uint64_t
pop3_letter(struct visit *v, uint64_t *hash)
{
	uint64_t octets = 0;
	pop3_ok(v);
	for (;;) {
		struct line l = visit_line(v);
		if (l.at[0] == '.') {
			if (l.len <= 3)
				return octets;
			l.at++;
			l.len--;
		}
		octets += l.len;
		*hash = mix(*hash, l.at, l.len);
	}
}

static int
run_pop3(void)
{
	struct visit v;
	uint64_t octets = 0, hash = 0;
	double begin = now();
	visit_open(&v);
	pop3_ok(&v);
	visit_print(&v, "USER %s\r\n", want.user);
	pop3_ok(&v);
	visit_print(&v, "PASS %s\r\n", want.password);
	pop3_ok(&v);
	double ready = now();
	unsigned ahead = want.ahead ? AHEAD : 1;
	for (unsigned said = 0, heard = 0; heard < want.count; heard++) {
		char text[AHEAD * 16];
		size_t len = 0;
		if (said < want.count && said < heard + (ahead + 1) / 2) {
			while (said < want.count && said < heard + ahead)
				len += (size_t)snprintf(text + len, 16, "RETR %u\r\n", ++said);
			visit_say(&v, text, len);
		}
		octets += pop3_letter(&v, &hash);
	}
	double seconds = now() - ready;
	printf("{\"seconds\": %.6f, \"open\": %.6f, \"octets\": %llu, \"hash\": \"%016llx\"}\n", seconds,
	    ready - begin, (unsigned long long)octets, (unsigned long long)hash);
	visit_print(&v, "QUIT\r\n");
	return 0;
}

// ---- what is wanted ---------------------------------------------------------

static const char usage[] =
"usage: imapload talk|sessions|pop3 --port P --user U --password W [--host H] [--tls]\n"
"  [--corpus FILE] [--count N] [--parallel N] [--mailbox NAME] [--ahead]\n";

static void
options_read(int argc, char **argv)
{
	static const struct option options[] = {
		{ "host", 1, NULL, 'h' }, { "port", 1, NULL, 'p' }, { "user", 1, NULL, 'u' },
		{ "password", 1, NULL, 'w' }, { "tls", 0, NULL, 't' }, { "corpus", 1, NULL, 'c' },
		{ "count", 1, NULL, 'n' }, { "parallel", 1, NULL, 'j' }, { "mailbox", 1, NULL, 'm' },
		{ "ahead", 0, NULL, 'a' }, { 0 },
	};
	int o;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'h': want.host = optarg; break;
		case 'p': want.port = optarg; break;
		case 'u': want.user = optarg; break;
		case 'w': want.password = optarg; break;
		case 't': want.tls = true; break;
		case 'c': want.corpus = optarg; break;
		case 'n': want.count = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'j': want.parallel = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'm': want.mailbox = optarg; break;
		case 'a': want.ahead = true; break;
		default: optind = argc + 1;
		}
	}
	if (optind != argc - 1 || !want.port || !want.user || !want.password || !want.count) {
		fputs(usage, stderr);
		exit(2);
	}
}

int
main(int argc, char **argv)
{
	static const struct { const char *name; int (*run)(void); } modes[] = {
		{ "talk", run_talk }, { "sessions", run_sessions }, { "pop3", run_pop3 },
	};
	options_read(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	int e = getaddrinfo(want.host, want.port, &hints, &server);
	if (e)
		die("%s port %s: %s", want.host, want.port, gai_strerror(e));
	if (want.tls) {
		tls_context = SSL_CTX_new(TLS_client_method());
		SSL_CTX_set_verify(tls_context, SSL_VERIFY_NONE, NULL);
		SSL_CTX_set_session_cache_mode(tls_context, SSL_SESS_CACHE_OFF);
	}
	if (want.corpus)
		corpus_open(want.corpus);
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
		if (strcmp(argv[optind], modes[i].name) == 0)
			return modes[i].run();
	fputs(usage, stderr);
	return 2;
}
