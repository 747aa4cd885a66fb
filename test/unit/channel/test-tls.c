/*
 * A small server as the house has it: a listener, streams, and a key that a
 * process of its own signs with.  Clients are OpenSSL's, in here and s_client.
 *
 * The server speaks lines.  "220 VERSION CIPHER sni=NAME resumed=0" greets once
 * the stream is secure; EXPORTER, END-POINT and UNIQUE give channel bindings in
 * hex; HEAP its memory; FILE a file; LOAD n n bytes; QUIT ends; JOIN joins the
 * session with a keeper that says every byte again; anything else is told again
 * behind "250 ".
 */
#include "unit.h"

#include "certs.h"
#include "channel/kit.h"
#include "channel/line.h"
#include "channel/link.h"
#include "channel/listener.h"
#include "channel/stream.h"
#include "channel/tickets.h"
#include "base/arena.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SIGN = 1, SIGNED, NOT_SIGNED, FILE_SIZE = 200000 };

static struct cert ec, rsa, other;
static char ticket_key[TICKET_SEED];

/* ---- the signer: tls_keys behind a link ---- */

struct signer { struct tls_keys *keys; struct loop *loop; };

static void
sign_word(void *ctx, struct link *l, uint16_t word, uint32_t ticket, struct bytes body, int fd)
{
	struct signer *s = ctx;
	struct buffer out = { 0 };
	bool ok;

	(void)word, (void)fd;
	assert_true(body.len > 66);
	ok = tls_keys_sign(s->keys, bytes_cut(body, 2, 64), (enum tls_sign_kind)body.at[0], body.at[1],
	                   bytes_cut(body, 66, body.len), &out);
	link_say(l, ok ? SIGNED : NOT_SIGNED, ticket, buffer_bytes(&out), -1);
	buffer_free(&out);
}

static void
sign_lost(void *ctx, struct link *l)
{
	struct signer *s = ctx;

	link_close(&l);
	loop_stop(s->loop);
}

static void
signer_live(int fd)
{
	static const struct link_events events = { sign_word, sign_lost };
	struct buffer errors = { 0 };
	struct signer s = { .keys = tls_keys_open(), .loop = loop_open() };

	assert_true(tls_keys_add(s.keys, buffer_bytes(&ec.key), &errors));
	assert_true(tls_keys_add(s.keys, buffer_bytes(&rsa.key), &errors));
	assert_true(tls_keys_add(s.keys, buffer_bytes(&other.key), &errors));
	(void)link_open(s.loop, fd, &events, &s);
	loop_run(s.loop);
	tls_keys_close(&s.keys);
	loop_close(&s.loop);
}

/* ---- the server ---- */

struct setup {
	struct tls_settings settings;
	const struct cert  *cert[3];
	bool                in_clear;      /* STARTTLS first                   */
	bool                no_signer;
};

static struct server {
	struct loop  *loop;
	struct tls   *tls;
	struct setup  setup;
	int           signer, file, control;
	int           sessions;
	bool          leaving;
} house;

struct session { struct stream *stream; bool greeted; };

static bool
ask_signer(void *ctx, struct bytes key_id, enum tls_sign_kind kind, int padding, struct bytes in,
           struct buffer *out)
{
	struct buffer body = { 0 };
	uint16_t answer = 0;
	bool ok;

	(void)ctx;
	buffer_add_char(&body, (char)kind);
	buffer_add_char(&body, (char)padding);
	buffer_add(&body, key_id);
	buffer_add(&body, in);
	ok = link_call(house.signer, SIGN, buffer_bytes(&body), &answer, out, 2000) && answer == SIGNED;
	buffer_free(&body);
	return ok;
}

static void
greet(struct session *s)
{
	struct tls_facts f;

	HOLDS("facts of TLS", stream_tls_facts(s->stream, &f));
	HOLDS("as strong as it says", f.bits >= 128 && f.algorithm_bits >= f.bits);
	stream_printf(s->stream, "220 %s %s sni=%s resumed=%d\r\n", f.version, f.cipher, f.sni, f.resumed);
}

static void
say_binding(struct stream *s, const char *type)
{
	struct buffer b = { 0 };

	if (!stream_tls_binding(s, type, &b))
		buffer_add_string(&b, "");
	for (size_t i = 0; i < b.len; i++)
		stream_printf(s, "%02x", (uint8_t)b.at[i]);
	stream_say_string(s, b.len > 0 ? "\r\n" : "none\r\n");
	buffer_free(&b);
}

static void
say_load(struct stream *s, size_t n)
{
	char *at = buffer_room(stream_out(s), n);

	for (size_t i = 0; i < n; i++)
		at[i] = (char)('a' + i % 26);
	buffer_took(stream_out(s), n);
}

/* The keeper: a stream of its own behind a pair. */
static void
keeper_arrived(void *ctx)
{
	struct session *k = ctx;
	struct bytes b = stream_peek(k->stream);

	stream_say(k->stream, b);
	stream_eat(k->stream, b.len);
	if (stream_pending(k->stream) >= 64 << 10)
		stream_pause(k->stream);
}

static void keeper_drained(void *ctx) { stream_resume(((struct session *)ctx)->stream); }

static void
keeper_closed(void *ctx, const char *why)
{
	struct session *k = ctx;

	(void)why;
	house.sessions--;
	stream_finish(&k->stream);
	memory_free(k);
}

static void
join_done(void *ctx, uint64_t to_keeper, uint64_t from_keeper, const char *why)
{
	dprintf(house.control, "%llu %llu %s\n", (unsigned long long)to_keeper,
	        (unsigned long long)from_keeper, why);
	house.sessions--;
	memory_free(ctx);
}

