/* GENURLAUTH, RESETKEY: URLs that others may read by (rfc4467:7) */
#include "access/imap/urlauth.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "access/imap/reach.h"
#include "access/imap/service.h"
#include "access/imap/write.h"
#include "base/clock.h"
#include "message/casefold.h"
#include "message/date.h"

enum { URLS_MOST = 256, MAC_LEN = 32, TOKEN_LEN = 2 + 2 * MAC_LEN };
#define TOKEN_WAY "01"

/* ---- tokens ------------------------------------------------------------------ */

const char *
urlauth_address(struct arena *arena, struct bytes userid, const char *beside)
{
	const char  *domain = strrchr(beside, '@');
	struct bytes lower = casefold(arena, userid);

	if (bytes_find(lower, '@') >= 0 || domain == NULL)
		return arena_copy(arena, lower);
	return arena_printf(arena, "%.*s%s", (int)lower.len, lower.at, domain);
}

/* hostport = host [":" port]: names of ours, and names below them (rfc5092:11, rfc4467:6). */
bool
urlauth_is_ours(const struct setting_list *ours, const struct imap_url *url)
{
	struct bytes host = url->server;
	ptrdiff_t    port = bytes_find_last(host, ':');

	if (host.len == 0 || ours->count == 0)
		return true;
	if (port >= 0 && bytes_find(host, ']') < port)
		host = bytes_cut(host, 0, (size_t)port);
	for (size_t i = 0; i < ours->count; i++) {
		struct bytes one = bytes_of(ours->item[i]), end;
		if (one.len == 0 || host.len < one.len)
			continue;
		end = bytes_cut(host, host.len - one.len, SIZE_MAX);
		if (bytes_is(end, ours->item[i]) &&
		    (host.len == one.len || host.at[host.len - one.len - 1] == '.'))
			return true;
	}
	return false;
}

/* What is signed has the version before it, so that another way of signing is another token. */
static bool
make_token(const struct imap_url *url, const unsigned char key[static URLKEY_LEN],
           char out[static TOKEN_LEN])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char     mac[MAC_LEN];
	unsigned          len = sizeof mac;

	if (HMAC(EVP_sha256(), key, URLKEY_LEN, (const unsigned char *)url->rump.at, url->rump.len,
	         mac, &len) == NULL)
		return false;
	memcpy(out, TOKEN_WAY, 2);
	for (size_t i = 0; i < MAC_LEN; i++) {
		out[2 + 2 * i] = digits[mac[i] >> 4];
		out[3 + 2 * i] = digits[mac[i] & 15];
	}
	return true;
}

void
urlauth_sign(struct buffer *out, const struct imap_url *url,
             const unsigned char key[static URLKEY_LEN])
{
	char token[TOKEN_LEN];

	if (!make_token(url, key, token))
		return;
	buffer_add_string(out, ":internal:");
	buffer_add(out, (struct bytes){ token, sizeof token });
}

bool
urlauth_holds(const struct imap_url *url, const unsigned char key[static URLKEY_LEN])
{
	char token[TOKEN_LEN];

	return make_token(url, key, token) &&
	       bytes_equal_secret((struct bytes){ token, sizeof token }, url->token);
}

/* ---- access = ("submit+" enc-user) / ("user+" enc-user) / "authuser" / "anonymous"   rfc4467:9 ---- */

enum access_kind { ACCESS_UNKNOWN, ACCESS_SUBMIT, ACCESS_USER, ACCESS_AUTHUSER, ACCESS_ANONYMOUS };

static enum access_kind
access_of(const struct imap_url *url, struct bytes *user)
{
	static const struct {
		const char      *word;
		enum access_kind kind;
		bool             named;
	} known[] = {
		{ "submit+", ACCESS_SUBMIT, true },
		{ "user+", ACCESS_USER, true },
		{ "authuser", ACCESS_AUTHUSER, false },
		{ "anonymous", ACCESS_ANONYMOUS, false },
	};

	for (size_t i = 0; i < COUNT(known); i++) {
		struct bytes word = bytes_of(known[i].word);
		if (!bytes_starts_nocase(url->access, word))
			continue;
		*user = bytes_cut(url->access, word.len, SIZE_MAX);
		return known[i].named == (user->len > 0) ? known[i].kind : ACCESS_UNKNOWN;
	}
	return ACCESS_UNKNOWN;
}

static bool
is_over(const struct imap_url *url)
{
	int64_t until;
	int32_t zone;

	return url->expire.len > 0 &&
	       (!date_parse(url->expire, &until, &zone) || until <= clock_wall());
}

