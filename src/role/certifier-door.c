/*
 * certifier-door -- the answers to challenges, for who comes to see them (certifier.h)
 *
 * http-01 (rfc8555:8.3): GET /.well-known/acme-challenge/TOKEN.  tls-alpn-01 (rfc8737): a handshake with the protocol
 * acme-tls/1 and the name.  Each connection has some seconds in a thread, and nothing is kept of it.  While nothing is
 * shown, who comes is sent away unheard.
 */
#include "role/certifier.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "channel/listener.h"

enum { BUSY_MOST = 16, PATIENCE_MS = 5000, REQUEST_MOST = 2048 };

#define PLACE "/.well-known/acme-challenge/"
#define PROTOCOL "acme-tls/1"

struct acme_door {
	struct acme_doors *doors;
	struct acme_door  *next;
	struct listener   *listener;
	int                fd;
	bool               tls, seen;
};
struct visit {
	struct acme_doors *doors;
	struct shown      *shown;
	int                fd;
	bool               tls;
	int64_t            until_ms;
	struct buffer      asked; /* what the guide has read          */
};

/* ---- what is shown ---- */

bool
shown_add(struct shown *s, const struct order_challenge *c)
{
	struct shown_answer *a;
	bool                 good;

	(void)pthread_mutex_lock(&s->lock);
	good = s->count < COUNT(s->answer);
	if (good) {
		a = &s->answer[s->count];
		*a = (struct shown_answer){ .name = "" };
		(void)snprintf(a->name, sizeof a->name, "%s", c->name);
		(void)snprintf(a->token, sizeof a->token, "%s", c->token);
		buffer_add(&a->text, c->authorization);
		good = strcmp(c->kind, "tls-alpn-01") != 0 ||
		       validation_make(c->name, c->authorization, &a->key, &a->certificate);
		s->count += good;
	}
	(void)pthread_mutex_unlock(&s->lock);
	return good;
}

void
shown_forget(struct shown *s)
{
	(void)pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->count; i++) {
		buffer_free(&s->answer[i].text);
		buffer_free(&s->answer[i].key);
		buffer_free(&s->answer[i].certificate);
	}
	s->count = 0;
	(void)pthread_mutex_unlock(&s->lock);
}

static bool
is_shown(struct shown *s)
{
	bool some;

	(void)pthread_mutex_lock(&s->lock);
	some = s->count > 0;
	(void)pthread_mutex_unlock(&s->lock);
	return some;
}

/* ---- time ---- */

/* False: the time is over, or the connection is broken. */
static bool
wait_for(const struct visit *v, short what)
{
	struct pollfd p = { .fd = v->fd, .events = what };
	int64_t       left = v->until_ms - clock_patient_ms();

	return left > 0 && poll(&p, 1, (int)left) == 1;
}

/* ---- http-01 ---- */

