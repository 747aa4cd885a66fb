#include "tlshouse.h"

struct shake_case {
	const char        *why;
	const struct cert *cert[2];
	int                version;
	const char        *sigalgs, *ciphers; /* of the client; NULL: all */
	const struct cert *sees;              /* NULL: refused            */
	const char        *failure;
};
static const struct shake_case shakes[] = {
	{ "ECDSA, 1.3", { &ec }, TLS1_3_VERSION, NULL, NULL, &ec, NULL },
	{ "ECDSA, 1.2", { &ec }, TLS1_2_VERSION, NULL, NULL, &ec, NULL },
	{ "RSA, 1.3, always PSS", { &rsa }, TLS1_3_VERSION, NULL, NULL, &rsa, NULL },
	{ "RSA, 1.2, PSS", { &rsa }, TLS1_2_VERSION, "RSA-PSS+SHA256", NULL, &rsa, NULL },
	{ "RSA, 1.2, PSS, SHA-512", { &rsa }, TLS1_2_VERSION, "RSA-PSS+SHA512", NULL, &rsa, NULL },
	{ "RSA, 1.2, PKCS#1 1.5", { &rsa }, TLS1_2_VERSION, "RSA+SHA256", NULL, &rsa, NULL },
	{ "both: ECDSA is preferred", { &ec, &rsa }, TLS1_3_VERSION, NULL, NULL, &ec, NULL },
	{ "both, an old peer",
	  { &ec, &rsa },
	  TLS1_2_VERSION,
	  NULL,
	  "ECDHE-RSA-AES128-GCM-SHA256",
	  &rsa,
	  NULL },
	{ "both, added the other way",
	  { &rsa, &ec },
	  TLS1_2_VERSION,
	  NULL,
	  "ECDHE-RSA-AES128-GCM-SHA256",
	  &rsa,
	  NULL },
	{ "ChaCha20", { &ec }, TLS1_2_VERSION, NULL, "ECDHE-ECDSA-CHACHA20-POLY1305", &ec, NULL },
	{ "no forward secrecy",
	  { &rsa },
	  TLS1_2_VERSION,
	  NULL,
	  "AES128-GCM-SHA256",
	  NULL,
	  "TLS: no shared cipher\n" },
	{ "no AEAD",
	  { &rsa },
	  TLS1_2_VERSION,
	  NULL,
	  "ECDHE-RSA-AES128-SHA",
	  NULL,
	  "TLS: no shared cipher\n" },
	{ "1.1 is too old",
	  { &rsa },
	  TLS1_1_VERSION,
	  NULL,
	  NULL,
	  NULL,
	  "TLS: unsupported protocol\n" },
};

