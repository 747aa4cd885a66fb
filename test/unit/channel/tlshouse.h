/*
 * tlshouse -- a small server as the house has it: a listener, streams, and a key that a
 * process of its own signs with.  Clients are OpenSSL's, in here and s_client.
 *
 * The server speaks lines.  "220 VERSION CIPHER sni=NAME resumed=0" greets once
 * the stream is secure; EXPORTER, END-POINT and UNIQUE give channel bindings in
 * hex; HEAP its memory; FILE a file; LOAD n n bytes; QUIT ends; JOIN joins the
 * session with a keeper that says every byte again; anything else is told again
 * behind "250 ".
 */
#ifndef UNIT_CHANNEL_TLSHOUSE_H
#define UNIT_CHANNEL_TLSHOUSE_H

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

static inline void
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

static inline void
sign_lost(void *ctx, struct link *l)
{
	struct signer *s = ctx;

	link_close(&l);
	loop_stop(s->loop);
}

static inline void
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

static inline bool
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

static inline void
greet(struct session *s)
{
	struct tls_facts f;

	HOLDS("facts of TLS", stream_tls_facts(s->stream, &f));
	HOLDS("as strong as it says", f.bits >= 128 && f.algorithm_bits >= f.bits);
	stream_printf(s->stream, "220 %s %s sni=%s resumed=%d\r\n", f.version, f.cipher, f.sni, f.resumed);
}

static inline void
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

static inline void
say_load(struct stream *s, size_t n)
{
	char *at = buffer_room(stream_out(s), n);

	for (size_t i = 0; i < n; i++)
		at[i] = (char)('a' + i % 26);
	buffer_took(stream_out(s), n);
}

/* The keeper: a stream of its own behind a pair. */
static inline void
keeper_arrived(void *ctx)
{
	struct session *k = ctx;
	struct bytes b = stream_peek(k->stream);

	stream_say(k->stream, b);
	stream_eat(k->stream, b.len);
	if (stream_pending(k->stream) >= 64 << 10)
		stream_pause(k->stream);
}

static inline void keeper_drained(void *ctx) { stream_resume(((struct session *)ctx)->stream); }

static inline void
keeper_closed(void *ctx, const char *why)
{
	struct session *k = ctx;

	(void)why;
	house.sessions--;
	stream_finish(&k->stream);
	memory_free(k);
}

static inline void
join_done(void *ctx, uint64_t to_keeper, uint64_t from_keeper, const char *why)
{
	dprintf(house.control, "%llu %llu %s\n", (unsigned long long)to_keeper,
	        (unsigned long long)from_keeper, why);
	house.sessions--;
	memory_free(ctx);
}

static inline void
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

static inline void
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

static inline void
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

static inline void
session_secured(void *ctx, bool ok, const char *why)
{
	(void)why;
	if (ok)
		greet(ctx);
	else
		dprintf(house.control, "%s\n", why);
}

static inline void
session_closed(void *ctx, const char *why)
{
	struct session *s = ctx;

	(void)why;
	house.sessions--;
	stream_close(&s->stream);
	memory_free(s);
}

static inline void
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

static inline int
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
static inline void
house_leave(void *ctx, int bits)
{
	(void)bits;
	watch_close((struct watch **)ctx);
	house.leaving = true;
}

static inline void
house_rest(void *ctx)
{
	(void)ctx;
	if (house.leaving && house.sessions == 0 && stream_leaving(house.loop) == 0)
		loop_stop(house.loop);
}

static inline struct tls *
house_tls(const struct setup *c, struct buffer *errors)
{
	struct tls_signer signer = { .sign = ask_signer };
	struct tls *t = tls_open(&c->settings, &signer, (struct bytes){ ticket_key, TICKET_SEED }, errors);

	assert_non_null(t);
	for (size_t i = 0; i < COUNT(c->cert) && c->cert[i] != NULL; i++)
		assert_true(tls_add_certificate(t, buffer_bytes(&c->cert[i]->chain), errors));
	return t;
}

static inline void
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

static inline pid_t
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

static inline void
remember(int old, int new)
{
	size_t i = 0;

	while (controls[i] != old)
		i++;
	controls[i] = new;
}

static inline struct running
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

static inline struct running
start(const struct setup *c)
{
	return start_at(c, -1);
}

/* What the server wrote to its control: why a handshake failed. */
static inline void
failure(const struct running *r, char *out, size_t room)
{
	ssize_t n = recv(r->control, out, room - 1, 0);

	out[n < 0 ? 0 : n] = '\0';
}

/* Both must have kept every promise (and leaked nothing). */
static inline void
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

static inline int
call(uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port),
	                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

static inline int
new_session(SSL *ssl, SSL_SESSION *session)
{
	struct client *c = SSL_get_app_data(ssl);

	SSL_SESSION_free(c->session);
	c->session = session;
	return 1;
}

static inline void
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

static inline bool
client_shake(struct client *c)
{
	bool ok = SSL_connect(c->ssl) == 1;

	ERR_clear_error();
	return ok;
}

static inline const char *
client_line(struct client *c)
{
	size_t n = 0;

	while (n + 1 < sizeof c->line && SSL_read(c->ssl, c->line + n, 1) == 1)
		if (c->line[n++] == '\n')
			break;
	c->line[n] = '\0';
	return c->line;
}

static inline void
client_say(struct client *c, const char *text)
{
	assert_int_equal(SSL_write(c->ssl, text, (int)strlen(text)), (int)strlen(text));
}

static inline void
client_close(struct client *c)
{
	SSL_SESSION_free(c->session);
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	if (c->fd >= 0)
		close(c->fd);
}

/* The peer's certificate is this one. */
static inline bool
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

#define STANDARD { .protocols = ">=TLSv1.2", .ciphers = "", .session_id = "smtp", .alpn = "" }

static inline void
test_make_certificates(void **state)
{
	(void)state;
	ec = cert_make("EC", "a.example,mail.a.example");
	rsa = cert_make("RSA", "a.example,mail.a.example");
	other = cert_make("EC", "b.example,*.c.example");
	tickets_seed(ticket_key, time(NULL), 3600);
}

static inline void
test_put_certificates_away(void **state)
{
	(void)state;
	cert_free(&ec);
	cert_free(&rsa);
	cert_free(&other);
}

#endif
