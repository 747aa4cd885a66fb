#include "tlshouse.h"

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
	static char    got[FLOOD];
	struct setup   setup = { .settings = STANDARD, .cert = { &ec } };
	struct running r = start(&setup);
	struct client  c;

	(void)state;
	client_open(&c, r.port, 0);
	assert_true(client_shake(&c));
	client_line(&c);
	client_say(&c, "LOAD 3000000\r\nFILE\r\nNOOP\r\n");
	usleep(50000); /* the socket fills; writes must be taken up again */
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
	static char    line[LONG + 3], got[LONG + 7];
	struct setup   setup = { .settings = STANDARD, .cert = { &ec } };
	struct running r = start(&setup);
	struct client  c;

	(void)state;
	client_open(&c, r.port, 0);
	assert_true(client_shake(&c));
	client_line(&c);
	memset(line, 'x', LONG);
	memcpy(line + LONG, "\r\n", 3);
	for (int i = 0; i < 3; i++) {
		client_say(&c, line);
		read_all(&c, got, LONG + 6);
		HOLDS("as it was",
		      memcmp(got, "250 ", 4) == 0 && memcmp(got + 4, line, LONG + 2) == 0);
	}
	client_close(&c);
	stop(&r);
}

static void
test_a_session_joined_with_its_keeper(void **state)
{
	enum { PIECE = 30000, PIECES = 200 };
	static char    piece[PIECE], got[PIECE];
	struct setup   setup = { .settings = STANDARD, .cert = { &ec } };
	struct running r = start(&setup);
	struct client  c;
	char           told[100];

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
	struct setup   setup = { .settings = STANDARD, .cert = { &ec } };
	struct running r = start(&setup);
	static char    flood[16384];
	struct client  c;
	size_t         sent = 0;

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
	struct setup   setup = { .settings = STANDARD, .cert = { &ec } };
	struct running r = start(&setup);
	struct client  c;

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
	struct setup     setup = { .settings = STANDARD, .cert = { &ec } };
	struct running   r = start(&setup);

	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		unsigned char ours[64];
		char          wanted[200];
		struct client c;
		unsigned      n;
		X509         *x;

		client_open(&c, r.port, versions[i]);
		assert_true(client_shake(&c));
		client_line(&c);
		client_say(&c, "EXPORTER\r\nEND-POINT\r\nUNIQUE\r\n");
		assert_int_equal(SSL_export_keying_material(c.ssl, ours, 32,
		                                            "EXPORTER-Channel-Binding", 24, NULL, 0,
		                                            1),
		                 1);
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
	static const struct {
		const char *why, *options, *wants[3];
	} cases[] = {
		{ "1.3", "-tls1_3", { "Protocol version: TLSv1.3", "221 bye", "ECDSA" } },
		{ "1.2", "-tls1_2", { "Protocol version: TLSv1.2", "221 bye", "ECDSA" } },
		{ "1.2, PSS",
		  "-tls1_2 -cipher ECDHE-RSA-AES256-GCM-SHA384 -sigalgs RSA-PSS+SHA256",
		  { "RSA-PSS", "221 bye", "ECDHE-RSA" } },
		{ "1.3, PSS",
		  "-tls1_3 -sigalgs RSA-PSS+SHA256",
		  { "RSA-PSS", "221 bye", "TLSv1.3" } },
		{ "1.2, PKCS#1", "-tls1_2 -sigalgs RSA+SHA256", { "RSA", "221 bye", "TLSv1.2" } },
	};
	struct setup   setup = { .settings = STANDARD, .cert = { &ec, &rsa } };
	struct running r;

	(void)state;
	if (system("openssl version >/dev/null 2>&1") != 0)
		skip();
	r = start(&setup);
	for (size_t i = 0; i < COUNT(cases); i++) {
		char  line[400], all[20000] = "";
		FILE *f;

		snprintf(line, sizeof line,
		         "printf 'QUIT\\r\\n' | "
		         "openssl s_client -brief -ign_eof -connect 127.0.0.1:%d %s 2>&1",
		         r.port, cases[i].options);
		f = popen(line, "r");
		all[fread(all, 1, sizeof all - 1, f)] = '\0';
		pclose(f);
		for (size_t k = 0; k < COUNT(cases[i].wants); k++)
			if (strstr(all, cases[i].wants[k]) == NULL)
				fail_msg("%s: no \"%s\" in:\n%s", cases[i].why, cases[i].wants[k],
				         all);
	}
	stop(&r);
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
	static const int     versions[] = { TLS1_3_VERSION, TLS1_2_VERSION };
	struct setup         setup = { .settings = STANDARD, .cert = { &ec } };
	struct rlimit        more;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &more);
	if (more.rlim_max < MANY + 100)
		skip();
	more.rlim_cur = more.rlim_max;
	setrlimit(RLIMIT_NOFILE, &more);
	for (size_t v = 0; v < COUNT(versions); v++) {
		struct running r = start(&setup);
		struct client  meter;
		size_t         before, after;

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

UNIT(test_make_certificates, test_files_and_floods_arrive_whole, test_long_lines_come_through,
     test_a_session_joined_with_its_keeper, test_a_joined_flood_is_held_back,
     test_a_key_update_does_not_stop_the_stream, test_both_ends_have_the_same_binding,
     test_s_client_is_served, test_what_an_idle_tls_stream_holds, test_put_certificates_away)