/* Every session here is somebody's: "authuser" and "anonymous" are the same to us.  For whom a submission
   server asks is its own affair (rfc4467:3). */
bool
urlauth_admits(struct imap *s, const struct imap_url *url, const char *owner)
{
	const char  *submitter = imap_config_of(s)->rows.submit_user;
	struct bytes user;

	if (is_over(url))
		return false;
	switch (access_of(url, &user)) {
	case ACCESS_SUBMIT:
		return submitter[0] != '\0' && bytes_is(bytes_of(submitter), s->facts.user);
	case ACCESS_USER:
		return bytes_is(bytes_of(s->facts.user), urlauth_address(s->scratch, user, owner));
	case ACCESS_AUTHUSER:
	case ACCESS_ANONYMOUS: return true;
	case ACCESS_UNKNOWN: break;
	}
	return false;
}

/* "user+" is for IMAP sessions of that user alone (rfc4467:3). */
bool
urlauth_submits(const struct imap_url *url, const char *owner, const char *user,
                struct arena *scratch)
{
	struct bytes whose;

	if (is_over(url))
		return false;
	switch (access_of(url, &whose)) {
	case ACCESS_SUBMIT:
		return bytes_equal_nocase(bytes_of(user),
		                          bytes_of(urlauth_address(scratch, whose, owner)));
	case ACCESS_AUTHUSER:
	case ACCESS_ANONYMOUS: return true;
	case ACCESS_USER:
	case ACCESS_UNKNOWN: break;
	}
	return false;
}

/* ---- GENURLAUTH ------------------------------------------------------------------ */

struct generate_work {
	struct {
		struct bytes    text;
		struct imap_url url;
		unsigned char   key[URLKEY_LEN];
	} * one;
	size_t      count;
	const char *wrong;   /* why it cannot be signed, NULL: it can           */
	bool        unknown; /* a mechanism we do not have                      */
};

/* genurlauth = "GENURLAUTH" 1*(SP url-rump SP mechanism)   rfc4467:9 */
static void
generate_parse(struct imap *s, struct scan *r)
{
	struct generate_work *w = s->work = arena_take(s->scratch, sizeof *w);

	w->one = arena_take_array(s->scratch, URLS_MOST, sizeof *w->one);
	do {
		read_space(r);
		if (w->count == URLS_MOST) {
			scan_fail(r, "fewer URLs");
			return;
		}
		w->one[w->count++].text = read_astring(r, s->scratch);
		read_space(r);
		w->unknown |= !bytes_is(read_atom(r), "INTERNAL");
	} while (scan_ok(r) && scan_next_is(r, ' '));
}

/* rfc4467:7: an existing mailbox, an owner, who is the one who asks, and an access identifier; and one message
   (rfc4467:3).  NULL: it may be signed. */
static const char *
cannot_sign(struct imap *s, struct bytes text, struct imap_url *url)
{
	struct bytes user;
	int64_t      until;
	int32_t      zone;

	if (!url_read(text, s->scratch, url) || url->server.len == 0)
		return "Malformed URL.";
	if (!urlauth_is_ours(&imap_config_of(s)->rows.url_hosts, url))
		return "The URL names another server.";
	if (url->access.len == 0)
		return "Missing access identifier in supplied URL.";
	if (url->token.len > 0 || url->mechanism.len > 0)
		return "The URL is signed already.";
	if (url->user.len == 0)
		return "Missing owner username in supplied URL.";
	if (!bytes_is(bytes_of(s->facts.user),
	              urlauth_address(s->scratch, url->user, s->facts.user)))
		return "The owner of the URL is somebody else.";
	if (access_of(url, &user) == ACCESS_UNKNOWN)
		return "Unknown access identifier in supplied URL.";
	if (url->expire.len > 0 && !date_parse(url->expire, &until, &zone))
		return "Malformed time of expiry.";
	return url->mailbox.len == 0 || url->uid == 0 ? "The URL names no message." : NULL;
}

