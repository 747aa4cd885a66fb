/*
 * estate-tls.c -- certificates and keys for the roles, and the seed of their session tickets (estate.h)
 *
 *     certificates/LISTENER  to receivers, logins and the guide: which chains it shows, a line each: USE TAB NAME TAB
 *                            file TAB file ..., the files by their paths
 *     certificate/PATH       to receivers, logins and the guide: the public part of that file
 *     authorities/PATH       the same of smtpd_tls_CAfile, of all files in smtpd_tls_CApath
 *     authorities/sender     to senders: of smtp_tls_CAfile, smtp_tls_CApath and the system
 *     authorities/sender/NAME  the same of one transport, where it has others
 *     anchors/PATH           to senders: certificates and public keys
 *     authorities/public     to senders: those and smtp_mta_sts_CAfile
 *     key/PATH               to the signer: the file
 *     client-certificate/PATH, client-key/PATH   to senders and the signer: the same of what is shown to hosts that ask
 *     ticket-key             to receivers and logins: TICKET_SEED bytes (channel/tickets.h)
 *     pass-key               to the clerk, and made into his own to each keeper: PASS_KEY bytes (role/pass.h)
 */
#include "role/estate_inner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/journal.h"
#include "base/map.h"
#include "base/random.h"
#include "channel/tickets.h"
#include "role/certifier.h"
#include "role/guide.h"
#include "role/listeners.h"
#include "role/pass.h"
#include "role/tables.h"
#include "role/tls-settings.h"
#include "role/transports.h"
#include "smtp/sender/settings.h"

enum { PATH_ROOM = 4096, AUTHORITIES_MOST = 4 << 20 };
#define FRONTS (FROM(RECEIVER) | FROM(LOGIN))
/* Who has a certificate to show; the guide has no part in tickets. */
#define SHOWERS (FRONTS | FROM(GUIDE))

static bool
is_held(const struct estate *e, const char *kind, const char *path)
{
	char name[PATH_ROOM + 16];

	(void)snprintf(name, sizeof name, "%s/%s", kind, path);
	return estate_find(e, name) != NULL;
}

static void
hold_as(struct opening *o, const char *kind, const char *path, const char *text, int fd,
        unsigned roles)
{
	char            name[PATH_ROOM + 16];
	struct holding *h;

	(void)snprintf(name, sizeof name, "%s/%s", kind, path);
	h = fd < 0 || estate_take_over(o, name, text, roles) == NULL
	            ? estate_hold(o, name, text, fd, roles)
	            : NULL;
	if (h == NULL)
		(void)close(fd);
}

static bool
cannot(struct opening *o, const char *what, const char *path)
{
	buffer_printf(o->errors, "%s %s: %s\n", what, path, strerror(errno));
	return false;
}

/* What may be shown of a file. */
static bool
hold_shown(struct opening *o, const char *path, const char *kind, unsigned roles)
{
	struct buffer whole = { 0 }, shown = { 0 };
	bool          good;

	if (is_held(o->estate, kind, path))
		return true;
	good = estate_read(path, &whole);
	if (good) {
		tls_public_part(buffer_bytes(&whole), &shown);
		buffer_add_char(&shown, '\0');
		hold_as(o, kind, path, shown.at, -1, roles);
	} else
		(void)cannot(o, "certificate", path);
	if (whole.len > 0)
		explicit_bzero(whole.at, whole.len);
	buffer_free(&whole);
	buffer_free(&shown);
	return good;
}

static bool
hold_public(struct opening *o, const char *path)
{
	return hold_shown(o, path, "certificate", SHOWERS);
}

static bool
hold_client_public(struct opening *o, const char *path)
{
	return hold_shown(o, path, "client-certificate", FROM(SENDER));
}

