/* What settings may say of TLS in Postfix's words, the keys of tickets, and files of keys and certificates. */
#include "unit.h"

#include "channel/tickets.h"
#include "channel/tls.h"
#include "channel/tls_rules.h"

#include <openssl/ssl.h>
#include <string.h>

struct protocols_case { const char *why, *text; bool good, v12, v13, older; const char *wrong; };
static const struct protocols_case protocols[] = {
	{ "nothing said", "", true, true, true, false, "" },
	{ "postconf(5), since 3.6", ">=TLSv1", true, true, true, false, "" },
	{ "the same by number, as Postfix writes it", ">=0303", true, true, true, false, "" },
	{ "the same by number", ">=0x0303", true, true, true, false, "" },
	{ "postconf(5), before 3.6", "!SSLv2, !SSLv3", true, true, true, false, "" },
	{ "with colons", "!SSLv2:!SSLv3:!TLSv1:!TLSv1.1", true, true, true, false, "" },
	{ "1.3 alone", ">=TLSv1.3", true, false, true, false, "" },
	{ "1.2 alone", "TLSv1.2", true, true, false, false, "" },
	{ "up to 1.2", "<=TLSv1.2", true, true, false, false, "" },
	{ "both ends", ">=TLSv1.1 <=TLSv1.2", true, true, false, false, "" },
	{ "without 1.3", "!TLSv1.3", true, true, false, false, "" },
	{ "T13: only TLSv1, as a tutorial of 2015 has it", "TLSv1", true, true, true, true, "" },
	{ "older ones alone, and not 1.3", "TLSv1 !TLSv1.3", true, true, false, true, "" },
	{ "names in any case", ">=tlsv1.2", true, true, true, false, "" },
	{ "nothing is left", "!TLSv1.2 !TLSv1.3", false, false, false, false, "" },
	{ "no such version", ">=TLSv1.4", false, false, false, false, ">=TLSv1.4" },
	{ "no such version among others", "TLSv1.2 tls", false, false, false, false, "tls" },
	{ "a sign alone", "!", false, false, false, false, "!" },
	{ "a comparison alone", ">=", false, false, false, false, ">=" },
};

static void
test_protocols(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(protocols); i++) {
		const struct protocols_case *p = &protocols[i];
		struct tls_versions v = { false, false, false };
		struct bytes wrong;

		HOLDS(p->why, tls_protocols(bytes_of(p->text), &v, &wrong) == p->good);
		SAME(p->why, wrong, bytes_of(p->wrong));
		if (p->good)
			HOLDS(p->why, v.v12 == p->v12 && v.v13 == p->v13 && v.older == p->older);
	}
}

struct ciphers_case { const char *why, *grade, *exclude, *list; };
static const struct ciphers_case ciphers[] = {
	{ "nothing excluded", "HIGH", "", "HIGH:!aNULL:!eNULL:!kRSA:!kPSK:!kSRP" },
	{ "as the tutorials have it", "HIGH", "aNULL, MD5", "HIGH:!aNULL:!eNULL:!kRSA:!kPSK:!kSRP:!aNULL:!MD5" },
	{ "with ! already", "HIGH", "!RC4 kECDHE+AES", "HIGH:!aNULL:!eNULL:!kRSA:!kPSK:!kSRP:!RC4:!kECDHE+AES" },
	{ "what would add", "HIGH", "+ALL", NULL },
	{ "a command of OpenSSL's", "HIGH", "@SECLEVEL=0", NULL },
	{ "no name", "HIGH", "!", NULL },
};

static void
test_ciphers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(ciphers); i++) {
		struct buffer out = { 0 };
		bool good = tls_ciphers(bytes_of(ciphers[i].grade), bytes_of(ciphers[i].exclude), &out);

		HOLDS(ciphers[i].why, good == (ciphers[i].list != NULL));
		if (good)
			SAME(ciphers[i].why, buffer_bytes(&out), bytes_of(ciphers[i].list));
		buffer_free(&out);
	}
}

static void
test_curves_and_options(void **state)
{
	struct buffer out = { 0 };

	(void)state;
	tls_curves(BYTES(" X25519, prime256v1\tsecp384r1 "), &out);
	SAME("curves", buffer_bytes(&out), BYTES("X25519:prime256v1:secp384r1"));
	buffer_free(&out);
	HOLDS("an option", tls_option(BYTES("no_ticket")) == SSL_OP_NO_TICKET);
	HOLDS("none", tls_option(BYTES("NO_SUCH")) == 0 && tls_option(BYTES("")) == 0);
}

/* ---- tickets ---- */

enum { PERIOD = 3600, NOW = 1795311319 };