static void
test_handshakes_with_a_key_that_is_elsewhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(shakes); i++) {
		const struct shake_case *s = &shakes[i];
		struct setup   setup = { .settings = STANDARD, .cert = { s->cert[0], s->cert[1] } };
		struct running r = start(&setup);
		struct client  c;
		char           why[200];

		client_open(&c, r.port, s->version);
		if (s->sigalgs != NULL)
			assert_int_equal(SSL_set1_sigalgs_list(c.ssl, s->sigalgs), 1);
		if (s->ciphers != NULL)
			assert_int_equal(SSL_set_cipher_list(c.ssl, s->ciphers), 1);
		HOLDS(s->why, client_shake(&c) == (s->sees != NULL));
		if (s->sees != NULL) {
			HOLDS(s->why, client_sees(&c, s->sees));
			client_line(&c);
			HOLDS(s->why, strncmp(c.line,
			                      s->version == TLS1_3_VERSION ? "220 TLSv1.3 "
			                                                   : "220 TLSv1.2 ",
			                      12) == 0);
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
	struct setup   setup = { .settings = STANDARD, .cert = { &ec } };
	struct running r = start(&setup);
	struct client  c;

	(void)state;
	client_open(&c, r.port, 0);
	assert_true(client_shake(&c));
	client_line(&c);
	client_say(&c, "NOOP\r\nQUIT\r\nignored\r\n");
	SAME("pipelined", bytes_of(client_line(&c)), BYTES("250 NOOP\r\n"));
	SAME("last words", bytes_of(client_line(&c)), BYTES("221 bye\r\n"));
	HOLDS("close_notify",
	      SSL_read(c.ssl, c.line, 1) == 0 && SSL_get_error(c.ssl, 0) == SSL_ERROR_ZERO_RETURN);
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
	struct setup   setup = { .settings = STANDARD, .cert = { &ec, &rsa } };
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
	struct setup   smtp = { .settings = STANDARD, .cert = { &ec } }, imap = smtp;
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
	struct setup   setup = { .settings = STANDARD, .cert = { &ec } };
	struct running first = start(&setup), second = start_at(&setup, first.door);
	struct client  c;

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
	struct setup   setup = { .settings = STANDARD, .cert = { &ec }, .in_clear = true };
	struct running r = start(&setup);
	struct client  c;
	char           clear[256];
	ssize_t        n;

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
	static const struct {
		const char        *why, *name;
		const struct cert *sees;
	} cases[] = {
		{ "its own", "b.example", &other },
		{ "case does not matter", "B.Example", &other },
		{ "rfc9525:6.3 a wildcard", "mail.c.example", &other },
		{ "a wildcard is one label", "x.mail.c.example", &ec },
		{ "a wildcard is not its domain", "c.example", &ec },
		{ "the first site's", "a.example", &ec },
		{ "unknown: the first", "unknown.example", &ec },
		{ "none: the first", NULL, &ec },
	};
	struct setup   setup = { .settings = STANDARD, .cert = { &ec, &rsa, &other } };
	struct running r = start(&setup);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char          greeting[100];
		struct client c;

		client_open(&c, r.port, 0);
		if (cases[i].name != NULL)
			SSL_set_tlsext_host_name(c.ssl, cases[i].name);
		HOLDS(cases[i].why, client_shake(&c));
		HOLDS(cases[i].why, client_sees(&c, cases[i].sees));
		snprintf(greeting, sizeof greeting, " sni=%s resumed=0",
		         cases[i].name ? cases[i].name : "");
		HOLDS(cases[i].why, strstr(client_line(&c), greeting) != NULL);
		client_close(&c);
	}
	stop(&r);
}

static void
test_other_protocols_are_refused(void **state)
{
	static const struct {
		const char *why, *offered;
		bool        ok;
	} cases[] = {
		{ "rfc7301:3.2 ours among them", "\x08http/1.1\x04imap", true },
		{ "none of ours (ALPACA)", "\x08http/1.1", false },
		{ "none at all", "", true },
	};
	struct setup   setup = { .settings = STANDARD, .cert = { &ec } };
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
	struct setup   setup = { .settings = STANDARD, .cert = { &ec } };
	struct running r;
	struct client  c;

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
	struct setup   setup = { .settings = STANDARD, .cert = { &ec } };
	struct running r = start(&setup);
	struct client  c;

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
	struct setup   setup = { .settings = STANDARD, .cert = { &ec }, .no_signer = true };
	struct running r = start(&setup);
	struct client  c;
	char           why[200];

	(void)state;
	client_open(&c, r.port, 0);
	HOLDS("refused", !client_shake(&c));
	failure(&r, why, sizeof why);
	SAME("why", bytes_of(why), BYTES("TLS: the signer gave no signature\n"));
	client_close(&c);
	stop(&r);
}

struct breach {
	const char *why, *said, *failure;
};
static const struct breach breaches[] = {
	{ "a client that speaks in clear", "EHLO client.example\r\n",
	  "TLS: wrong version number\n" },
	{ "a web browser", "GET / HTTP/1.0\r\n\r\n", "TLS: http request\n" },
	{ "gone in the middle", "\x16\x03\x01", "TLS: end of file in the handshake\n" },
};