static void
join_keeper(struct session *s)
{
	static const struct stream_events events = {
		.arrived = keeper_arrived, .drained = keeper_drained, .closed = keeper_closed
	};
	struct session *k = memory_take(sizeof *k);
	struct stream *ours;
	int fd[2];

	assert_int_equal(link_pair(fd), 0);
	house.sessions++;
	k->stream = stream_open(house.loop, fd[0], &events, k);
	ours = stream_open(house.loop, fd[1], &events, NULL);
	stream_join(&s->stream, &ours, join_done, s);
}

static void
command(struct session *s, struct bytes line)
{
	struct tls_facts f;
	uint64_t n;

	if (bytes_is(line, "STARTTLS") && !stream_tls_facts(s->stream, &f)) {
		stream_say_string(s->stream, "220 go\r\n");
		stream_secure(s->stream, house.tls);
	} else if (bytes_is(line, "EXPORTER")) {
		say_binding(s->stream, "tls-exporter");
	} else if (bytes_is(line, "END-POINT")) {
		say_binding(s->stream, "tls-server-end-point");
	} else if (bytes_is(line, "UNIQUE")) {
		say_binding(s->stream, "tls-unique");
	} else if (bytes_is(line, "HEAP")) {
		stream_printf(s->stream, "%zu\r\n", mallinfo2().uordblks);
	} else if (bytes_is(line, "FILE")) {
		stream_say_file(s->stream, house.file, 0, FILE_SIZE);
		stream_say_string(s->stream, ".\r\n");
	} else if (bytes_starts_nocase(line, BYTES("LOAD ")) && bytes_number(bytes_cut(line, 5, 20), &n)) {
		say_load(s->stream, n);
	} else if (bytes_is(line, "QUIT")) {
		stream_say_string(s->stream, "221 bye\r\n");
		stream_finish(&s->stream);
		house.sessions--;
		memory_free(s);
	} else {
		stream_printf(s->stream, "250 %.*s\r\n", (int)line.len, line.at);
	}
}

static void
session_arrived(void *ctx)
{
	struct session *s = ctx;
	struct bytes line, all;
	size_t used;
	bool bare, quit, join;

	while (line_read(all = stream_peek(s->stream), 200000, &line, &used, &bare) == LINE_WHOLE) {
		quit = bytes_is(line, "QUIT");
		join = bytes_is(line, "JOIN");
		if (join) {
			stream_eat(s->stream, used);
			join_keeper(s);
			return;
		}
		command(s, line);
		if (quit)
			return;
		if (stream_peek(s->stream).len >= used)
			stream_eat(s->stream, used);
	}
}

static void
session_secured(void *ctx, bool ok, const char *why)
{
	(void)why;
	if (ok)
		greet(ctx);
	else
		dprintf(house.control, "%s\n", why);
}

static void
session_closed(void *ctx, const char *why)
{
	struct session *s = ctx;

	(void)why;
	house.sessions--;
	stream_close(&s->stream);
	memory_free(s);
}

static void
house_came(void *ctx, int fd, const struct peer *p)
{
	static const struct stream_events events = {
		.arrived = session_arrived, .secured = session_secured, .closed = session_closed
	};
	struct session *s = memory_take(sizeof *s);

	(void)ctx, (void)p;
	house.sessions++;
	s->stream = stream_open(house.loop, fd, &events, s);
	stream_most_unread(s->stream, 300000);
	stream_patience(s->stream, 300000);
	if (house.setup.in_clear)
		stream_say_string(s->stream, "220 clear\r\n");
	else
		stream_secure(s->stream, house.tls);
}

static int
make_file(void)
{
	static char at[FILE_SIZE];
	char name[] = "/tmp/mansio-unit-XXXXXX";
	int fd = mkstemp(name);

	unlink(name);
	for (int i = 0; i < FILE_SIZE; i++)
		at[i] = "0123456789"[i % 10];
	assert_int_equal(write(fd, at, sizeof at), sizeof at);
	return fd;
}

/* The parent has closed its end: go, when all sessions have gone. */
static void
house_leave(void *ctx, int bits)
{
	(void)bits;
	watch_close((struct watch **)ctx);
	house.leaving = true;
}

static void
house_rest(void *ctx)
{
	(void)ctx;
	if (house.leaving && house.sessions == 0 && stream_leaving(house.loop) == 0)
		loop_stop(house.loop);
}

static struct tls *
house_tls(const struct setup *c, struct buffer *errors)
{
	struct tls_signer signer = { .sign = ask_signer };
	struct tls *t = tls_open(&c->settings, &signer, (struct bytes){ ticket_key, TICKET_SEED }, errors);

	assert_non_null(t);
	for (size_t i = 0; i < COUNT(c->cert) && c->cert[i] != NULL; i++)
		assert_true(tls_add_certificate(t, buffer_bytes(&c->cert[i]->chain), errors));
	return t;
}

static void
house_live(const struct setup *c, int door, int signer, int control)
{
	struct buffer errors = { 0 };
	struct listener *l;
	struct watch *w;

	house = (struct server){ .loop = loop_open(), .setup = *c, .signer = signer, .control = control };
	house.file = make_file();
	house.tls = house_tls(c, &errors);
	l = listener_open(house.loop, door, house_came, NULL);
	w = watch_open(house.loop, control, house_leave, &w);
	watch_want(w, LOOP_READ);
	loop_at_rest(house.loop, house_rest, NULL);
	loop_run(house.loop);
	listener_close(&l);
	tls_close(&house.tls);
	close(house.file);
	loop_close(&house.loop);
}

/* ---- the house, from outside ---- */

struct running { pid_t server, signer; int door, control; uint16_t port; };

/* A child must not hold the parent's end of another house. */
static int controls[8];

static pid_t
child(void)
{
	pid_t pid;

	fflush(NULL);
	if ((pid = fork()) == 0)
		for (size_t i = 0; i < COUNT(controls); i++)
			if (controls[i] > 0)
				close(controls[i]);
	return pid;
}

static void
remember(int old, int new)
{
	size_t i = 0;

	while (controls[i] != old)
		i++;
	controls[i] = new;
}

