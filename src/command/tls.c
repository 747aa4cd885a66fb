/* tls -- what TLS a server speaks, and what is wrong with it */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/arena.h"
#include "channel/tls.h"
#include "command/command.h"
#include "command/dane.h"
#include "command/inquiry.h"
#include "command/sts.h"
#include "command/talk.h"
#include "command/tls-report.h"
#include "role/tables.h"
#include "role/tls-settings.h"

enum { PATIENCE_MS = 15000, GREETING_MS = 4000, SMTP_PORT = 25, HOSTS_MOST = 20 };

static int run_tls(struct call *);

const struct command command_tls = {
	.name = "tls",
	.forms = "tls check HOST|DOMAIN [--starttls smtp|lmtp|imap|pop3|none] "
		 "[--name NAME] [--ca FILE]\n"
		 "tls check",
	.about = "Tells what TLS a server speaks: protocol, cipher, certificate, "
		 "DANE, MTA-STS, what is wrong, and a grade.",
	.more = "HOST may have a port behind it, as mail.example.org:465; it is 25 "
		"if not said. On 465, 993 and 995 TLS is spoken from the first "
		"byte, on other well-known ports after STARTTLS "
		"in the words of the port's protocol; elsewhere the greeting tells "
		"which that is, and a server that says nothing first is taken for "
		"one that "
		"begins with TLS. Of a DOMAIN with MX records each of the hosts "
		"they name is looked at. --starttls says it instead (none: TLS "
		"from the first byte). --name is asked for "
		"and must be in the certificate, HOST if not said; --ca names a "
		"file of authorities to trust besides the system's.\n"
		"\n"
		"Without HOST the certificates of main.cf are looked at: whether "
		"their keys belong to them and are nobody else's to read, "
		"whether they are for myhostname and how long; and, while the "
		"server runs, every listener is asked.\n"
		"\n"
		"Exit status: 0 nothing is wrong; 1 something is, as the lines "
		"WRONG say; 2 there was no TLS to look at.",
	.run = run_tls,
};

struct check {
	struct call  *call;
	const char   *host, *name, *authorities, *protocol; /* protocol: "" TLS comes first */
	const char   *domain;                               /* whose MX records name it, NULL */
	int           port;
	struct report report;
};

/*
 * One server
 */

static const char *
protocol_of_port(int port)
{
	static const struct {
		int         port;
		const char *protocol;
	} ports[] = { { 465, "" },     { 993, "" },    { 995, "" },    { 143, "imap" },
		      { 110, "pop3" }, { 24, "lmtp" }, { 25, "smtp" }, { 587, "smtp" } };

	for (size_t i = 0; i < COUNT(ports); i++)
		if (ports[i].port == port)
			return ports[i].protocol;
	return NULL;
}

/* Whoever does not know EHLO speaks LMTP (rfc2033:4.1). */
static const char *
protocol_of_hello(struct talk *t, struct bytes line)
{
	while (line.len > 3 && line.at[3] == '-' && talk_hear(t, &line))
		continue;
	(void)talk_say(t, BYTES("EHLO check.invalid\r\n"));
	return talk_reply(t, NULL, NULL) / 100 == 5 ? "lmtp" : "smtp";
}

/* Who speaks TLS from the first byte waits for the client. */
static const char *
protocol_of_greeting(const char *host, int port)
{
	struct talk *t = talk_open(host, port, GREETING_MS);
	struct bytes line;
	const char  *found = talk_over(t) ? "smtp" : "";

	if (found[0] == '\0' && talk_hear(t, &line))
		found = bytes_starts(line, BYTES("* "))    ? "imap"
		        : bytes_starts(line, BYTES("+OK")) ? "pop3"
		                                           : protocol_of_hello(t, line);
	talk_close(&t);
	return found;
}

static SSL_CTX *
context_open(const struct check *k)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (ctx == NULL)
		return NULL;
	(void)SSL_CTX_set_default_verify_paths(ctx);
	if (k->authorities != NULL && SSL_CTX_load_verify_locations(ctx, k->authorities, NULL) != 1)
		(void)fprintf(stderr, "mansio: %s: no certificates are there\n", k->authorities);
	(void)SSL_CTX_dane_enable(ctx);
	ERR_clear_error();
	return ctx;
}

