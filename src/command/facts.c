#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "command/records.h"
#include "command/talk.h"
#include "dns/hostname.h"
#include "message/domain.h"
#include "role/guide.h"
#include "role/tables.h"
#include "role/tls-settings.h"
#include "smtp/sender/settings.h"

/*
 * Addresses
 */

bool
peer_parse(struct bytes text, struct peer *out)
{
	struct sockaddr_storage at = { 0 };
	struct sockaddr_in     *v4 = (struct sockaddr_in *)&at;
	struct sockaddr_in6    *v6 = (struct sockaddr_in6 *)&at;
	char                    plain[64];

	if (text.len > 2 && text.at[0] == '[' && text.at[text.len - 1] == ']')
		text = bytes_cut(text, 1, text.len - 2);
	if (!bytes_string(text, plain, sizeof plain))
		return false;
	if (inet_pton(AF_INET, plain, &v4->sin_addr) == 1)
		at.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, plain, &v6->sin6_addr) == 1)
		at.ss_family = AF_INET6;
	else
		return false;
	return peer_from(&at, out);
}

bool
peer_same(const struct peer *a, const struct peer *b)
{
	return a->family == b->family && memcmp(a->raw, b->raw, sizeof a->raw) == 0;
}

/* What nobody outside reaches: this machine, this link, this house (rfc1918, rfc6598, rfc4193, rfc3927). */
bool
peer_private(const struct peer *p)
{
	static const char *const networks[] = {
		"0.0.0.0/8",      "10.0.0.0/8",    "100.64.0.0/10",  "127.0.0.0/8",
		"169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3",
		"[::]/127",       "[fc00::]/7",    "[fe80::]/10",    "[ff00::]/8",
	};

	for (size_t i = 0; i < COUNT(networks); i++) {
		struct network n;
		const char    *wrong;

		if (network_parse(bytes_of(networks[i]), &n, &wrong) && network_holds(&n, p))
			return true;
	}
	return false;
}

static void
add_peer(struct peer *list, size_t *count, const struct peer *p)
{
	for (size_t i = 0; i < *count; i++)
		if (peer_same(&list[i], p))
			return;
	if (*count < ADDRESSES_MOST)
		list[(*count)++] = *p;
}

static void note_line(struct facts *f, const char *form, ...) __attribute__((format(printf, 2, 3)));

static void
note_line(struct facts *f, const char *form, ...)
{
	va_list list;

	va_start(list, form);
	buffer_vprintf(&f->notes, form, list);
	va_end(list);
	buffer_add_char(&f->notes, '\n');
}

static void
take_address(struct facts *f, const struct peer *p)
{
	if (peer_private(p))
		f->is_private = true;
	else
		add_peer(f->address, &f->addresses, p);
}