static struct running
start_at(const struct setup *c, int door)
{
	struct running r = { .door = door };
	struct buffer errors = { 0 };
	struct peer here;
	int sign[2], control[2];

	if (door < 0)
		r.door = listener_bind("127.0.0.1:0", 0, &errors);
	assert_true(peer_here(r.door, &here));
	r.port = here.port;
	assert_int_equal(link_pair(sign), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control), 0);
	r.control = control[0];
	remember(0, r.control);
	if ((r.signer = child()) == 0) {
		close(control[1]);
		close(sign[1]);
		if (!c->no_signer)
			signer_live(sign[0]);
		exit(0);
	}
	if ((r.server = child()) == 0) {
		close(sign[0]);
		house_live(c, r.door, sign[1], control[1]);
		exit(0);
	}
	close(sign[0]);
	close(sign[1]);
	close(control[1]);
	return r;
}

static struct running
start(const struct setup *c)
{
	return start_at(c, -1);
}

/* What the server wrote to its control: why a handshake failed. */
static void
failure(const struct running *r, char *out, size_t room)
{
	ssize_t n = recv(r->control, out, room - 1, 0);

	out[n < 0 ? 0 : n] = '\0';
}

/* Both must have kept every promise (and leaked nothing). */
static void
stop(struct running *r)
{
	int how;

	remember(r->control, 0);
	close(r->control);
	close(r->door);
	assert_int_equal(waitpid(r->server, &how, 0), r->server);
	HOLDS("the server left in order", WIFEXITED(how) && WEXITSTATUS(how) == 0);
	assert_int_equal(waitpid(r->signer, &how, 0), r->signer);
	HOLDS("so did the signer", WIFEXITED(how) && WEXITSTATUS(how) == 0);
}

/* ---- the client ---- */

struct client { SSL_CTX *ctx; SSL *ssl; int fd; char line[1024]; SSL_SESSION *session; };

static int
call(uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port),
	                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

static int
new_session(SSL *ssl, SSL_SESSION *session)
{
	struct client *c = SSL_get_app_data(ssl);

	SSL_SESSION_free(c->session);
	c->session = session;
	return 1;
}

static void
client_open(struct client *c, uint16_t port, int version)
{
	*c = (struct client){ .ctx = SSL_CTX_new(TLS_client_method()), .fd = call(port) };
	SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c->ctx, new_session);
	SSL_CTX_set_security_level(c->ctx, 0);
	if (version != 0) {
		SSL_CTX_set_min_proto_version(c->ctx, version);
		SSL_CTX_set_max_proto_version(c->ctx, version);
	}
	c->ssl = SSL_new(c->ctx);
	SSL_set_app_data(c->ssl, c);
	SSL_set_fd(c->ssl, c->fd);
}

static bool
client_shake(struct client *c)
{
	bool ok = SSL_connect(c->ssl) == 1;

	ERR_clear_error();
	return ok;
}

static const char *
client_line(struct client *c)
{
	size_t n = 0;

	while (n + 1 < sizeof c->line && SSL_read(c->ssl, c->line + n, 1) == 1)
		if (c->line[n++] == '\n')
			break;
	c->line[n] = '\0';
	return c->line;
}

static void
client_say(struct client *c, const char *text)
{
	assert_int_equal(SSL_write(c->ssl, text, (int)strlen(text)), (int)strlen(text));
}

static void
client_close(struct client *c)
{
	SSL_SESSION_free(c->session);
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	if (c->fd >= 0)
		close(c->fd);
}

/* The peer's certificate is this one. */
static bool
client_sees(struct client *c, const struct cert *cert)
{
	char theirs[65], ours[65];
	BIO *bio = BIO_new(BIO_s_mem());
	X509 *x = SSL_get1_peer_certificate(c->ssl);
	char *at;
	long len;

	PEM_write_bio_X509(bio, x);
	len = BIO_get_mem_data(bio, &at);
	assert_true(tls_key_id((struct bytes){ at, (size_t)len }, theirs));
	assert_true(tls_key_id(buffer_bytes(&cert->chain), ours));
	X509_free(x);
	BIO_free(bio);
	return strcmp(theirs, ours) == 0;
}

/* ---- tests ---- */

#define STANDARD { .protocols = ">=TLSv1.2", .ciphers = "", .session_id = "smtp", .alpn = "" }

struct shake_case {
	const char        *why;
	const struct cert *cert[2];
	int                version;
	const char        *sigalgs, *ciphers;      /* of the client; NULL: all */
	const struct cert *sees;                   /* NULL: refused            */
	const char        *failure;
};
static const struct shake_case shakes[] = {
	{ "ECDSA, 1.3",               { &ec },       TLS1_3_VERSION, NULL, NULL, &ec,  NULL },
	{ "ECDSA, 1.2",               { &ec },       TLS1_2_VERSION, NULL, NULL, &ec,  NULL },
	{ "RSA, 1.3, always PSS",     { &rsa },      TLS1_3_VERSION, NULL, NULL, &rsa, NULL },
	{ "RSA, 1.2, PSS",            { &rsa },      TLS1_2_VERSION, "RSA-PSS+SHA256", NULL, &rsa, NULL },
	{ "RSA, 1.2, PSS, SHA-512",   { &rsa },      TLS1_2_VERSION, "RSA-PSS+SHA512", NULL, &rsa, NULL },
	{ "RSA, 1.2, PKCS#1 1.5",     { &rsa },      TLS1_2_VERSION, "RSA+SHA256", NULL, &rsa, NULL },
	{ "both: ECDSA is preferred", { &ec, &rsa }, TLS1_3_VERSION, NULL, NULL, &ec,  NULL },
	{ "both, an old peer",        { &ec, &rsa }, TLS1_2_VERSION, NULL, "ECDHE-RSA-AES128-GCM-SHA256", &rsa, NULL },
	{ "both, added the other way", { &rsa, &ec }, TLS1_2_VERSION, NULL, "ECDHE-RSA-AES128-GCM-SHA256", &rsa, NULL },
	{ "ChaCha20",                 { &ec },       TLS1_2_VERSION, NULL, "ECDHE-ECDSA-CHACHA20-POLY1305", &ec, NULL },
	{ "no forward secrecy",       { &rsa },      TLS1_2_VERSION, NULL, "AES128-GCM-SHA256", NULL, "TLS: no shared cipher\n" },
	{ "no AEAD",                  { &rsa },      TLS1_2_VERSION, NULL, "ECDHE-RSA-AES128-SHA", NULL, "TLS: no shared cipher\n" },
	{ "1.1 is too old",           { &rsa },      TLS1_1_VERSION, NULL, NULL, NULL, "TLS: unsupported protocol\n" },
};