/* A key is opened here and read by the signer alone. */
static bool
hold_secret(struct opening *o, const char *path, const char *kind)
{
	struct stat st;
	char       *stamp;
	int         fd;

	if (is_held(o->estate, kind, path))
		return true;
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)) < 0 || fstat(fd, &st) < 0)
		return cannot(o, "private key", path);
	stamp = estate_stamp(&st);
	hold_as(o, kind, path, stamp, fd, FROM(SIGNER));
	memory_free(stamp);
	return true;
}

static bool
hold_key(struct opening *o, const char *path)
{
	return hold_secret(o, path, "key");
}

static bool
hold_client_key(struct opening *o, const char *path)
{
	return hold_secret(o, path, "client-key");
}

/* Calls hold_one for each of the paths between TABs. */
static bool
for_each_path(struct opening *o, const char *paths,
              bool (*hold_one)(struct opening *, const char *))
{
	struct bytes rest = bytes_of(paths), one;
	char         path[PATH_ROOM];

	while (bytes_split(&rest, '\t', &one)) {
		if (!bytes_string(one, path, sizeof path)) {
			errno = ENAMETOOLONG;
			return cannot(o, "file", paths);
		}
		if (!hold_one(o, path))
			return false;
	}
	return true;
}

/* All certificates of a directory, whatever their files are called. */
static bool
read_directory(struct opening *o, const char *path, struct buffer *out)
{
	DIR                 *d = opendir(path);
	const struct dirent *e;
	char                 file[PATH_ROOM + 260];

	if (d == NULL)
		return cannot(o, "smtpd_tls_CApath", path);
	while ((e = readdir(d)) != NULL && out->len < AUTHORITIES_MOST) {
		struct stat   st;
		struct buffer whole = { 0 };

		(void)snprintf(file, sizeof file, "%s/%s", path, e->d_name);
		if (stat(file, &st) == 0 && S_ISREG(st.st_mode) && estate_read(file, &whole))
			tls_public_part(buffer_bytes(&whole), out);
		buffer_free(&whole);
	}
	(void)closedir(d);
	return true;
}

static bool
hold_authorities(struct opening *o, const struct tls_rows *r)
{
	struct buffer text = { 0 };
	bool          good = true;

	if (!r->ask && !r->require)
		return true;
	if (*r->authorities != '\0' && !is_held(o->estate, "authorities", r->authorities)) {
		good = estate_read(r->authorities, &text) ||
		       cannot(o, "smtpd_tls_CAfile", r->authorities);
		buffer_add_char(&text, '\0');
		if (good)
			hold_as(o, "authorities", r->authorities, text.at, -1, FRONTS);
	}
	buffer_reset(&text);
	if (good && *r->authorities_path != '\0' &&
	    !is_held(o->estate, "authorities", r->authorities_path)) {
		good = read_directory(o, r->authorities_path, &text);
		buffer_add_char(&text, '\0');
		if (good)
			hold_as(o, "authorities", r->authorities_path, text.at, -1, FRONTS);
	}
	buffer_free(&text);
	return good;
}

static bool
open_listener_tls(struct opening *o, const char *listener, struct arena *a)
{
	static const char *const uses[] = {
		[CHAIN_ALL] = "all", [CHAIN_NAME] = "name", [CHAIN_MORE] = "more"
	};
	struct tls_chains chains;
	struct tls_rows   r;
	struct buffer     list = { 0 };
	bool good = settings_fill(o->settings, &tls_setting_table, listener, &r, o->errors) &&
	            tls_chains_of(o->settings, &r, a, &chains, o->errors);

	for (size_t i = 0; good && i < chains.count; i++) {
		const struct tls_chain *c = &chains.chain[i];

		good = for_each_path(o, c->files, hold_public) &&
		       for_each_path(o, c->keys, hold_key);
		buffer_printf(&list, "%s\t%s\t%s\n", uses[c->use], c->name, c->files);
	}
	good = good && hold_authorities(o, &r);
	buffer_add_char(&list, '\0');
	if (good && list.len > 1)
		hold_as(o, "certificates", listener, list.at, -1, SHOWERS);
	buffer_free(&list);
	return good;
}