static void
test_bad_handshakes_are_told(void **state)
{
	struct setup   setup = { .settings = STANDARD, .cert = { &ec } };
	struct running r = start(&setup);

	(void)state;
	for (size_t i = 0; i < COUNT(breaches); i++) {
		int  fd = call(r.port);
		char why[200];

		assert_true(write(fd, breaches[i].said, strlen(breaches[i].said)) > 0);
		shutdown(fd, SHUT_WR);
		failure(&r, why, sizeof why);
		SAME(breaches[i].why, bytes_of(why), bytes_of(breaches[i].failure));
		close(fd);
	}
	stop(&r);
}

/* ---- keys and settings ---- */

static void
test_a_key_and_its_certificate_have_one_id(void **state)
{
	char a[65], b[65];

	(void)state;
	HOLDS("ECDSA", tls_key_id(buffer_bytes(&ec.key), a) &&
	                       tls_key_id(buffer_bytes(&ec.chain), b) && strcmp(a, b) == 0 &&
	                       strlen(a) == 64);
	HOLDS("RSA", tls_key_id(buffer_bytes(&rsa.key), a) &&
	                     tls_key_id(buffer_bytes(&rsa.chain), b) && strcmp(a, b) == 0);
	HOLDS("neither", !tls_key_id(BYTES("nothing"), a) && a[0] == '\0');
}

#define ENCRYPTED                                                            \
	"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"                            \
	"MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAh3bWVkaXVtIAICCAAw\n" \
	"DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEAAAAAAAAAAAAAAAAAAAAAAEQAAA\n" \
	"-----END ENCRYPTED PRIVATE KEY-----\n"

static void
test_keys_that_cannot_be_used_are_complained_of(void **state)
{
	struct cert      ed = cert_make("ED25519", "a.example");
	struct tls_keys *k = tls_keys_open();
	struct buffer    errors = { 0 }, out = { 0 };
	char             id[65];

	(void)state;
	HOLDS("nonsense", !tls_keys_add(k, BYTES("nonsense"), &errors) && errors.len > 0);
	buffer_reset(&errors);
	HOLDS("encrypted: nobody to ask",
	      !tls_keys_add(k, BYTES(ENCRYPTED), &errors) && errors.len > 0);
	buffer_reset(&errors);
	HOLDS("Ed25519", !tls_keys_add(k, buffer_bytes(&ed.key), &errors));
	SAME("in words", buffer_bytes(&errors), BYTES("a private key must be RSA or ECDSA\n"));
	assert_true(tls_keys_add(k, buffer_bytes(&rsa.key), &errors));
	assert_true(tls_keys_add(k, buffer_bytes(&rsa.key), &errors));
	assert_true(tls_key_id(buffer_bytes(&rsa.key), id));
	HOLDS("another key",
	      !tls_keys_sign(k, BYTES("0"), TLS_SIGN_RSA, RSA_PKCS1_PADDING, BYTES("x"), &out));
	HOLDS("another kind", !tls_keys_sign(k, bytes_of(id), TLS_SIGN_ECDSA, 0,
	                                     BYTES("01234567890123456789"), &out));
	HOLDS("another padding", !tls_keys_sign(k, bytes_of(id), TLS_SIGN_RSA,
	                                        RSA_PKCS1_OAEP_PADDING, BYTES("x"), &out));
	HOLDS("raw, too short",
	      !tls_keys_sign(k, bytes_of(id), TLS_SIGN_RSA, RSA_NO_PADDING, BYTES("x"), &out));
	HOLDS("nothing came out", out.len == 0);
	HOLDS("as it should be",
	      tls_keys_sign(k, bytes_of(id), TLS_SIGN_RSA, RSA_PKCS1_PADDING, BYTES("x"), &out) &&
	              out.len == 256);
	tls_keys_close(&k);
	tls_keys_close(&k);
	buffer_free(&errors);
	buffer_free(&out);
	cert_free(&ed);
}