static void
test_handshakes_with_a_key_that_is_elsewhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(shakes); i++) {
		const struct shake_case *s = &shakes[i];
		struct setup setup = { .settings = STANDARD, .cert = { s->cert[0], s->cert[1] } };
		struct running r = start(&setup);
		struct client c;
		char why[200];

		client_open(&c, r.port, s->version);
		if (s->sigalgs != NULL)
			assert_int_equal(SSL_set1_sigalgs_list(c.ssl, s->sigalgs), 1);
		if (s->ciphers != NULL)
			assert_int_equal(SSL_set_cipher_list(c.ssl, s->ciphers), 1);
		HOLDS(s->why, client_shake(&c) == (s->sees != NULL));
		if (s->sees != NULL) {
			HOLDS(s->why, client_sees(&c, s->sees));
			client_line(&c);
			HOLDS(s->why, strncmp(c.line, s->version == TLS1_3_VERSION ? "220 TLSv1.3 " : "220 TLSv1.2 ", 12) == 0);
			HOLDS(s->why, strstr(c.line, "resumed=0") != NULL);
		} else {
			failure(&r, why, sizeof why);
			SAME(s->why, bytes_of(why), bytes_of(s->failure));
		}
		client_close(&c);
		stop(&r);
	}
}

static void
test_the_end_is_told_and_survives_input(void **state)
{
	struct setup setup = { .settings = STANDARD, .cert = { &ec } };
	struct running r = start(&setup);
	struct client c;

	(void)state;
	client_open(&c, r.port, 0);
	assert_true(client_shake(&c));
	client_line(&c);
	client_say(&c, "NOOP\r\nQUIT\r\nignored\r\n");
	SAME("pipelined", bytes_of(client_line(&c)), BYTES("250 NOOP\r\n"));
	SAME("last words", bytes_of(client_line(&c)), BYTES("221 bye\r\n"));
	HOLDS("close_notify", SSL_read(c.ssl, c.line, 1) == 0 &&
	                      SSL_get_error(c.ssl, 0) == SSL_ERROR_ZERO_RETURN);
	client_close(&c);
	stop(&r);
}

static void
resume(const struct running *first, const struct running *second, int version, bool expected)
{
	struct client one, two;

	client_open(&one, first->port, version);
	assert_true(client_shake(&one));
	client_line(&one);
	client_say(&one, "QUIT\r\n");
	client_line(&one);
	assert_non_null(one.session);
	client_open(&two, second->port, version);
	SSL_set_session(two.ssl, one.session);
	assert_true(client_shake(&two));
	client_line(&two);
	HOLDS(version == TLS1_2_VERSION ? "1.2" : "1.3",
	      (strstr(two.line, "resumed=1") != NULL) == expected);
	client_close(&one);
	client_close(&two);
}

static void
test_sessions_resume_in_another_process(void **state)
{
	struct setup setup = { .settings = STANDARD, .cert = { &ec, &rsa } };
	struct running first = start(&setup), second = start(&setup);

	(void)state;
	resume(&first, &second, TLS1_2_VERSION, true);
	resume(&second, &first, TLS1_3_VERSION, true);
	stop(&first);
	stop(&second);
}

static void
test_sessions_of_another_protocol_do_not_resume(void **state)
{
	struct setup smtp = { .settings = STANDARD, .cert = { &ec } }, imap = smtp;
	struct running first, second;

	(void)state;
	imap.settings.session_id = "imap";
	first = start(&smtp);
	second = start(&imap);
	resume(&first, &second, TLS1_2_VERSION, false);
	resume(&first, &second, TLS1_3_VERSION, false);
	stop(&first);
	stop(&second);
}

static void
test_two_processes_share_one_door(void **state)
{
	struct setup setup = { .settings = STANDARD, .cert = { &ec } };
	struct running first = start(&setup), second = start_at(&setup, first.door);
	struct client c;

	(void)state;
	for (int i = 0; i < 20; i++) {
		client_open(&c, first.port, 0);
		assert_true(client_shake(&c));
		client_line(&c);
		client_close(&c);
	}
	remember(second.control, 0);
	close(second.control);
	assert_int_equal(waitpid(second.server, NULL, 0), second.server);
	assert_int_equal(waitpid(second.signer, NULL, 0), second.signer);
	stop(&first);
}

/* CVE-2011-0411 and its kin. */
static void
test_what_was_sent_behind_starttls_is_dropped(void **state)
{
	struct setup setup = { .settings = STANDARD, .cert = { &ec }, .in_clear = true };
	struct running r = start(&setup);
	struct client c;
	char clear[256];
	ssize_t n;

	(void)state;
	client_open(&c, r.port, 0);
	n = recv(c.fd, clear, sizeof clear, 0);
	SAME("in clear", ((struct bytes){ clear, (size_t)n }), BYTES("220 clear\r\n"));
	assert_int_equal(write(c.fd, "NOOP\r\nSTARTTLS\r\nRSET\r\nINJECTED", 31), 31);
	n = recv(c.fd, clear, sizeof clear, 0);
	SAME("one write", ((struct bytes){ clear, (size_t)n }), BYTES("250 NOOP\r\n220 go\r\n"));
	assert_true(client_shake(&c));
	HOLDS("greeted", strncmp(client_line(&c), "220 TLSv1.3", 11) == 0);
	client_say(&c, "MAIL\r\n");
	SAME("nothing of before", bytes_of(client_line(&c)), BYTES("250 MAIL\r\n"));
	client_close(&c);
	stop(&r);
}