static void
take_interfaces(struct facts *f, const char *name)
{
	struct ifaddrs *all = NULL;
	struct peer     p;

	if (getifaddrs(&all) != 0)
		return;
	for (struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
		struct sockaddr_storage at = { 0 };

		if (i->ifa_addr == NULL || (name != NULL && strcmp(i->ifa_name, name) != 0) ||
		    (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
			continue;
		memcpy(&at, i->ifa_addr,
		       i->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in)
		                                         : sizeof(struct sockaddr_in6));
		if (peer_from(&at, &p))
			take_address(f, &p);
	}
	freeifaddrs(all);
}

static bool
speaks(const struct facts *f, int family)
{
	const struct setting_list *l = &f->common.inet_protocols;

	for (size_t i = 0; i < l->count; i++)
		if (bytes_is(bytes_of(l->item[i]), "all") ||
		    bytes_is(bytes_of(l->item[i]), family == AF_INET ? "ipv4" : "ipv6"))
			return true;
	return false;
}

/* Behind a translation of addresses the machine does not know what the world sees: proxy_interfaces says it. */
static void
take_interfaces_said(struct facts *f, const struct setting_list *proxies)
{
	size_t kept = 0;

	for (size_t i = 0; i < proxies->count; i++) {
		struct peer p;
		if (peer_parse(bytes_of(proxies->item[i]), &p))
			add_peer(f->address, &f->addresses, &p);
	}
	for (size_t i = 0; f->addresses == 0 && i < f->common.inet_interfaces.count; i++) {
		const char *word = f->common.inet_interfaces.item[i];
		struct peer p;

		if (strcmp(word, "all") == 0)
			take_interfaces(f, NULL);
		else if (strcmp(word, "loopback-only") == 0)
			f->is_private = true;
		else if (peer_parse(bytes_of(word), &p))
			take_address(f, &p);
		else if (if_nametoindex(word) != 0)
			take_interfaces(f, word);
		if (f->addresses > 0 && strcmp(word, "all") == 0)
			break;
	}
	for (size_t i = 0; i < f->addresses; i++)
		if (speaks(f, f->address[i].family))
			f->address[kept++] = f->address[i];
	f->addresses = kept;
}

static bool
take_said(struct facts *f, const char *text)
{
	struct bytes rest = bytes_of(text), one;
	struct peer  p;

	while (bytes_split(&rest, ',', &one)) {
		if (!peer_parse(bytes_trim(one), &p)) {
			(void)fprintf(stderr,
			              "mansio: %.*s is no address, as 192.0.2.1 or 2001:db8::1\n",
			              (int)one.len, one.at);
			return false;
		}
		add_peer(f->address, &f->addresses, &p);
	}
	return true;
}

static bool
take_addresses(struct facts *f, const struct sender_settings *sender, const char *said)
{
	const char *const bind[] = { sender->bind_address, sender->bind_address6 };
	struct peer       p;

	if (said != NULL && !take_said(f, said))
		return false;
	if (said == NULL)
		take_interfaces_said(f, &sender->own_more);
	for (size_t i = 0; i < f->addresses; i++)
		add_peer(f->from, &f->froms, &f->address[i]);
	for (size_t i = 0; i < COUNT(bind); i++)
		if (*bind[i] != '\0' && peer_parse(bytes_of(bind[i]), &p) && !peer_private(&p))
			add_peer(f->from, &f->froms, &p);
	if (f->addresses == 0)
		note_line(
			f,
			"The address the world sees is not known: %s. Write proxy_interfaces = ADDRESS "
			"into main.cf, or say --address.",
			f->is_private ? "this machine has only private ones"
				      : "inet_interfaces has none");
	return true;
}

/*
 * Certificates
 */

static struct bytes
kept_der(struct facts *f, unsigned char *der, int n)
{
	struct bytes kept = { NULL, 0 };

	if (n > 0)
		kept = arena_keep(f->life, (struct bytes){ (const char *)der, (size_t)n });
	OPENSSL_free(der);
	return kept;
}

static void
take_certificate(struct facts *f, X509 *x, bool is_leaf)
{
	unsigned char     *der = NULL, *key = NULL;
	struct certificate c = { .is_leaf = is_leaf };
	int                n = i2d_X509(x, &der);

	c.whole = kept_der(f, der, n);
	n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &key);
	c.key = kept_der(f, key, n);
	if (c.whole.len > 0 && c.key.len > 0 && f->certificates < CERTIFICATES_MOST)
		f->certificate[f->certificates++] = c;
}