static void
say(const struct visit *v, struct bytes text)
{
	while (text.len > 0 && wait_for(v, POLLOUT)) {
		ssize_t n = send(v->fd, text.at, text.len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return;
		if (n > 0)
			text = bytes_cut(text, (size_t)n, text.len);
	}
}

/* The token of the first line; empty: something else is asked for. */
static struct bytes
token_in(struct bytes request)
{
	static const char begin[] = "GET " PLACE;
	ptrdiff_t         end;

	if (!bytes_starts(request, BYTES("GET " PLACE)))
		return (struct bytes){ NULL, 0 };
	request = bytes_cut(request, sizeof begin - 1, request.len);
	end = bytes_search(request, BYTES(" HTTP/1."));
	return end < 0 ? (struct bytes){ NULL, 0 } : bytes_cut(request, 0, (size_t)end);
}

static void
answer_http(const struct visit *v, struct bytes request)
{
	struct bytes  token = token_in(request);
	struct buffer out = { 0 };

	(void)pthread_mutex_lock(&v->shown->lock);
	for (size_t i = 0; i < v->shown->count && out.len == 0; i++) {
		const struct shown_answer *a = &v->shown->answer[i];

		if (bytes_equal(token, bytes_of(a->token)))
			buffer_printf(
				&out,
				"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
				"Content-Length: %zu\r\nConnection: close\r\n\r\n%.*s",
				a->text.len, (int)a->text.len, a->text.at);
	}
	(void)pthread_mutex_unlock(&v->shown->lock);
	if (out.len == 0)
		buffer_add_string(
			&out,
			"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	say(v, buffer_bytes(&out));
	buffer_free(&out);
}

static void
visit_http(const struct visit *v)
{
	char   request[REQUEST_MOST];
	size_t n = 0;

	while (n < v->asked.len && n < sizeof request) {
		request[n] = v->asked.at[n];
		n++;
	}
	for (;;) {
		ssize_t got;

		if (bytes_search((struct bytes){ request, n }, BYTES("\r\n\r\n")) >= 0) {
			answer_http(v, (struct bytes){ request, n });
			return;
		}
		if (n == sizeof request || !wait_for(v, POLLIN))
			return;
		got = recv(v->fd, request + n, sizeof request - n, 0);
		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
			return;
		n += got > 0 ? (size_t)got : 0;
	}
}

/* ---- tls-alpn-01 ---- */

static bool
use(SSL *ssl, const struct shown_answer *a)
{
	BIO      *k = BIO_new_mem_buf(a->key.at, (int)a->key.len);
	BIO      *c = BIO_new_mem_buf(a->certificate.at, (int)a->certificate.len);
	EVP_PKEY *key = k == NULL ? NULL : PEM_read_bio_PrivateKey(k, NULL, NULL, NULL);
	X509     *x = c == NULL ? NULL : PEM_read_bio_X509(c, NULL, NULL, NULL);
	bool      good = key != NULL && x != NULL && SSL_use_certificate(ssl, x) == 1 &&
	            SSL_use_PrivateKey(ssl, key) == 1;

	X509_free(x);
	EVP_PKEY_free(key);
	BIO_free(c);
	BIO_free(k);
	return good;
}

/* The certificate of the name that is asked for. */
static int
choose(SSL *ssl, void *ctx)
{
	struct shown *s = ctx;
	const char   *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	bool          good = false;

	(void)pthread_mutex_lock(&s->lock);
	for (size_t i = 0; name != NULL && i < s->count && !good; i++)
		good = bytes_is(bytes_of(s->answer[i].name), name) && use(ssl, &s->answer[i]);
	(void)pthread_mutex_unlock(&s->lock);
	return good ? 1 : 0;
}

static int
agree(SSL *ssl, const unsigned char **out, unsigned char *len, const unsigned char *in, unsigned n,
      void *ctx)
{
	static const unsigned char ours[] = "\x0a" PROTOCOL;
	unsigned char             *found;

	(void)ssl, (void)ctx;
	if (SSL_select_next_proto(&found, len, ours, sizeof ours - 1, in, n) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = found;
	return SSL_TLSEXT_ERR_OK;
}

static void
visit_tls(const struct visit *v)
{
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());
	SSL     *ssl;
	int      did;

	if (c == NULL)
		return;
	(void)SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
	SSL_CTX_set_cert_cb(c, choose, v->shown);
	SSL_CTX_set_alpn_select_cb(c, agree, NULL);
	ssl = SSL_new(c);
	if (ssl != NULL && SSL_set_fd(ssl, v->fd) == 1) {
		while ((did = SSL_accept(ssl)) < 0) {
			int why = SSL_get_error(ssl, did);

			if ((why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) ||
			    !wait_for(v, why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT))
				break;
		}
		if (did == 1)
			(void)SSL_shutdown(ssl);
	}
	SSL_free(ssl);
	SSL_CTX_free(c);
}

/* ---- the doors ---- */

static void
visit(void *ctx)
{
	const struct visit *v = ctx;

	if (v->tls)
		visit_tls(v);
	else
		visit_http(v);
	(void)close(v->fd);
}

static void
left(void *ctx)
{
	struct visit *v = ctx;

	v->doors->busy--;
	buffer_free(&v->asked);
	memory_free(v);
}

static void
enter(struct acme_doors *all, int fd, bool tls, struct bytes asked)
{
	struct visit *v;

	if (all->busy >= BUSY_MOST || !is_shown(all->shown)) {
		(void)close(fd);
		return;
	}
	v = memory_take(sizeof *v);
	*v = (struct visit){ .doors = all,
		             .shown = all->shown,
		             .fd = fd,
		             .tls = tls,
		             .until_ms = clock_patient_ms() + PATIENCE_MS };
	buffer_add(&v->asked, asked);
	all->busy++;
	loop_job(all->house->loop, visit, left, v);
}

static void
came(void *ctx, int fd, const struct peer *peer)
{
	struct acme_door *d = ctx;

	(void)peer;
	enter(d->doors, fd, d->tls, BYTES(""));
}

void
acme_doors_bring(struct acme_doors *all, int fd, struct bytes asked)
{
	enter(all, fd, false, asked);
}

static void
door_set(struct acme_doors *all, const char *name, int fd)
{
	struct acme_door *d;
	bool              tls = strcmp(name, "listener/acme-tls") == 0;

	for (d = all->first; d != NULL; d = d->next)
		if (d->fd == fd && d->tls == tls && d->listener != NULL) {
			d->seen = true;
			return;
		}
	d = memory_take(sizeof *d);
	*d = (struct acme_door){
		.doors = all, .next = all->first, .fd = fd, .tls = tls, .seen = true
	};
	d->listener = listener_open(all->house->loop, fd, came, d);
	all->first = d;
}

void
acme_doors_set(struct acme_doors *all)
{
	const char *name;
	size_t      place = 0;
	int         fd;

	for (struct acme_door *d = all->first; d != NULL; d = d->next)
		d->seen = false;
	while (house_resource_next(all->house, "listener/", &place, &name, &fd))
		door_set(all, name, fd);
	for (struct acme_door *d = all->first; d != NULL; d = d->next)
		if (!d->seen)
			listener_close(&d->listener);
}

void
acme_doors_close(struct acme_doors *all)
{
	struct acme_door *d;

	while ((d = all->first) != NULL) {
		all->first = d->next;
		listener_close(&d->listener);
		memory_free(d);
	}
}