static void
test_a_name_chooses_its_certificate(void **state)
{
	static const struct { const char *why, *name; const struct cert *sees; } cases[] = {
		{ "its own",                        "b.example",        &other },
		{ "case does not matter",           "B.Example",        &other },
		{ "rfc9525:6.3 a wildcard",         "mail.c.example",   &other },
		{ "a wildcard is one label",        "x.mail.c.example", &ec    },
		{ "a wildcard is not its domain",   "c.example",        &ec    },
		{ "the first site's",               "a.example",        &ec    },
		{ "unknown: the first",             "unknown.example",  &ec    },
		{ "none: the first",                NULL,               &ec    },
	};
	struct setup setup = { .settings = STANDARD, .cert = { &ec, &rsa, &other } };
	struct running r = start(&setup);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char greeting[100];
		struct client c;

		client_open(&c, r.port, 0);
		if (cases[i].name != NULL)
			SSL_set_tlsext_host_name(c.ssl, cases[i].name);
		HOLDS(cases[i].why, client_shake(&c));
		HOLDS(cases[i].why, client_sees(&c, cases[i].sees));
		snprintf(greeting, sizeof greeting, " sni=%s resumed=0", cases[i].name ? cases[i].name : "");
		HOLDS(cases[i].why, strstr(client_line(&c), greeting) != NULL);
		client_close(&c);
	}
	stop(&r);
}

static void
test_other_protocols_are_refused(void **state)
{
	static const struct { const char *why, *offered; bool ok; } cases[] = {
		{ "rfc7301:3.2 ours among them", "\x08http/1.1\x04imap", true },
		{ "none of ours (ALPACA)",       "\x08http/1.1",         false },
		{ "none at all",                 "",                     true },
	};
	struct setup setup = { .settings = STANDARD, .cert = { &ec } };
	struct running r;

	(void)state;
	setup.settings.alpn = "imap";
	r = start(&setup);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct client c;

		client_open(&c, r.port, 0);
		SSL_set_alpn_protos(c.ssl, (const unsigned char *)cases[i].offered,
		                    (unsigned)strlen(cases[i].offered));
		HOLDS(cases[i].why, client_shake(&c) == cases[i].ok);
		client_close(&c);
	}
	stop(&r);
}

static void
test_least_version_is_a_setting(void **state)
{
	struct setup setup = { .settings = STANDARD, .cert = { &ec } };
	struct running r;
	struct client c;

	(void)state;
	setup.settings.protocols = ">=TLSv1.3";
	r = start(&setup);
	client_open(&c, r.port, TLS1_2_VERSION);
	HOLDS("1.2 refused", !client_shake(&c));
	client_close(&c);
	client_open(&c, r.port, TLS1_3_VERSION);
	HOLDS("1.3 taken", client_shake(&c));
	client_close(&c);
	stop(&r);
}

static void
test_no_renegotiation(void **state)
{
	struct setup setup = { .settings = STANDARD, .cert = { &ec } };
	struct running r = start(&setup);
	struct client c;

	(void)state;
	client_open(&c, r.port, TLS1_2_VERSION);
	assert_true(client_shake(&c));
	client_line(&c);
	(void)SSL_renegotiate(c.ssl);
	HOLDS("refused", SSL_do_handshake(c.ssl) <= 0);
	client_close(&c);
	stop(&r);
}

static void
test_without_the_signer_there_is_no_handshake(void **state)
{
	struct setup setup = { .settings = STANDARD, .cert = { &ec }, .no_signer = true };
	struct running r = start(&setup);
	struct client c;
	char why[200];

	(void)state;
	client_open(&c, r.port, 0);
	HOLDS("refused", !client_shake(&c));
	failure(&r, why, sizeof why);
	SAME("why", bytes_of(why), BYTES("TLS: the signer gave no signature\n"));
	client_close(&c);
	stop(&r);
}

struct breach { const char *why, *said, *failure; };
static const struct breach breaches[] = {
	{ "a client that speaks in clear", "EHLO client.example\r\n", "TLS: wrong version number\n" },
	{ "a web browser",                 "GET / HTTP/1.0\r\n\r\n",  "TLS: http request\n"         },
	{ "gone in the middle",            "\x16\x03\x01",            "TLS: end of file in the handshake\n" },
};

static void
test_bad_handshakes_are_told(void **state)
{
	struct setup setup = { .settings = STANDARD, .cert = { &ec } };
	struct running r = start(&setup);

	(void)state;
	for (size_t i = 0; i < COUNT(breaches); i++) {
		int fd = call(r.port);
		char why[200];

		assert_true(write(fd, breaches[i].said, strlen(breaches[i].said)) > 0);
		shutdown(fd, SHUT_WR);
		failure(&r, why, sizeof why);
		SAME(breaches[i].why, bytes_of(why), bytes_of(breaches[i].failure));
		close(fd);
	}
	stop(&r);
}

/* ---- much ---- */

static void
read_all(struct client *c, char *to, size_t n)
{
	while (n > 0) {
		int got = SSL_read(c->ssl, to, (int)n);

		assert_true(got > 0);
		to += got;
		n -= (size_t)got;
	}
}

