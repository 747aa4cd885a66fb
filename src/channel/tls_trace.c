/* tls_trace.c -- what a TLS session does, line by line for the log: its steps, and its bytes as others could see them */
#include <stdio.h>

#include "channel/peer.h"
#include "channel/tls_inner.h"

enum { ROW = 16, LINE_ROOM = 256 };

/* Sessions of one process come mixed: each line says whose it is. */
static void
say(const SSL *ssl, const char *text)
{
	char        line[LINE_ROOM];
	struct peer p;

	if (!peer_of(SSL_get_fd(ssl), &p))
		p = (struct peer){ .text = "unknown" };
	(void)snprintf(line, sizeof line, "%s:%u: %s", p.text, p.port, text);
	tls_settings_in(ssl)->trace(line);
}

static void
step_done(const SSL *ssl, int where, int result)
{
	if ((where & (SSL_CB_LOOP | SSL_CB_ALERT)) != 0)
		say(ssl, (where & SSL_CB_ALERT) != 0 ? SSL_alert_desc_string_long(result)
		                                     : SSL_state_string_long(ssl));
}

/* "0010 16 03 01 ...  ..." */
static void
say_row(const SSL *ssl, const unsigned char *at, size_t len, size_t from)
{
	char   text[8 + 3 * ROW + 2 + ROW + 1], shown[ROW + 1];
	size_t n = 0;
	int    used = snprintf(text, sizeof text, "%04zx", from);

	for (; n < len && n < ROW; n++) {
		used += snprintf(text + used, sizeof text - (size_t)used, " %02x", at[n]);
		shown[n] = at[n] >= ' ' && at[n] <= '~' ? (char)at[n] : '.';
	}
	shown[n] = '\0';
	(void)snprintf(text + used, sizeof text - (size_t)used, "%*s%s", (int)(3 * (ROW - n) + 2),
	               "", shown);
	say(ssl, text);
}

static long
bytes_moved(BIO *bio, int what, const char *at, size_t len, int more, long argument, int result,
            size_t *moved)
{
	const SSL *ssl = (const SSL *)BIO_get_callback_arg(bio);
	bool       in = what == (BIO_CB_READ | BIO_CB_RETURN);
	char       text[64];

	(void)len;
	(void)more;
	(void)argument;
	if ((!in && what != (BIO_CB_WRITE | BIO_CB_RETURN)) || result <= 0 || moved == NULL ||
	    (tls_settings_in(ssl)->dump == TLS_DUMPS_HANDSHAKES && SSL_is_init_finished(ssl)))
		return result;
	(void)snprintf(text, sizeof text, in ? "%zu bytes came" : "%zu bytes went", *moved);
	say(ssl, text);
	for (size_t from = 0; from < *moved; from += ROW)
		say_row(ssl, (const unsigned char *)at + from, *moved - from, from);
	return result;
}

void
tls_trace_begin(SSL *ssl)
{
	SSL_set_info_callback(ssl, step_done);
	if (tls_settings_in(ssl)->dump == TLS_DUMPS_NOTHING)
		return;
	BIO_set_callback_ex(SSL_get_rbio(ssl), bytes_moved);
	BIO_set_callback_arg(SSL_get_rbio(ssl), (char *)ssl);
}