struct open_case {
	const char         *why;
	struct tls_settings settings;
	const char         *complaint;
};
static const struct open_case opens[] = {
	{ "as usual", STANDARD, NULL },
	{ "no such version",
	  { .protocols = ">=TLSv1.9", .session_id = "smtp" },
	  "TLS protocols \">=TLSv1.9\": not known: >=TLSv1.9; expected >=TLSv1.2 or >=TLSv1.3\n" },
	{ "nothing left",
	  { .protocols = "!TLSv1.2, !TLSv1.3", .session_id = "smtp" },
	  "TLS protocols \"!TLSv1.2, !TLSv1.3\": neither TLSv1.2 nor TLSv1.3 is left; expected >=TLSv1.2 or >=TLSv1.3\n" },
	{ "no such cipher",
	  { .protocols = ">=TLSv1.2", .ciphers = "ROT13", .session_id = "smtp" },
	  "the ciphers of TLSv1.2 are not as OpenSSL names them: no cipher match\n" },
	{ "no such group",
	  { .protocols = ">=TLSv1.2", .curves = "P-1", .session_id = "smtp" },
	  "the groups of tls_eecdh_auto_curves are not as OpenSSL names them: passed invalid argument\n" },
};

static void
test_bad_settings_and_certificates_are_complained_of(void **state)
{
	struct cert       ed = cert_make("ED25519", "a.example");
	struct tls_signer nobody = { 0 };
	struct buffer     errors = { 0 };
	struct tls       *t = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT(opens); i++) {
		buffer_reset(&errors);
		tls_close(&t);
		t = tls_open(&opens[i].settings, &nobody, (struct bytes){ ticket_key, TICKET_SEED },
		             &errors);
		HOLDS(opens[i].why, (t != NULL) == (opens[i].complaint == NULL));
		SAME(opens[i].why, buffer_bytes(&errors), bytes_of(opens[i].complaint));
	}
	t = tls_open(&opens[0].settings, &nobody, (struct bytes){ ticket_key, TICKET_SEED },
	             &errors);
	buffer_reset(&errors);
	HOLDS("nonsense", !tls_add_certificate(t, BYTES("nonsense"), &errors) && errors.len > 0);
	HOLDS("a key is no certificate", !tls_add_certificate(t, buffer_bytes(&ec.key), &errors));
	buffer_reset(&errors);
	HOLDS("Ed25519", !tls_add_certificate(t, buffer_bytes(&ed.chain), &errors));
	SAME("in words", buffer_bytes(&errors),
	     BYTES("a certificate must be for an RSA or ECDSA key\n"));
	buffer_reset(&errors);
	assert_true(tls_add_certificate(t, buffer_bytes(&ec.chain), &errors));
	HOLDS("twice", !tls_add_certificate(t, buffer_bytes(&ec.chain), &errors));
	SAME("in words", buffer_bytes(&errors),
	     BYTES("two certificates of one kind are for the same names\n"));
	tls_close(&t);
	buffer_free(&errors);
	cert_free(&ed);
}

/* ---- patience ---- */

static struct running silent_house;
static int            silent_fd;

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
	char          why[200];

	(void)state;
	HOLDS("within ten seconds and a little", poll(&p, 1, 12000) == 1);
	failure(&silent_house, why, sizeof why);
	SAME("why", bytes_of(why), BYTES("TLS: the handshake took too long\n"));
	close(silent_fd);
	stop(&silent_house);
}

UNIT(test_make_certificates, test_first_a_client_comes_who_says_nothing,
     test_handshakes_with_a_key_that_is_elsewhere, test_the_end_is_told_and_survives_input,
     test_sessions_resume_in_another_process, test_sessions_of_another_protocol_do_not_resume,
     test_two_processes_share_one_door, test_what_was_sent_behind_starttls_is_dropped,
     test_a_name_chooses_its_certificate, test_other_protocols_are_refused,
     test_least_version_is_a_setting, test_no_renegotiation,
     test_without_the_signer_there_is_no_handshake, test_bad_handshakes_are_told,
     test_a_key_and_its_certificate_have_one_id, test_keys_that_cannot_be_used_are_complained_of,
     test_bad_settings_and_certificates_are_complained_of, test_last_he_has_been_sent_away,
     test_put_certificates_away)