static void
test_files_and_floods_arrive_whole(void **state)
{
	enum { FLOOD = 3000000 };
	static char got[FLOOD];
	struct setup setup = { .settings = STANDARD, .cert = { &ec } };
	struct running r = start(&setup);
	struct client c;

	(void)state;
	client_open(&c, r.port, 0);
	assert_true(client_shake(&c));
	client_line(&c);
	client_say(&c, "LOAD 3000000\r\nFILE\r\nNOOP\r\n");
	usleep(50000);          /* the socket fills; writes must be taken up again */
	read_all(&c, got, FLOOD);
	for (int i = 0; i < FLOOD; i++)
		if (got[i] != 'a' + i % 26)
			fail_msg("the flood differs at %d", i);
	read_all(&c, got, FILE_SIZE + 3);
	for (int i = 0; i < FILE_SIZE; i++)
		if (got[i] != '0' + i % 10)
			fail_msg("the file differs at %d", i);
	SAME("in its place", ((struct bytes){ got + FILE_SIZE, 3 }), BYTES(".\r\n"));
	SAME("and on", bytes_of(client_line(&c)), BYTES("250 NOOP\r\n"));
	client_close(&c);
	stop(&r);
}

static void
test_long_lines_come_through(void **state)
{
	enum { LONG = 150000 };
	static char line[LONG + 3], got[LONG + 7];
	struct setup setup = { .settings = STANDARD, .cert = { &ec } };
	struct running r = start(&setup);
	struct client c;

	(void)state;
	client_open(&c, r.port, 0);
	assert_true(client_shake(&c));
	client_line(&c);
	memset(line, 'x', LONG);
	memcpy(line + LONG, "\r\n", 3);
	for (int i = 0; i < 3; i++) {
		client_say(&c, line);
		read_all(&c, got, LONG + 6);
		HOLDS("as it was", memcmp(got, "250 ", 4) == 0 && memcmp(got + 4, line, LONG + 2) == 0);
	}
	client_close(&c);
	stop(&r);
}

static void
test_a_session_joined_with_its_keeper(void **state)
{
	enum { PIECE = 30000, PIECES = 200 };
	static char piece[PIECE], got[PIECE];
	struct setup setup = { .settings = STANDARD, .cert = { &ec } };
	struct running r = start(&setup);
	struct client c;
	char told[100];

	(void)state;
	client_open(&c, r.port, 0);
	assert_true(client_shake(&c));
	client_line(&c);
	client_say(&c, "JOIN\r\nearly\r\n");
	SAME("sent before they were joined", bytes_of(client_line(&c)), BYTES("early\r\n"));
	for (int i = 0; i < PIECES; i++) {
		memset(piece, 'a' + i % 26, sizeof piece);
		assert_int_equal(SSL_write(c.ssl, piece, PIECE), PIECE);
		read_all(&c, got, PIECE);
		HOLDS("each piece comes back", memcmp(got, piece, PIECE) == 0);
	}
	SSL_shutdown(c.ssl);
	failure(&r, told, sizeof told);
	SAME("counted", bytes_of(told), BYTES("6000007 6000007 end of file\n"));
	client_close(&c);
	stop(&r);
}

/* Nobody reads at the far end: what the server holds for it stays bounded. */
static void
test_a_joined_flood_is_held_back(void **state)
{
	struct setup setup = { .settings = STANDARD, .cert = { &ec } };
	struct running r = start(&setup);
	static char flood[16384];
	struct client c;
	size_t sent = 0;

	(void)state;
	client_open(&c, r.port, 0);
	assert_true(client_shake(&c));
	client_line(&c);
	client_say(&c, "JOIN\r\n");
	fcntl(c.fd, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 100; i++) {
		while (SSL_write(c.ssl, flood, sizeof flood) > 0)
			sent += sizeof flood;
		ERR_clear_error();
		usleep(2000);
	}
	HOLDS("held back", sent < 40 << 20);
	client_close(&c);
	stop(&r);
}

static void
test_a_key_update_does_not_stop_the_stream(void **state)
{
	struct setup setup = { .settings = STANDARD, .cert = { &ec } };
	struct running r = start(&setup);
	struct client c;

	(void)state;
	client_open(&c, r.port, TLS1_3_VERSION);
	assert_true(client_shake(&c));
	client_line(&c);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(SSL_key_update(c.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		client_say(&c, "NOOP\r\n");
		SAME("goes on", bytes_of(client_line(&c)), BYTES("250 NOOP\r\n"));
	}
	client_close(&c);
	stop(&r);
}

/* ---- binding ---- */

static void
hex(const unsigned char *at, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", at[i]);
	memcpy(out + 2 * n, "\r\n", 3);
}

static void
test_both_ends_have_the_same_binding(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct setup setup = { .settings = STANDARD, .cert = { &ec } };
	struct running r = start(&setup);

	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		unsigned char ours[64];
		char wanted[200];
		struct client c;
		unsigned n;
		X509 *x;

		client_open(&c, r.port, versions[i]);
		assert_true(client_shake(&c));
		client_line(&c);
		client_say(&c, "EXPORTER\r\nEND-POINT\r\nUNIQUE\r\n");
		assert_int_equal(SSL_export_keying_material(c.ssl, ours, 32, "EXPORTER-Channel-Binding",
		                                            24, NULL, 0, 1), 1);
		hex(ours, 32, wanted);
		SAME("rfc9266", bytes_of(client_line(&c)), bytes_of(wanted));
		x = SSL_get1_peer_certificate(c.ssl);
		X509_digest(x, EVP_sha256(), ours, &n);
		X509_free(x);
		hex(ours, n, wanted);
		SAME("rfc5929:4", bytes_of(client_line(&c)), bytes_of(wanted));
		if (versions[i] == TLS1_2_VERSION)
			hex(ours, SSL_get_finished(c.ssl, ours, sizeof ours), wanted);
		else
			memcpy(wanted, "none\r\n", sizeof "none\r\n");
		SAME("rfc5929:3", bytes_of(client_line(&c)), bytes_of(wanted));
		client_close(&c);
	}
	stop(&r);
}

/* ---- s_client ---- */