/* As OpenSSL has them in a directory: 3bde41ac.0. */
static bool
is_hashed(const char *name)
{
	return strspn(name, "0123456789abcdef") == 8 && name[8] == '.' && name[9] != '\0' &&
	       name[9 + strspn(name + 9, "0123456789")] == '\0';
}

static bool
read_hashed(struct opening *o, const char *path, struct buffer *out)
{
	DIR                 *d = opendir(path);
	const struct dirent *e;
	char                 file[PATH_ROOM + 260];

	if (d == NULL)
		return cannot(o, "smtp_tls_CApath", path);
	while ((e = readdir(d)) != NULL && out->len < AUTHORITIES_MOST) {
		struct buffer whole = { 0 };

		(void)snprintf(file, sizeof file, "%s/%s", path, e->d_name);
		if (is_hashed(e->d_name) && estate_read(file, &whole))
			tls_public_part(buffer_bytes(&whole), out);
		buffer_free(&whole);
	}
	(void)closedir(d);
	return true;
}

static bool
read_authorities(struct opening *o, const char *setting, const char *path, struct buffer *out)
{
	struct buffer whole = { 0 };
	bool          good = estate_read(path, &whole);

	if (good)
		tls_public_part(buffer_bytes(&whole), out);
	buffer_free(&whole);
	return good || cannot(o, setting, path);
}

static bool
gather_authorities(struct opening *o, const struct sender_settings *r, struct buffer *text)
{
	bool good = true;

	if (*r->tls_authorities != '\0')
		good = read_authorities(o, "smtp_tls_CAfile", r->tls_authorities, text);
	if (good && *r->tls_authorities_path != '\0')
		good = read_hashed(o, r->tls_authorities_path, text);
	if (good && r->tls_default_authorities)
		good = read_authorities(o, "smtp_tls_CAfile", "/etc/ssl/certs/ca-certificates.crt",
		                        text);
	return good;
}

/* Whom one transport trusts, where that is not whom all do. */
static bool
hold_own_authorities(struct opening *o, const char *transport, const struct sender_settings *r)
{
	struct sender_settings all;
	struct buffer          text = { 0 };
	char                   name[TRANSPORT_NAME_MOST + 16];
	bool good = settings_fill(o->settings, &sender_setting_table, NULL, &all, o->errors);

	if (good && (strcmp(all.tls_authorities, r->tls_authorities) != 0 ||
	             strcmp(all.tls_authorities_path, r->tls_authorities_path) != 0 ||
	             all.tls_default_authorities != r->tls_default_authorities)) {
		good = gather_authorities(o, r, &text);
		buffer_add_char(&text, '\0');
		(void)snprintf(name, sizeof name, "sender/%s", transport);
		if (good)
			hold_as(o, "authorities", name, text.at, -1, FROM(SENDER));
	}
	buffer_free(&text);
	return good;
}

/* A private key is no anchor, and none of them is for senders. */
static bool
hold_anchors(struct opening *o, const struct setting_list *paths)
{
	for (size_t i = 0; i < paths->count; i++) {
		struct buffer text = { 0 };
		const char   *path = paths->item[i];
		bool          good = estate_read(path, &text);

		if (!good)
			(void)cannot(o, "smtp_tls_trust_anchor_file", path);
		if (good && bytes_search(buffer_bytes(&text), BYTES("PRIVATE KEY-----")) >= 0) {
			buffer_printf(
				o->errors,
				"smtp_tls_trust_anchor_file %s: there is a private key in it; write a file of certificates and public keys alone\n",
				path);
			explicit_bzero(text.at, text.len);
			good = false;
		}
		buffer_add_char(&text, '\0');
		if (good && !is_held(o->estate, "anchors", path))
			hold_as(o, "anchors", path, text.at, -1, FROM(SENDER));
		buffer_free(&text);
		if (!good)
			return false;
	}
	return true;
}