static enum imap_step
generate_run(struct imap *s)
{
	struct generate_work *w = s->work;

	if (w->unknown)
		return imap_no(s, "[CANNOT] Only the mechanism INTERNAL is known.");
	for (size_t i = 0; i < w->count; i++) {
		struct imap_url *url = &w->one[i].url;
		const char      *wrong = cannot_sign(s, w->one[i].text, url), *name;
		struct mailbox  *m;
		int              why = 0;

		if (wrong != NULL)
			return imap_bad(s, "%s", wrong);
		name = mailbox_name_of(url->mailbox, s->scratch, true);
		m = name == NULL ? NULL : reach_take(s, name, RIGHT_READ, &why);
		if (m == NULL)
			return imap_bad(s, "The URL names no mailbox that can be read.");
		why = urlkey_read(s->account, m, w->one[i].key);
		if (why == ENOENT)
			why = urlkey_make(s->account, m, w->one[i].key);
		mailbox_drop(&m);
		if (why != 0)
			return imap_no_errno(s, why);
	}
	return STEP_BARRIER;
}

/* genurlauth-data = "*" SP "GENURLAUTH" 1*(SP url-full) */
static void
generate_safe(struct imap *s)
{
	struct generate_work *w = s->work;
	struct buffer         full = { 0 };

	buffer_add_string(imap_out(s), "* GENURLAUTH");
	for (size_t i = 0; i < w->count; i++) {
		buffer_reset(&full);
		buffer_add(&full, w->one[i].text);
		urlauth_sign(&full, &w->one[i].url, w->one[i].key);
		buffer_add_char(imap_out(s), ' ');
		write_string(imap_out(s), buffer_bytes(&full));
	}
	buffer_add_string(imap_out(s), "\r\n");
	buffer_free(&full);
	(void)imap_ok(s, "Genurlauth completed.");
}

const struct imap_command imap_genurlauth = {
	.name = "GENURLAUTH",
	.rfc = "rfc4467:7",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE,
	.parse = generate_parse,
	.run = generate_run,
	.safe = generate_safe,
};

/* ---- RESETKEY ------------------------------------------------------------------------ */

struct reset_work {
	const char *name; /* NULL: all of them                          */
	bool        unknown;
	uint64_t    mailbox, owner;
};

/* resetkey = "RESETKEY" [SP mailbox *(SP mechanism)]   rfc4467:9 */
static void
reset_parse(struct imap *s, struct scan *r)
{
	struct reset_work *w = s->work = arena_take(s->scratch, sizeof *w);

	if (!scan_skip(r, ' '))
		return;
	w->name = imap_read_mailbox(s, r);
	while (scan_ok(r) && scan_skip(r, ' '))
		w->unknown |= !bytes_is(read_atom(r), "INTERNAL");
}

static enum imap_step
reset_run(struct imap *s)
{
	struct reset_work *w = s->work;
	unsigned char      key[URLKEY_LEN];
	struct mailbox    *m;
	int                why = 0;

	if (w->unknown)
		return imap_no(s, "[CANNOT] Only the mechanism INTERNAL is known.");
	if (w->name == NULL) {
		why = urlkey_forget(s->account);
		return why == 0 ? STEP_BARRIER : imap_no_errno(s, why);
	}
	m = reach_take(s, w->name, RIGHT_READ, &why);
	if (m == NULL)
		return imap_no_errno(s, why);
	w->mailbox = mailbox_id(m);
	w->owner = account_id(mailbox_account(m));
	why = urlkey_make(s->account, m, key);
	mailbox_drop(&m);
	return why == 0 ? STEP_BARRIER : imap_no_errno(s, why);
}

/* The user's other sessions that have the mailbox selected hear of it (rfc4467:7). */
static void
tell_others(struct imap *s, const struct reset_work *w)
{
	for (struct guest *g = s->service->guests.first; g != NULL; g = g->next) {
		struct imap          *o = g->session;
		const struct mailbox *m = o->view != NULL ? o->view->mailbox : NULL;
		if (o == s || o->facts.account != s->facts.account || m == NULL ||
		    (w->name != NULL &&
		     (mailbox_id(m) != w->mailbox || account_id(mailbox_account(m)) != w->owner)))
			continue;
		o->rekeyed = true;
		if (o->command != NULL && (o->command->effect & PATIENT))
			imap_wake(o);
	}
}

static void
reset_safe(struct imap *s)
{
	const struct reset_work *w = s->work;

	tell_others(s, w);
	if (w->name == NULL)
		(void)imap_ok(s, "All keys removed.");
	else if (s->facts.tls)
		(void)imap_ok(s, "[" URLMECH "] Key made anew.");
	else
		(void)imap_ok(s, "Key made anew.");
}

const struct imap_command imap_resetkey = {
	.name = "RESETKEY",
	.rfc = "rfc4467:7",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE,
	.parse = reset_parse,
	.run = reset_run,
	.safe = reset_safe,
};