static void
test_s_client_is_served(void **state)
{
	static const struct { const char *why, *options, *wants[3]; } cases[] = {
		{ "1.3",            "-tls1_3",                        { "Protocol version: TLSv1.3", "221 bye", "ECDSA" } },
		{ "1.2",            "-tls1_2",                        { "Protocol version: TLSv1.2", "221 bye", "ECDSA" } },
		{ "1.2, PSS",       "-tls1_2 -cipher ECDHE-RSA-AES256-GCM-SHA384 -sigalgs RSA-PSS+SHA256", { "RSA-PSS", "221 bye", "ECDHE-RSA" } },
		{ "1.3, PSS",       "-tls1_3 -sigalgs RSA-PSS+SHA256", { "RSA-PSS", "221 bye", "TLSv1.3" } },
		{ "1.2, PKCS#1",    "-tls1_2 -sigalgs RSA+SHA256",    { "RSA", "221 bye", "TLSv1.2" } },
	};
	struct setup setup = { .settings = STANDARD, .cert = { &ec, &rsa } };
	struct running r;

	(void)state;
	if (system("openssl version >/dev/null 2>&1") != 0)
		skip();
	r = start(&setup);
	for (size_t i = 0; i < COUNT(cases); i++) {
		char line[400], all[20000] = "";
		FILE *f;

		snprintf(line, sizeof line, "printf 'QUIT\\r\\n' | "
		         "openssl s_client -brief -ign_eof -connect 127.0.0.1:%d %s 2>&1", r.port, cases[i].options);
		f = popen(line, "r");
		all[fread(all, 1, sizeof all - 1, f)] = '\0';
		pclose(f);
		for (size_t k = 0; k < COUNT(cases[i].wants); k++)
			if (strstr(all, cases[i].wants[k]) == NULL)
				fail_msg("%s: no \"%s\" in:\n%s", cases[i].why, cases[i].wants[k], all);
	}
	stop(&r);
}

/* ---- keys and settings ---- */

static void
test_a_key_and_its_certificate_have_one_id(void **state)
{
	char a[65], b[65];

	(void)state;
	HOLDS("ECDSA", tls_key_id(buffer_bytes(&ec.key), a) && tls_key_id(buffer_bytes(&ec.chain), b) &&
	               strcmp(a, b) == 0 && strlen(a) == 64);
	HOLDS("RSA", tls_key_id(buffer_bytes(&rsa.key), a) && tls_key_id(buffer_bytes(&rsa.chain), b) &&
	             strcmp(a, b) == 0);
	HOLDS("neither", !tls_key_id(BYTES("nothing"), a) && a[0] == '\0');
}

#define ENCRYPTED \
	"-----BEGIN ENCRYPTED PRIVATE KEY-----\n" \
	"MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAh3bWVkaXVtIAICCAAw\n" \
	"DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEAAAAAAAAAAAAAAAAAAAAAAEQAAA\n" \
	"-----END ENCRYPTED PRIVATE KEY-----\n"

static void
test_keys_that_cannot_be_used_are_complained_of(void **state)
{
	struct cert ed = cert_make("ED25519", "a.example");
	struct tls_keys *k = tls_keys_open();
	struct buffer errors = { 0 }, out = { 0 };
	char id[65];

	(void)state;
	HOLDS("nonsense", !tls_keys_add(k, BYTES("nonsense"), &errors) && errors.len > 0);
	buffer_reset(&errors);
	HOLDS("encrypted: nobody to ask", !tls_keys_add(k, BYTES(ENCRYPTED), &errors) && errors.len > 0);
	buffer_reset(&errors);
	HOLDS("Ed25519", !tls_keys_add(k, buffer_bytes(&ed.key), &errors));
	SAME("in words", buffer_bytes(&errors), BYTES("a private key must be RSA or ECDSA\n"));
	assert_true(tls_keys_add(k, buffer_bytes(&rsa.key), &errors));
	assert_true(tls_keys_add(k, buffer_bytes(&rsa.key), &errors));
	assert_true(tls_key_id(buffer_bytes(&rsa.key), id));
	HOLDS("another key", !tls_keys_sign(k, BYTES("0"), TLS_SIGN_RSA, RSA_PKCS1_PADDING, BYTES("x"), &out));
	HOLDS("another kind", !tls_keys_sign(k, bytes_of(id), TLS_SIGN_ECDSA, 0, BYTES("01234567890123456789"), &out));
	HOLDS("another padding", !tls_keys_sign(k, bytes_of(id), TLS_SIGN_RSA, RSA_PKCS1_OAEP_PADDING, BYTES("x"), &out));
	HOLDS("raw, too short", !tls_keys_sign(k, bytes_of(id), TLS_SIGN_RSA, RSA_NO_PADDING, BYTES("x"), &out));
	HOLDS("nothing came out", out.len == 0);
	HOLDS("as it should be", tls_keys_sign(k, bytes_of(id), TLS_SIGN_RSA, RSA_PKCS1_PADDING, BYTES("x"), &out) &&
	                         out.len == 256);
	tls_keys_close(&k);
	tls_keys_close(&k);
	buffer_free(&errors);
	buffer_free(&out);
	cert_free(&ed);
}

struct open_case { const char *why; struct tls_settings settings; const char *complaint; };
static const struct open_case opens[] = {
	{ "as usual", STANDARD, NULL },
	{ "no such version", { .protocols = ">=TLSv1.9", .session_id = "smtp" }, "TLS protocols \">=TLSv1.9\": not known: >=TLSv1.9; expected >=TLSv1.2 or >=TLSv1.3\n" },
	{ "nothing left", { .protocols = "!TLSv1.2, !TLSv1.3", .session_id = "smtp" }, "TLS protocols \"!TLSv1.2, !TLSv1.3\": neither TLSv1.2 nor TLSv1.3 is left; expected >=TLSv1.2 or >=TLSv1.3\n" },
	{ "no such cipher", { .protocols = ">=TLSv1.2", .ciphers = "ROT13", .session_id = "smtp" }, "the ciphers of TLSv1.2 are not as OpenSSL names them: no cipher match\n" },
	{ "no such group", { .protocols = ">=TLSv1.2", .curves = "P-1", .session_id = "smtp" }, "the groups of tls_eecdh_auto_curves are not as OpenSSL names them: passed invalid argument\n" },
};