/* A connection as far as TLS; NULL after saying why. */
static struct talk *
connect_with(struct check *k, SSL_CTX *ctx, bool quiet)
{
	struct talk  *t = talk_open(k->host, k->port, PATIENCE_MS);
	struct buffer why = { 0 };
	SSL          *ssl = SSL_new(ctx);
	bool          good = !talk_over(t) &&
	            (*k->protocol == '\0' || talk_starttls(t, k->protocol, "check.invalid", &why));

	if (ssl != NULL && k->name != NULL)
		(void)SSL_set_tlsext_host_name(ssl, k->name);
	good = good && ssl != NULL;
	if (good)
		good = talk_secure(t, ssl);
	else
		SSL_free(ssl);
	if (!good && !quiet)
		(void)printf("%s:%d: %.*s%s\n", k->host, k->port, (int)why.len,
		             why.len > 0 ? why.at : "", why.len > 0 ? "" : talk_why(t));
	buffer_free(&why);
	if (!good)
		talk_close(&t);
	return t;
}

static void
tell_session(const struct check *k, const struct talk *t)
{
	SSL      *ssl = talk_ssl(t);
	EVP_PKEY *key = NULL;
	char      group[64] = "";
	int       bits, of;
	size_t    n;

	bits = SSL_get_cipher_bits(ssl, &of);
	if (SSL_get_peer_tmp_key(ssl, &key) == 1 && key != NULL &&
	    EVP_PKEY_get_group_name(key, group, sizeof group, &n) != 1)
		(void)snprintf(group, sizeof group, "%s", OBJ_nid2sn(EVP_PKEY_get_base_id(key)));
	EVP_PKEY_free(key);
	(void)printf("%s:%d [%s]%s%s\n", k->host, k->port, talk_address(t),
	             *k->protocol != '\0' ? ", STARTTLS of " : ", TLS from the first byte",
	             k->protocol);
	report_line("protocol", "%s, cipher %s (%d/%d bits)%s%s", SSL_get_version(ssl),
	            SSL_get_cipher_name(ssl), bits, of, *group != '\0' ? ", key exchange " : "",
	            group);
}

/* Versions that are no more (rfc8996), tried for themselves. */
static void
try_old(struct check *k, SSL_CTX *ctx)
{
	struct talk *t;

	(void)SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
	(void)SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
	(void)SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0");
	if ((t = connect_with(k, ctx, true)) == NULL) {
		report_line("older", "TLS before 1.2 is refused");
		return;
	}
	report_flaw(&k->report, 'C', "%s is spoken, which is no more (rfc8996)",
	            SSL_get_version(talk_ssl(t)));
	talk_close(&t);
}

/* What a server should leave, each tried for itself by a client that knows nothing else.  That a server of mail needs no certificate
   is no fault where clients do not look at it, but nothing is won by it. */
static void
try_weak(struct check *k, SSL_CTX *ctx)
{
	static const struct {
		const char *ciphers, *what;
		char        grade;
	} weak[] = {
		{ "eNULL:@SECLEVEL=0", "nothing is encrypted", 'C' },
		{ "RC4:3DES:DES:IDEA:SEED:!aNULL:!eNULL:@SECLEVEL=0", "it can be broken", 'C' },
		{ "kRSA:!eNULL:@SECLEVEL=0", "without forward secrecy", 'B' },
		{ "aNULL:!eNULL:@SECLEVEL=0", "without a certificate", 'B' },
	};

	(void)SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
	(void)SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	for (size_t i = 0; i < COUNT(weak); i++) {
		struct talk *t = NULL;

		/* Ciphers that our own library does not know are nobody's to try. */
		if (SSL_CTX_set_cipher_list(ctx, weak[i].ciphers) == 1)
			t = connect_with(k, ctx, true);
		ERR_clear_error();
		if (t == NULL)
			continue;
		report_lowers(&k->report, weak[i].grade, "%s is spoken: %s",
		              SSL_get_cipher_name(talk_ssl(t)), weak[i].what);
		report_line("weak", "%s is spoken: %s", SSL_get_cipher_name(talk_ssl(t)),
		            weak[i].what);
		talk_close(&t);
	}
}

struct dane {
	SSL     *ssl;
	unsigned count, usable;
};

