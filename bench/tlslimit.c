// SPDX-License-Identifier: ISC
//
// tlslimit: how many full TLS handshakes a second this machine can make with
// itself.
//
// Two threads, one for each end, pass whole TLS 1.3 handshakes over loopback
// TCP connections: X25519, an ECDSA P-256 certificate made on the spot, no
// resumption, no verification, --connections at a time.  A mail server that
// takes one letter per STARTTLS connection cannot be faster than this; the
// benchmark prints its figure as a share of it.

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// One end of a connection.  It shakes; then the server waits for the client's
// octet, answers it, and whoever sees the end closes.
struct end {
	int fd;
	SSL *tls;
	bool shaken;
};

static SSL_CTX *contexts[2];	// [0] client, [1] server
static struct sockaddr_in address = { .sin_family = AF_INET };
static int listener;
static double deadline;
static unsigned long done;

static void
die(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	fputs("tlslimit: ", stderr);
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

static void
certificate_make(SSL_CTX *context)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	if (!key || !cert)
		die("no key");
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	X509_NAME *name = X509_get_subject_name(cert);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const unsigned char *)"localhost", -1, -1, 0);
	X509_set_issuer_name(cert, name);
	X509_set_pubkey(cert, key);
	if (!X509_sign(cert, key, EVP_sha256()) ||
	    SSL_CTX_use_certificate(context, cert) != 1 ||
	    SSL_CTX_use_PrivateKey(context, key) != 1)
		die("no certificate");
	X509_free(cert);
	EVP_PKEY_free(key);
}

static struct end *
end_open(int poller, int fd, int side)
{
	struct end *e = calloc(1, sizeof *e);
	int one = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (!e || !(e->tls = SSL_new(contexts[side])))
		die("out of memory");
	e->fd = fd;
	SSL_set_fd(e->tls, fd);
	if (side)
		SSL_set_accept_state(e->tls);
	else
		SSL_set_connect_state(e->tls);
	struct epoll_event event = { .events = EPOLLIN | (side ? 0 : EPOLLOUT) |
	    EPOLLET, .data.ptr = e };
	epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
	return e;
}

static void
end_close(struct end *e)
{
	SSL_free(e->tls);
	close(e->fd);
	free(e);
}

static int
client_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || (connect(fd, (struct sockaddr *)&address,
	    sizeof address) < 0 && errno != EINPROGRESS))
		die("connect: %s", strerror(errno));
	return fd;
}

// True when this end has done all it has to.
static bool
end_step(struct end *e, int side)
{
	char c = 'm';
	int r = 1;
	if (!e->shaken) {
		if ((r = SSL_do_handshake(e->tls)) == 1) {
			e->shaken = true;
			if (side == 0)
				r = SSL_write(e->tls, &c, 1);
		}
	}
	if (e->shaken && r > 0 && (r = SSL_read(e->tls, &c, 1)) == 1) {
		if (side == 1)
			SSL_write(e->tls, &c, 1);
		return true;
	}
	if (r > 0)
		return false;
	int error = SSL_get_error(e->tls, r);
	if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
		die("handshake failed: %s",
		    ERR_reason_error_string(ERR_get_error()));
	return false;
}

static void *
server_run(void *unused)
{
	(void)unused;
	int poller = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN }, events[64];
	epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		int n = epoll_wait(poller, events, 64, -1);
		for (int i = 0; i < n; i++) {
			struct end *e = events[i].data.ptr;
			if (!e) {
				int fd = accept4(listener, NULL, NULL,
				    SOCK_NONBLOCK | SOCK_CLOEXEC);
				if (fd >= 0)
					end_open(poller, fd, 1);
			} else if (end_step(e, 1)) {
				end_close(e);
			}
		}
	}
	return NULL;
}

static void
client_run(unsigned connections)
{
	int poller = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event events[64];
	for (unsigned i = 0; i < connections; i++)
		end_open(poller, client_socket(), 0);
	while (now() < deadline) {
		int n = epoll_wait(poller, events, 64, 1000);
		for (int i = 0; i < n; i++) {
			struct end *e = events[i].data.ptr;
			if (!(events[i].events & (EPOLLOUT | EPOLLHUP)) ||
			    !end_step(e, 0))
				continue;
			end_close(e);
			done++;
			end_open(poller, client_socket(), 0);
		}
	}
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "connections", 1, NULL, 'n' }, { "seconds", 1, NULL, 't' },
		{ "json", 0, NULL, 'j' }, { 0 },
	};
	unsigned connections = 10;
	double seconds = 2;
	bool json = false;
	int o;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'n': connections = (unsigned)strtoul(optarg, NULL, 10); break;
		case 't': seconds = atof(optarg); break;
		case 'j': json = true; break;
		default:
			fputs("usage: tlslimit [--connections N] [--seconds S]"
			    " [--json]\n", stderr);
			return 2;
		}
	}
	signal(SIGPIPE, SIG_IGN);
	contexts[0] = SSL_CTX_new(TLS_client_method());
	contexts[1] = SSL_CTX_new(TLS_server_method());
	if (!contexts[0] || !contexts[1])
		die("no TLS context");
	SSL_CTX_set_num_tickets(contexts[1], 0);
	SSL_CTX_set_session_cache_mode(contexts[0], SSL_SESS_CACHE_OFF);
	SSL_CTX_set_session_cache_mode(contexts[1], SSL_SESS_CACHE_OFF);
	certificate_make(contexts[1]);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	socklen_t length = sizeof address;
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
	    listen(listener, 512) < 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &length) < 0)
		die("listen: %s", strerror(errno));

	pthread_t server;
	if (pthread_create(&server, NULL, server_run, NULL))
		die("no thread");
	double begin = now();
	deadline = begin + seconds;
	client_run(connections);
	double rate = (double)done / (now() - begin);
	printf(json ? "{\"connections\": %u, \"per_second\": %.1f}\n" :
	    "connections=%u handshakes_per_second=%.1f\n", connections, rate);
	return 0;
}