/* Whom senders trust. */
static bool
hold_sender_authorities(struct opening *o)
{
	struct sender_settings r;
	struct buffer          text = { 0 };
	size_t                 said = o->errors->len;
	bool good = settings_fill(o->settings, &sender_setting_table, NULL, &r, o->errors);

	good = good && gather_authorities(o, &r, &text);
	buffer_add_char(&text, '\0');
	if (good && text.len > 1)
		hold_as(o, "authorities", "sender", text.at, -1, FROM(SENDER));
	if (good && r.sts && *r.sts_authorities != '\0') {
		text.len = text.len > 0 ? text.len - 1 : 0;
		if (!read_authorities(o, "smtp_mta_sts_CAfile", r.sts_authorities, &text)) {
			warn_("smtp_mta_sts_CAfile = %s: %s: no policies of other domains are fetched",
			      r.sts_authorities, strerror(errno));
			o->errors->len = said;
		} else {
			buffer_add_char(&text, '\0');
			hold_as(o, "authorities", "public", text.at, -1, FROM(SENDER));
		}
	}
	buffer_free(&text);
	return good;
}

/* What senders show, by each transport's settings. */
static bool
hold_client_certificates(struct opening *o, struct arena *a)
{
	struct sender_settings r;
	struct tls_chains      chains;
	const char            *transport;
	size_t                 place = 0;
	bool                   good = true;

	while (good && (transport = transports_name(o->settings, false, &place)) != NULL) {
		good = transport_sends_by(o->settings, transport, &r, o->errors) &&
		       hold_own_authorities(o, transport, &r) && hold_anchors(o, &r.tls_anchors) &&
		       hold_anchors(o, &r.tls_policy_anchors);
		if (good)
			tls_client_chains(&r, a, &chains);
		for (size_t i = 0; good && i < chains.count; i++)
			good = for_each_path(o, chains.chain[i].files, hold_client_public) &&
			       for_each_path(o, chains.chain[i].keys, hold_client_key);
	}
	return good;
}

static bool
open_certificates(struct opening *o)
{
	struct arena    *a = arena_open(NULL);
	bool             good = true;
	struct listeners all;

	listeners_read(o->settings, &all);
	for (size_t l = 0; good && l < all.count; l++)
		good = open_listener_tls(o, all.one[l].name, a);
	if (good && guide_wanted(o->settings))
		good = open_listener_tls(o, GUIDE_LISTENER, a);
	good = good && hold_client_certificates(o, a) && hold_sender_authorities(o);
	arena_close(&a);
	return good;
}

/*
 * Tickets.  The seed is kept for the next start, so that clients go on with their sessions; it lets nobody read
 * what was before the period it is of.
 */

static void
seed_path(const struct common_settings *common, char path[static PATH_ROOM])
{
	(void)snprintf(path, PATH_ROOM, "%s/run/tickets", common->mail_directory);
}

/* Only what nobody else could have written or read. */
static bool
read_seed(const struct common_settings *common, char seed[static TICKET_SEED])
{
	char        path[PATH_ROOM];
	struct stat st;
	int         fd;
	bool        good;

	seed_path(common, path);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0)
		return false;
	good = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	       (st.st_mode & 077) == 0 && st.st_size == TICKET_SEED &&
	       read(fd, seed, TICKET_SEED) == TICKET_SEED;
	(void)close(fd);
	return good;
}