static void
test_processes_with_one_seed_agree(void **state)
{
	char seed[TICKET_SEED], later[TICKET_SEED];
	struct tickets *a, *b;
	struct ticket_key first;
	bool old;

	(void)state;
	tickets_seed(seed, NOW, PERIOD);
	memcpy(later, seed, sizeof seed);
	a = tickets_open(seed);
	first = *tickets_now(a, NOW);
	b = tickets_open(seed);
	HOLDS("the same now", memcmp(tickets_now(b, NOW), &first, sizeof first) == 0);
	HOLDS("and in a period", tickets_now(a, NOW + PERIOD) != NULL &&
	                         memcmp(tickets_now(a, NOW + PERIOD), &first, sizeof first) != 0 &&
	                         memcmp(tickets_now(a, NOW + PERIOD), tickets_now(b, NOW + PERIOD), sizeof first) == 0);
	HOLDS("the one before is read", memcmp(tickets_named(a, NOW + PERIOD, first.name, &old), &first, sizeof first) == 0 && old);
	HOLDS("two periods later no more", tickets_named(a, NOW + 2 * PERIOD, first.name, &old) == NULL);
	assert_true(tickets_advance(later, NOW + 2 * PERIOD));
	HOLDS("forgotten in the seed", memcmp(seed, later, sizeof seed) != 0);
	tickets_close(&b);
	b = tickets_open(later);
	HOLDS("a late one agrees", memcmp(tickets_now(a, NOW + 2 * PERIOD), tickets_now(b, NOW + 2 * PERIOD), sizeof first) == 0);
	HOLDS("a clock set back changes nothing", memcmp(tickets_now(a, NOW), tickets_now(b, NOW + 2 * PERIOD), sizeof first) == 0);
	tickets_close(&a);
	tickets_close(&b);
	tickets_close(&b);
}

static void
test_seeds_that_are_no_more(void **state)
{
	char seed[TICKET_SEED];

	(void)state;
	tickets_seed(seed, NOW, PERIOD);
	HOLDS("of the future", !tickets_advance(seed, NOW - 2 * PERIOD));
	HOLDS("too old", !tickets_advance(seed, NOW + (int64_t)PERIOD * 20000));
	HOLDS("as it is", tickets_advance(seed, NOW) && tickets_period(seed) == PERIOD);
	memset(seed, 0, sizeof seed);
	HOLDS("nonsense", !tickets_advance(seed, NOW));
	memset(seed, 0xff, sizeof seed);
	HOLDS("more of it", !tickets_advance(seed, NOW));
}

/* ---- files ---- */

#define CERT(x) "-----BEGIN CERTIFICATE-----\n" x "\n-----END CERTIFICATE-----\n"
#define KEY(x)  "-----BEGIN PRIVATE KEY-----\n" x "\n-----END PRIVATE KEY-----\n"
struct pem_case { const char *why, *file, *shown; };
static const struct pem_case pems[] = {
	{ "a chain", "words\n" CERT("AA") CERT("BB"), CERT("AA") CERT("BB") },
	{ "keys and chains, as smtpd_tls_chain_files has them", KEY("K1") CERT("AA") CERT("BB") KEY("K2") CERT("CC"),
	  "# key\n" CERT("AA") CERT("BB") "# key\n" CERT("CC") },
	{ "other keys, parameters", "-----BEGIN RSA PRIVATE KEY-----\nR\n-----END RSA PRIVATE KEY-----\n"
	  "-----BEGIN EC PARAMETERS-----\nP\n-----END EC PARAMETERS-----\n" CERT("AA"), "# key\n" CERT("AA") },
	{ "an encrypted one", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nR\n-----END ENCRYPTED PRIVATE KEY-----\n", "# key\n" },
	{ "CRLF", "-----BEGIN CERTIFICATE-----\r\nAA\r\n-----END CERTIFICATE-----\r\n", CERT("AA") },
	{ "a key within what has no end", "-----BEGIN CERTIFICATE-----\nAA\n" KEY("K"), "-----BEGIN CERTIFICATE-----\nAA\n# key\n" },
	{ "nothing", "", "" },
	{ "a key alone", KEY("SECRET"), "# key\n" },
};

static void
test_keys_are_not_shown(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(pems); i++) {
		struct buffer out = { 0 };

		tls_public_part(bytes_of(pems[i].file), &out);
		SAME(pems[i].why, buffer_bytes(&out), bytes_of(pems[i].shown));
		buffer_free(&out);
	}
}

static void
test_chains_end_where_a_key_begins(void **state)
{
	struct bytes rest = BYTES("# key\n" CERT("AA") CERT("BB") "# key\n# key\n" CERT("CC")), chain;

	(void)state;
	assert_true(tls_next_chain(&rest, &chain));
	SAME("the first", chain, BYTES(CERT("AA") CERT("BB")));
	assert_true(tls_next_chain(&rest, &chain));
	SAME("the second", chain, BYTES(CERT("CC")));
	HOLDS("no more", !tls_next_chain(&rest, &chain));
}

UNIT(test_protocols, test_ciphers, test_curves_and_options,
     test_processes_with_one_seed_agree, test_seeds_that_are_no_more,
     test_keys_are_not_shown, test_chains_end_where_a_key_begins)