/* Whether the chain is one a server shows that asks for our host; any would do for a name we do not know. */
static void
take_chain(struct facts *f, const char *path, bool all)
{
	BIO  *bio = access(path, R_OK) == 0 ? BIO_new_file(path, "r") : NULL;
	X509 *x;

	if (bio == NULL) {
		f->unread = true;
		note_line(f,
		          "%s cannot be read, so its TLSA record is not known: call this as root.",
		          path);
		return;
	}
	for (bool first = true; (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL;
	     X509_free(x)) {
		if (first && !all && X509_check_host(x, f->host, strlen(f->host), 0, NULL) != 1) {
			X509_free(x);
			break;
		}
		take_certificate(f, x, first);
		first = false;
	}
	BIO_free(bio);
	ERR_clear_error();
}

static void
take_certificates(struct facts *f)
{
	struct tls_chains chains = { NULL, 0 };
	struct tls_rows   rows;
	struct buffer     errors = { 0 };

	if (!settings_fill(f->settings, &tls_setting_table, listener_names[LISTEN_SMTP], &rows,
	                   &errors) ||
	    !tls_chains_of(f->settings, &rows, f->life, &chains, &errors)) {
		note_line(f, "The certificates are not known: %.*s",
		          errors.len > 0 ? (int)errors.len - 1 : 0,
		          errors.len > 0 ? errors.at : "");
		f->unread = true;
	}
	for (size_t i = 0; i < chains.count; i++) {
		struct bytes rest = bytes_of(chains.chain[i].files), file;
		char         path[4096];

		while (bytes_split(&rest, '\t', &file))
			if (bytes_string(file, path, sizeof path))
				take_chain(f, path, chains.chain[i].use == CHAIN_ALL);
	}
	buffer_free(&errors);
}

/*
 * Readers
 */

static void
take_services(struct facts *f)
{
	char host[256];

	for (size_t i = 0; i < LISTEN_SERVICES; i++) {
		const struct setting_list *l = &f->common.listen[i];
		int                        port = 0;

		if (!house_speaks(&f->common, (enum listener_service)i))
			continue;
		for (size_t n = 0; n < l->count && port == 0; n++)
			if (strncmp(l->item[n], "unix:", 5) != 0)
				(void)talk_target(l->item[n], host, &port);
		f->service[i] = (struct place){ (unsigned)port, port != 0 };
	}
}

/* Where a web server is before us the ports are its own. */
static void
take_guide(struct facts *f)
{
	struct guide_settings r;
	struct buffer         errors = { 0 };

	f->guides = settings_fill(f->settings, &guide_setting_table, NULL, &r, &errors) && r.is_on;
	f->guides_by_tls = f->guides && r.https_listen.count > 0;
	buffer_free(&errors);
}

struct facts *
facts_read(struct call *c, const char *domain, const char *host, const char *addresses)
{
	struct facts          *f = memory_take(sizeof *f);
	struct sender_settings sender;
	struct buffer          errors = { 0 };
	struct bytes           name = { NULL, 0 }, own = { NULL, 0 };
	bool                   good;

	f->life = arena_open(NULL);
	f->settings = command_settings(c, &f->common);
	good = f->settings != NULL &&
	       settings_fill(f->settings, &sender_setting_table, NULL, &sender, &errors);
	command_print(buffer_bytes(&errors), stderr);
	buffer_free(&errors);
	if (good &&
	    (!domain_canonical(bytes_of(domain), f->life, &name) || !hostname_valid(name))) {
		(void)fprintf(stderr, "mansio: \"%s\" is no domain, as example.org\n", domain);
		good = false;
	}
	if (good && (!domain_canonical(bytes_of(host != NULL ? host : f->common.myhostname),
	                               f->life, &own) ||
	             !hostname_valid(own) || bytes_find(own, '.') < 0)) {
		(void)fprintf(stderr,
		              "mansio: \"%s\" is no name the world can know this host by; set "
		              "myhostname to one with a domain, as mail.example.org\n",
		              host != NULL ? host : f->common.myhostname);
		good = false;
	}
	if (good) {
		f->domain = arena_copy(f->life, name);
		f->shown = arena_copy(f->life, domain_unicode(name, f->life));
		f->host = arena_copy(f->life, own);
		f->relayhost = settings_value(f->settings, "relayhost");
		f->relayhost =
			f->relayhost == NULL ? "" : arena_copy(f->life, bytes_of(f->relayhost));
		good = take_addresses(f, &sender, addresses);
	}
	if (!good) {
		facts_close(&f);
		return NULL;
	}
	take_certificates(f);
	take_services(f);
	take_guide(f);
	return f;
}

void
facts_close(struct facts **fp)
{
	struct facts *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	settings_close(&f->settings);
	buffer_free(&f->notes);
	arena_close(&f->life);
	memory_free(f);
}