/* rfc6698:2.1: usage, selector, matching type, data */
static void
take_record(void *ctx, struct bytes r)
{
	struct dane *d = ctx;

	d->count++;
	if (r.len > 3 &&
	    SSL_dane_tlsa_add(d->ssl, (uint8_t)r.at[0], (uint8_t)r.at[1], (uint8_t)r.at[2],
	                      (const unsigned char *)r.at + 3, r.len - 3) > 0)
		d->usable++;
	ERR_clear_error();
}

/* The certificate is judged in a handshake of its own, by the records alone. */
static void
check_dane(struct check *k, SSL_CTX *ctx)
{
	struct dane     d = { SSL_new(ctx), 0, 0 };
	enum dane_found found = DANE_UNKNOWN;
	struct talk    *t = NULL;
	struct buffer   why = { 0 };

	if (d.ssl != NULL && SSL_dane_enable(d.ssl, k->name != NULL ? k->name : k->host) > 0)
		found = dane_find(k->call, k->host, k->port, take_record, &d);
	if (found != DANE_SECURE || d.usable == 0) {
		report_line("DANE", "%s",
		            found == DANE_NONE ? "no TLSA record"
		            : found == DANE_UNPROVED
		                    ? "there are TLSA records, and DNSSEC does not vouch for them"
		            : found == DANE_SECURE ? "no TLSA record that can be used"
		                                   : "not known: the resolver does not answer");
		SSL_free(d.ssl);
		return;
	}
	SSL_set_verify(d.ssl, SSL_VERIFY_PEER, NULL);
	t = talk_open(k->host, k->port, PATIENCE_MS);
	if ((*k->protocol == '\0' || talk_starttls(t, k->protocol, "check.invalid", &why)) &&
	    talk_secure(t, d.ssl))
		report_line("DANE", "%u TLSA records, secure: they match", d.count);
	else {
		if (talk_ssl(t) == NULL)
			SSL_free(d.ssl);
		report_wrong(&k->report, "DANE: the TLSA records do not match: %s", talk_why(t));
	}
	talk_close(&t);
	buffer_free(&why);
}

/* The name service as main.cf has it, or this system. */
static struct inquiry *
names_open(struct call *c, struct settings **settings)
{
	struct common_settings common = { .dns_resolver = "",
		                          .dns_trust_anchor_file = "/usr/share/dns/root.key" };
	struct buffer          errors = { 0 };
	struct inquiry        *q;

	*settings = access(c->config, R_OK) == 0 ? command_settings(c, &common) : NULL;
	q = inquiry_open(&common, &errors);
	buffer_free(&errors);
	return q;
}

static void
check_policy(struct check *k, SSL_CTX *ctx)
{
	struct settings *settings;
	struct inquiry  *q = names_open(k->call, &settings);

	if (q != NULL)
		sts_check(q, ctx, k->host, k->domain, &k->report);
	inquiry_close(&q);
	settings_close(&settings);
}

static int
check_server(struct check *k, bool whole)
{
	SSL_CTX     *ctx = context_open(k);
	struct talk *t = ctx == NULL ? NULL : connect_with(k, ctx, false);
	STACK_OF(X509) * chain;
	long verified;
	bool wrong;

	if (t == NULL) {
		SSL_CTX_free(ctx);
		return COMMAND_WRONG;
	}
	tell_session(k, t);
	if (SSL_version(talk_ssl(t)) < TLS1_3_VERSION)
		report_lowers(&k->report, 'B', "TLS 1.3 is not spoken");
	if ((chain = SSL_get_peer_cert_chain(talk_ssl(t))) != NULL && sk_X509_num(chain) > 0)
		report_chain(&k->report, chain, k->name);
	verified = SSL_get_verify_result(talk_ssl(t));
	report_line("trusted", "%s",
	            verified == X509_V_OK ? "yes" : X509_verify_cert_error_string(verified));
	if (verified != X509_V_OK && whole)
		report_wrong(&k->report, "the chain is not trusted: %s",
		             X509_verify_cert_error_string(verified));
	talk_close(&t);
	if (whole) {
		check_dane(k, ctx);
		if (strcmp(k->protocol, "smtp") == 0 && k->port == SMTP_PORT)
			check_policy(k, ctx);
		try_old(k, ctx);
		try_weak(k, ctx);
	}
	SSL_CTX_free(ctx);
	wrong = report_end(&k->report);
	if (whole)
		report_grade(&k->report);
	return wrong ? COMMAND_FAILED : COMMAND_DONE;
}