static void
test_bad_settings_and_certificates_are_complained_of(void **state)
{
	struct cert ed = cert_make("ED25519", "a.example");
	struct tls_signer nobody = { 0 };
	struct buffer errors = { 0 };
	struct tls *t = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT(opens); i++) {
		buffer_reset(&errors);
		tls_close(&t);
		t = tls_open(&opens[i].settings, &nobody, (struct bytes){ ticket_key, TICKET_SEED }, &errors);
		HOLDS(opens[i].why, (t != NULL) == (opens[i].complaint == NULL));
		SAME(opens[i].why, buffer_bytes(&errors), bytes_of(opens[i].complaint));
	}
	t = tls_open(&opens[0].settings, &nobody, (struct bytes){ ticket_key, TICKET_SEED }, &errors);
	buffer_reset(&errors);
	HOLDS("nonsense", !tls_add_certificate(t, BYTES("nonsense"), &errors) && errors.len > 0);
	HOLDS("a key is no certificate", !tls_add_certificate(t, buffer_bytes(&ec.key), &errors));
	buffer_reset(&errors);
	HOLDS("Ed25519", !tls_add_certificate(t, buffer_bytes(&ed.chain), &errors));
	SAME("in words", buffer_bytes(&errors), BYTES("a certificate must be for an RSA or ECDSA key\n"));
	buffer_reset(&errors);
	assert_true(tls_add_certificate(t, buffer_bytes(&ec.chain), &errors));
	HOLDS("twice", !tls_add_certificate(t, buffer_bytes(&ec.chain), &errors));
	SAME("in words", buffer_bytes(&errors), BYTES("two certificates of one kind are for the same names\n"));
	tls_close(&t);
	buffer_free(&errors);
	cert_free(&ed);
}

/* ---- patience ---- */

static struct running silent_house;
static int silent_fd;

static void
test_first_a_client_comes_who_says_nothing(void **state)
{
	struct setup setup = { .settings = STANDARD, .cert = { &ec } };

	(void)state;
	silent_house = start(&setup);
	silent_fd = call(silent_house.port);
}

static void
test_last_he_has_been_sent_away(void **state)
{
	struct pollfd p = { .fd = silent_fd, .events = POLLIN };
	char why[200];

	(void)state;
	HOLDS("within ten seconds and a little", poll(&p, 1, 12000) == 1);
	failure(&silent_house, why, sizeof why);
	SAME("why", bytes_of(why), BYTES("TLS: the handshake took too long\n"));
	close(silent_fd);
	stop(&silent_house);
}

/* ---- memory: printed, never judged ---- */

static size_t
heap_of(struct client *c)
{
	client_say(c, "HEAP\r\n");
	return strtoul(client_line(c), NULL, 10);
}

static void
test_what_an_idle_tls_stream_holds(void **state)
{
	enum { MANY = 200 };
	static struct client c[MANY];
	static const int versions[] = { TLS1_3_VERSION, TLS1_2_VERSION };
	struct setup setup = { .settings = STANDARD, .cert = { &ec } };
	struct rlimit more;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &more);
	if (more.rlim_max < MANY + 100)
		skip();
	more.rlim_cur = more.rlim_max;
	setrlimit(RLIMIT_NOFILE, &more);
	for (size_t v = 0; v < COUNT(versions); v++) {
		struct running r = start(&setup);
		struct client meter;
		size_t before, after;

		client_open(&meter, r.port, 0);
		assert_true(client_shake(&meter));
		client_line(&meter);
		before = heap_of(&meter);
		for (int i = 0; i < MANY; i++) {
			client_open(&c[i], r.port, versions[v]);
			assert_true(client_shake(&c[i]));
			client_line(&c[i]);
			client_say(&c[i], "NOOP\r\n");
			client_line(&c[i]);
		}
		after = heap_of(&meter);
		if (before > 0)
			print_message("stream: %zu bytes of heap for an idle TLS %s stream\n",
			              (after - before) / MANY, v == 0 ? "1.3" : "1.2");
		for (int i = 0; i < MANY; i++)
			client_close(&c[i]);
		client_close(&meter);
		stop(&r);
	}
}

static void
test_make_certificates(void **state)
{
	(void)state;
	ec = cert_make("EC", "a.example,mail.a.example");
	rsa = cert_make("RSA", "a.example,mail.a.example");
	other = cert_make("EC", "b.example,*.c.example");
	tickets_seed(ticket_key, time(NULL), 3600);
}

static void
test_put_certificates_away(void **state)
{
	(void)state;
	cert_free(&ec);
	cert_free(&rsa);
	cert_free(&other);
}

UNIT(test_make_certificates, test_first_a_client_comes_who_says_nothing,
     test_handshakes_with_a_key_that_is_elsewhere, test_the_end_is_told_and_survives_input,
     test_sessions_resume_in_another_process, test_sessions_of_another_protocol_do_not_resume,
     test_two_processes_share_one_door, test_what_was_sent_behind_starttls_is_dropped,
     test_a_name_chooses_its_certificate, test_other_protocols_are_refused,
     test_least_version_is_a_setting, test_no_renegotiation,
     test_without_the_signer_there_is_no_handshake, test_bad_handshakes_are_told,
     test_files_and_floods_arrive_whole, test_long_lines_come_through,
     test_a_session_joined_with_its_keeper, test_a_joined_flood_is_held_back,
     test_a_key_update_does_not_stop_the_stream, test_both_ends_have_the_same_binding,
     test_s_client_is_served, test_a_key_and_its_certificate_have_one_id,
     test_keys_that_cannot_be_used_are_complained_of,
     test_bad_settings_and_certificates_are_complained_of, test_what_an_idle_tls_stream_holds,
     test_last_he_has_been_sent_away, test_put_certificates_away)