/* Not having it costs a handshake each, no more. */
static void
keep_seed(const struct common_settings *common, const char seed[static TICKET_SEED])
{
	char path[PATH_ROOM], draft[PATH_ROOM + 8];
	int  fd;

	seed_path(common, path);
	(void)snprintf(draft, sizeof draft, "%s.new", path);
	(void)unlink(draft);
	if ((fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0)
		return;
	if (write(fd, seed, TICKET_SEED) != TICKET_SEED || rename(draft, path) < 0)
		(void)unlink(draft);
	(void)close(fd);
}

static int
seed_descriptor(const char seed[static TICKET_SEED])
{
	int fd = memfd_create("ticket-key", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || write(fd, seed, TICKET_SEED) != TICKET_SEED ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return -1;
	return fd;
}

int
estate_pass_descriptor(const char key[static PASS_KEY])
{
	int fd = memfd_create("pass-key", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && write(fd, key, PASS_KEY) == PASS_KEY &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

static int64_t
ticket_period(struct settings *s)
{
	struct tls_rows r;
	struct buffer   unheard = { 0 };
	bool            good = settings_fill(s, &tls_setting_table, NULL, &r, &unheard);

	buffer_free(&unheard);
	return good ? r.ticket_ms / 1000 : 3600;
}

/* It is of the period before, so that who begins with it can read what was given out then. */
static bool
open_tickets(struct opening *o)
{
	char    seed[TICKET_SEED];
	int64_t period = ticket_period(o->settings), then = clock_wall() - period;
	int     fd;

	for (const struct holding *h = o->before == NULL ? NULL : o->before->first; h != NULL;
	     h = h->next)
		if (strcmp(h->name, "ticket-key") == 0) {
			(void)estate_take_over(o, h->name, h->text, FRONTS);
			return true;
		}
	if (!read_seed(o->common, seed) || tickets_period(seed) != period ||
	    !tickets_advance(seed, then))
		tickets_seed(seed, then, period);
	keep_seed(o->common, seed);
	fd = seed_descriptor(seed);
	explicit_bzero(seed, sizeof seed);
	if (fd < 0)
		return cannot(o, "memfd", "ticket-key");
	(void)estate_hold(o, "ticket-key", "", fd, FRONTS);
	return true;
}

const struct holding *
estate_renew_tickets(struct estate *e, const struct common_settings *common)
{
	char seed[TICKET_SEED], before[TICKET_SEED];
	int  fd = -1;

	for (struct holding *h = e->first; h != NULL; h = h->next) {
		if (strcmp(h->name, "ticket-key") != 0)
			continue;
		if (pread(h->fd, seed, sizeof seed, 0) == TICKET_SEED) {
			memcpy(before, seed, sizeof seed);
			if (tickets_advance(seed, clock_wall() - tickets_period(seed)) &&
			    memcmp(before, seed, sizeof seed) != 0)
				fd = seed_descriptor(seed);
			explicit_bzero(before, sizeof before);
		}
		if (fd >= 0) {
			keep_seed(common, seed);
			(void)close(h->fd);
			h->fd = fd;
		}
		explicit_bzero(seed, sizeof seed);
		return fd >= 0 ? h : NULL;
	}
	return NULL;
}

/* The clerk has it as it is, each keeper what is made of it for him (role/child.c); a new one with each start. */
static bool
open_passes(struct opening *o)
{
	char key[PASS_KEY];
	int  fd;

	if (estate_take_over(o, "pass-key", "", FROM(CLERK) | FROM(KEEPER)) != NULL)
		return true;
	random_fill(key, sizeof key);
	fd = estate_pass_descriptor(key);
	explicit_bzero(key, sizeof key);
	if (fd < 0)
		return cannot(o, "memfd", "pass-key");
	(void)estate_hold(o, "pass-key", "", fd, FROM(CLERK) | FROM(KEEPER));
	return true;
}

bool
estate_open_tls(struct opening *o)
{
	return open_certificates(o) && open_tickets(o) && open_passes(o);
}

/* The secret that an authority gave with tls_acme_account_id: the certifier has it in memory alone. */
static bool
hold_binding(struct opening *o, const struct certifier_settings *r)
{
	struct buffer text = { 0 }, secret = { 0 };
	bool          good = *r->account_key_file == '\0';

	if (!good && !estate_read(r->account_key_file, &text))
		(void)cannot(o, "tls_acme_account_key_file", r->account_key_file);
	else if (!good && !jose_secret(buffer_bytes(&text), &secret))
		buffer_printf(o->errors,
		              "tls_acme_account_key_file = %s: write the key alone, in base64url\n",
		              r->account_key_file);
	else if (!good) {
		good = true;
		buffer_add_char(&text, '\0');
		(void)estate_hold(o, "acme-binding", text.at, -1, FROM(CERTIFIER));
	}
	if (text.len > 0)
		explicit_bzero(text.at, text.len);
	if (secret.len > 0)
		explicit_bzero(secret.at, secret.len);
	buffer_free(&text);
	buffer_free(&secret);
	return good;
}

/* Whether the guide has this socket: what comes there for the certifier it hands on. */
static bool
guide_has(const struct opening *o, const char *address)
{
	for (const struct holding *h = o->estate->first; h != NULL; h = h->next)
		if (strcmp(h->name, "listener/guide-http") == 0 && strcmp(h->text, address) == 0)
			return true;
	return false;
}

static bool
certifier_has(struct settings *s, const char *address)
{
	struct certifier_settings r;
	struct buffer             unheard = { 0 };
	bool                      has = false;

	if (settings_fill(s, &certifier_setting_table, NULL, &r, &unheard) && r.names.count > 0 &&
	    r.challenge == CHALLENGE_TLS)
		for (size_t i = 0; i < r.tls_listen.count; i++)
			has = has || strcmp(r.tls_listen.item[i], address) == 0;
	buffer_free(&unheard);
	return has;
}

/* Where mail programs ask; somebody else may be there, and mail goes on. */
bool
estate_open_guide(struct opening *o)
{
	struct guide_settings r;

	if (!settings_fill(o->settings, &guide_setting_table, NULL, &r, o->errors))
		return false;
	for (size_t i = 0; r.is_on && i < r.http_listen.count; i++)
		(void)estate_open_listener(o, "listener/guide-http", r.http_listen.item[i],
		                           FROM(GUIDE), true);
	for (size_t i = 0; r.is_on && i < r.https_listen.count; i++)
		if (!certifier_has(o->settings, r.https_listen.item[i]))
			(void)estate_open_listener(o, "listener/guide-https",
			                           r.https_listen.item[i], FROM(GUIDE), true);
	return true;
}

/* Where an ACME server looks; somebody else may be there, and mail goes on. */
bool
estate_open_acme(struct opening *o)
{
	struct certifier_settings  r;
	const struct setting_list *where;
	struct buffer              text = { 0 };
	bool good = settings_fill(o->settings, &certifier_setting_table, NULL, &r, o->errors);

	if (!good || r.names.count == 0)
		return good;
	where = r.challenge == CHALLENGE_TLS ? &r.tls_listen : &r.http_listen;
	for (size_t i = 0; i < where->count; i++)
		if (!guide_has(o, where->item[i]))
			(void)estate_open_listener(o,
			                           r.challenge == CHALLENGE_TLS
			                                   ? "listener/acme-tls"
			                                   : "listener/acme-http",
			                           where->item[i], FROM(CERTIFIER), true);
	if (*r.authorities != '\0' &&
	    (good = read_authorities(o, "tls_acme_CAfile", r.authorities, &text))) {
		buffer_add_char(&text, '\0');
		(void)estate_hold(o, "acme-authorities", text.at, -1, FROM(CERTIFIER));
	}
	buffer_free(&text);
	return good && hold_binding(o, &r);
}

/*
 * What changes while the house lives
 */

static bool
is_of_tls(const struct holding *h)
{
	static const char *const kinds[] = { "certificate",         "key/",        "authorities/",
		                             "client-certificate/", "client-key/", "anchors/" };

	for (size_t i = 0; i < COUNT(kinds); i++)
		if (strncmp(h->name, kinds[i], strlen(kinds[i])) == 0)
			return true;
	return false;
}

static bool
has_text(const struct estate *e, const struct holding *h)
{
	const struct holding *other = estate_find(e, h->name);

	return other != NULL && strcmp(other->text, h->text) == 0;
}

static bool
all_in(const struct estate *these, const struct estate *those)
{
	for (const struct holding *h = these->first; h != NULL; h = h->next)
		if (is_of_tls(h) && !has_text(those, h))
			return false;
	return true;
}

/* The same words again and again help nobody. */
static void
warn_once(const struct buffer *errors)
{
	static uint64_t said;
	uint64_t        now = errors->len == 0 ? 0 : hash_of(buffer_bytes(errors));

	if (now != said && errors->len > 0)
		warn_("certificates stay as they were: %.*s", (int)errors->len - 1, errors->at);
	said = now;
}

bool
estate_tls_changed(const struct estate *e, const struct common_settings *common,
                   struct settings *settings)
{
	struct buffer  errors = { 0 };
	struct opening o = { memory_take(sizeof *o.estate), common, settings, NULL, &errors };
	bool changed = open_certificates(&o) && !(all_in(o.estate, e) && all_in(e, o.estate));

	warn_once(&errors);
	estate_close(&o.estate);
	buffer_free(&errors);
	return changed;
}

static void
tell_paths(const char *paths, void (*each)(void *ctx, const char *path), void *ctx)
{
	struct bytes rest = bytes_of(paths), one;
	char         path[PATH_ROOM];

	while (bytes_split(&rest, '\t', &one))
		if (bytes_string(one, path, sizeof path))
			each(ctx, path);
}

/* A directory is watched as that of a file in it. */
static void
tell_directories(const struct tls_rows *r, void (*each)(void *ctx, const char *path), void *ctx)
{
	char path[PATH_ROOM];

	for (size_t i = 0; i < r->directories.count; i++)
		if (snprintf(path, sizeof path, "%s/fullchain.pem", r->directories.item[i]) <
		    (int)sizeof path)
			each(ctx, path);
	if (*r->authorities != '\0')
		each(ctx, r->authorities);
	for (size_t i = 0; i < r->sni_maps.count; i++)
		if (strchr(r->sni_maps.item[i], '/') != NULL)
			each(ctx, strchr(r->sni_maps.item[i], '/'));
}

static void
tell_chains(const struct tls_chains *chains, void (*each)(void *ctx, const char *path), void *ctx)
{
	for (size_t i = 0; i < chains->count; i++) {
		tell_paths(chains->chain[i].files, each, ctx);
		tell_paths(chains->chain[i].keys, each, ctx);
	}
}

static void
tell_list(const struct setting_list *paths, void (*each)(void *ctx, const char *path), void *ctx)
{
	for (size_t i = 0; i < paths->count; i++)
		each(ctx, paths->item[i]);
}

static void
tell_client_chains(struct settings *s, struct arena *a, void (*each)(void *ctx, const char *path),
                   void *ctx)
{
	struct buffer          unheard = { 0 };
	struct sender_settings r;
	struct tls_chains      chains;
	const char            *transport;
	size_t                 place = 0;

	while ((transport = transports_name(s, false, &place)) != NULL)
		if (transport_sends_by(s, transport, &r, &unheard)) {
			tell_list(&r.tls_anchors, each, ctx);
			tell_list(&r.tls_policy_anchors, each, ctx);
			tls_client_chains(&r, a, &chains);
			tell_chains(&chains, each, ctx);
		}
	buffer_free(&unheard);
}

void
estate_tls_files(struct settings *s, void (*each)(void *ctx, const char *path), void *ctx)
{
	struct arena     *a = arena_open(NULL);
	struct buffer     unheard = { 0 };
	struct tls_chains chains;
	struct tls_rows   r;
	struct listeners  all;
	char              ours[PATH_ROOM];

	listeners_read(s, &all);
	for (size_t l = 0; l < all.count; l++) {
		if (!settings_fill(s, &tls_setting_table, all.one[l].name, &r, &unheard))
			continue;
		tell_directories(&r, each, ctx);
		if (tls_chains_of(s, &r, a, &chains, &unheard))
			tell_chains(&chains, each, ctx);
	}
	tell_client_chains(s, a, each, ctx);
	if (certifier_path(s, ours, sizeof ours))
		each(ctx, ours);
	buffer_free(&unheard);
	arena_close(&a);
}