/*
 * Our own
 */

static STACK_OF(X509) * chain_read(const char *path)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	BIO  *bio = BIO_new_file(path, "r");
	X509 *x;

	while (bio != NULL && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		(void)sk_X509_push(chain, x);
	BIO_free(bio);
	ERR_clear_error();
	return chain;
}

/* The key of a file, if it is one of an unencrypted PEM. */
static void
check_key(struct report *r, const char *path, X509 *leaf)
{
	struct buffer    pem = { 0 }, errors = { 0 }, unheard = { 0 };
	struct tls_keys *keys = tls_keys_open();
	struct stat      st;
	char             id[65];
	EVP_PKEY *public = X509_get0_pubkey(leaf);
	BIO  *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long  n;

	report_line("key file", "%s", path);
	if (stat(path, &st) == 0 && (st.st_mode & 077) != 0)
		report_wrong(r, "%s: others than its owner may read or write it: chmod 600", path);
	if (command_read(path, &pem) && !tls_keys_add(keys, buffer_bytes(&pem), &errors))
		report_wrong(r, "%s: %.*s", path, (int)errors.len - 1, errors.at);
	(void)PEM_write_bio_X509(bio, leaf);
	n = BIO_get_mem_data(bio, &text);
	if (public != NULL && tls_key_id((struct bytes){ text, (size_t)n }, id) &&
	    !tls_keys_sign(keys, bytes_of(id),
	                   EVP_PKEY_get_base_id(public) == EVP_PKEY_EC ? TLS_SIGN_ECDSA
	                                                               : TLS_SIGN_RSA,
	                   EVP_PKEY_get_base_id(public) == EVP_PKEY_EC ? 0 : 1,
	                   BYTES("0123456789abcdef0123456789abcdef"), &unheard))
		report_wrong(r, "%s: this is not the key of the certificate", path);
	if (pem.len > 0)
		explicit_bzero(pem.at, pem.len);
	BIO_free(bio);
	tls_keys_close(&keys);
	buffer_free(&pem);
	buffer_free(&errors);
	buffer_free(&unheard);
}

static bool
check_chain(const struct tls_chain *c, const char *myhostname)
{
	struct bytes  rest = bytes_of(c->files), file;
	struct report r = { .grade = 0 };
	bool          wrong = false;
	char          path[4096], key[4096];
	STACK_OF(X509) * chain;

	while (bytes_split(&rest, '\t', &file)) {
		if (!bytes_string(file, path, sizeof path))
			continue;
		chain = chain_read(path);
		if (sk_X509_num(chain) > 0) {
			(void)printf("%s\n", path);
			report_chain(&r, chain,
			             c->use == CHAIN_ALL  ? myhostname
			             : c->name[0] == '\0' ? NULL
			             : c->name[0] == '.'  ? NULL
			                                  : c->name);
			(void)bytes_string(bytes_of(c->keys), key, sizeof key);
			key[strcspn(key, "\t")] = '\0';
			check_key(&r, strcmp(c->keys, c->files) == 0 ? path : key,
			          sk_X509_value(chain, 0));
			wrong = report_end(&r) || wrong;
		} else if (strcmp(c->keys, c->files) != 0) {
			(void)printf("%s\n", path);
			report_wrong(&r, "no certificate can be read there");
			wrong = report_end(&r) || wrong;
		}
		sk_X509_pop_free(chain, X509_free);
	}
	return wrong;
}

static bool
check_listener(struct call *call, const struct common_settings *common, size_t which,
               const char *address)
{
	static const char *const protocol[LISTEN_SERVICES] = {
		[LISTEN_SMTP] = "smtp", [LISTEN_SUBMISSION] = "smtp", [LISTEN_SUBMISSIONS] = "",
		[LISTEN_LMTP] = "lmtp", [LISTEN_IMAP] = "imap",       [LISTEN_IMAPS] = "",
		[LISTEN_POP3] = "pop3", [LISTEN_POP3S] = "",
	};
	char         host[256];
	struct check k = { .call = call, .name = common->myhostname, .protocol = protocol[which] };

	if (strncmp(address, "unix:", 5) == 0 || !talk_target(address, host, &k.port))
		return false;
	k.host = strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0
	                 ? "localhost"
	                 : host;
	(void)printf("\n%s: ", listener_names[which]);
	(void)fflush(stdout);
	return check_server(&k, false) != COMMAND_DONE;
}

static int
check_own(struct call *c)
{
	struct common_settings common;
	struct settings       *s = command_settings(c, &common);
	struct arena          *a = arena_open(NULL);
	struct tls_chains      chains = { NULL, 0 };
	struct tls_rows        rows;
	struct buffer          errors = { 0 };
	bool                   wrong = false;

	if (s == NULL || !settings_fill(s, &tls_setting_table, NULL, &rows, &errors) ||
	    !tls_chains_of(s, &rows, a, &chains, &errors)) {
		command_print(buffer_bytes(&errors), stderr);
		wrong = true;
	}
	for (size_t i = 0; i < chains.count; i++)
		wrong = check_chain(&chains.chain[i], common.myhostname) || wrong;
	if (!wrong && chains.count == 0)
		(void)printf("no certificate is set: smtpd_tls_cert_file is empty\n");
	if (s != NULL && chains.count > 0 && command_runs(&common))
		for (size_t l = 0; l < LISTEN_SERVICES; l++)
			for (size_t i = 0; house_speaks(&common, (enum listener_service)l) &&
			                   i < common.listen[l].count;
			     i++)
				wrong = check_listener(c, &common, l, common.listen[l].item[i]) ||
				        wrong;
	buffer_free(&errors);
	settings_close(&s);
	arena_close(&a);
	return wrong ? COMMAND_FAILED : chains.count == 0 ? COMMAND_WRONG : COMMAND_DONE;
}

/* Each host that its MX records name; false when there are none. */
static bool
check_domain(const struct check *as, int *status)
{
	struct settings     *settings;
	struct inquiry      *q = names_open(as->call, &settings);
	struct arena        *a = arena_open(NULL);
	const struct answer *mx = q == NULL ? NULL : inquiry_ask(q, bytes_of(as->host), DNS_MX);
	const char          *host[HOSTS_MOST];
	size_t               n = 0;

	for (size_t i = 0; mx != NULL && i < mx->records && n < HOSTS_MOST; i++)
		if (mx->record[i].name.len > 0)
			host[n++] = arena_copy(a, mx->record[i].name);
	inquiry_close(&q);
	settings_close(&settings);
	*status = COMMAND_DONE;
	for (size_t i = 0; i < n; i++) {
		struct check k = *as;
		int          one;

		k.domain = as->host;
		k.host = host[i];
		k.name = as->name != NULL ? as->name : host[i];
		one = check_server(&k, true);
		*status = one > *status ? one : *status;
	}
	arena_close(&a);
	return n > 0;
}

static int
run_tls(struct call *c)
{
	struct check k = { .call = c, .port = 0 };
	char         host[256];
	int          status;

	(void)command_option(c, "--starttls", &k.protocol);
	(void)command_option(c, "--name", &k.name);
	(void)command_option(c, "--ca", &k.authorities);
	if (c->argc < 2 || c->argc > 3 || strcmp(c->argv[1], "check") != 0)
		return command_wrong(c, "tls wants check, and perhaps a host");
	if (c->argc == 2)
		return check_own(c);
	if (!talk_target(c->argv[2], host, &k.port))
		return command_wrong(c, "%s is no host and port", c->argv[2]);
	k.host = host;
	if (k.port == 0) {
		k.port = SMTP_PORT;
		if (k.protocol == NULL) {
			k.protocol = "smtp";
			if (check_domain(&k, &status))
				return status;
		}
	}
	if (k.name == NULL)
		k.name = host;
	if (k.protocol == NULL && (k.protocol = protocol_of_port(k.port)) == NULL)
		k.protocol = protocol_of_greeting(host, k.port);
	else if (strcmp(k.protocol, "none") == 0)
		k.protocol = "";
	else if (strcmp(k.protocol, "smtp") != 0 && strcmp(k.protocol, "lmtp") != 0 &&
	         strcmp(k.protocol, "imap") != 0 && strcmp(k.protocol, "pop3") != 0)
		return command_wrong(c, "--starttls knows smtp, lmtp, imap, pop3 and none");
	return check_server(&k, true);
}
