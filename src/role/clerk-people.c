/*
 * clerk-people -- limits, places and groups: `mansio account|domain set ... --quota-* --mail-location`,
 * `mansio group ...`, and what keepers are told of them: all when they come, and each change
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/variable.h"
#include "role/clerk.h"
#include "role/owner.h"
#include "store/location.h"

/* ---- telling keepers ---- */

/* To one keeper, or to all of them. */
struct telling_people {
	struct house    *house;
	uint32_t         index;
	bool             all;
	struct group_row group; /* the last row's, to know where the next group begins */
	struct buffer    body;
};

/* What holds for a domain concerns owners of mailboxes, too. */
static void
tell(struct telling_people *t, bool owners, enum word word)
{
	uint32_t     n = house_peers(t->house, KEEPER), index;
	size_t       place = 0;
	struct link *l;

	while (owners && house_user_keeper_next(t->house, &place, &index))
		if (is_owner_index(index) && (t->all || index == t->index) &&
		    (l = house_link(t->house, KEEPER, index)) != NULL)
			link_say(l, word, 0, buffer_bytes(&t->body), -1);

	for (uint32_t i = 0; i < n; i++) {
		l = house_link(t->house, KEEPER, i);
		if (l != NULL && (t->all || i == t->index))
			link_say(l, word, 0, buffer_bytes(&t->body), -1);
	}
	buffer_reset(&t->body);
}

/* An operating-system user's keeper hears of nobody else. */
static void
tell_user(struct telling_people *t, enum word word, uint32_t keeper)
{
	struct link *l = house_link(t->house, KEEPER, keeper);

	if (l != NULL && (t->all || keeper == t->index))
		link_say(l, word, 0, buffer_bytes(&t->body), -1);
	buffer_reset(&t->body);
}

static void
tell_limits(void *ctx, const struct limits_row *r)
{
	struct telling_people *t = ctx;

	pack_u64(&t->body, r->account);
	pack_string(&t->body, r->name);
	pack_i64(&t->body, r->bytes);
	pack_i64(&t->body, r->messages);
	pack_string(&t->body, r->location);
	if (r->account != 0 && (house_keeper_of(t->house, r->account) & KEEPER_OF_USER) != 0)
		tell_user(t, WORD_LIMITS, house_keeper_of(t->house, r->account));
	else if (r->account == 0 && *r->name == '\0' && !t->all)
		tell_user(t, WORD_LIMITS, t->index);
	else
		tell(t, r->account == 0, WORD_LIMITS);
}

/* Rows of one group follow each other: one word for each member; the first forgets who was there before. */
static void
tell_group(void *ctx, const struct group_row *r)
{
	struct telling_people *t = ctx;

	pack_u64(&t->body, r->account);
	pack_string(&t->body, r->address);
	pack_bool(&t->body, r->account != t->group.account);
	pack_string(&t->body, r->member);
	t->group.account = r->account;
	tell(t, true, WORD_GROUP);
}

static void
tell_system(void *ctx, const struct system_row *r)
{
	struct telling_people *t = ctx;
	struct clerk          *c = t->house->mine;
	struct arena          *a = arena_open(NULL);
	uint64_t               account = DIRECTORY_SYSTEM_ACCOUNT(r->uid);

	/* Somebody else has the uid now; nothing is told of who has none of his own. */
	if (t->all || (r->gone == 0 && (r->bytes >= 0 || r->messages >= 0) &&
	               house_keeper_of(t->house, account) == t->index))
		tell_limits(t, &(struct limits_row){
				       .account = account,
				       .name = arena_printf(a, "%s@%s", r->name, c->origin),
				       .bytes = r->bytes,
				       .messages = r->messages,
				       .location = "" });
	arena_close(&a);
}

struct telling_bound {
	struct telling_people *all;
	uint64_t               account;
};

static void
tell_bound(void *ctx, const struct limits_row *r)
{
	const struct telling_bound *b = ctx;

	if (r->account == b->account)
		tell_limits(b->all, r);
}

/* Where nothing is said of the user himself, what is said of an account that is bound to him holds. */
void
clerk_tell_system(struct house *h, const struct system_row *r)
{
	struct telling_people t = { .house = h, .all = true };
	struct telling_bound  b = { &t, DIRECTORY_SYSTEM_ACCOUNT(r->uid) };
	struct bytes          none = { NULL, 0 };

	tell_system(&t, r);
	if (r->bytes < 0 && r->messages < 0)
		(void)directory_limits_each(((struct clerk *)h->mine)->directory, none, tell_bound,
		                            &b);
	buffer_free(&t.body);
}

/* What a keeper that comes must know. */
void
clerk_tell_people(struct house *h, uint32_t keeper)
{
	struct telling_people t = { .house = h, .index = keeper };
	struct directory     *d = ((struct clerk *)h->mine)->directory;
	struct bytes          none = { NULL, 0 };

	(void)directory_limits_each(d, none, tell_limits, &t);
	(void)directory_system_each(d, tell_system, &t);
	tell_limits(&t, &(struct limits_row){ .name = "", .location = "" });
	(void)directory_group_each(d, none, tell_group, &t);
	buffer_free(&t.body);
}

void
clerk_say_gone(struct link *l, const struct gone_row *r)
{
	struct buffer *b = link_begin(l, WORD_ACCOUNT_GONE, 0);

	pack_u64(b, r->id);
	pack_string(b, r->address);
	pack_i64(b, r->at);
	link_end(l);
}

/* Another keeper has the account now. */
void
clerk_tell_limits(struct house *h, struct bytes address)
{
	struct telling_people t = { .house = h, .all = true };

	(void)directory_limits_each(((struct clerk *)h->mine)->directory, address, tell_limits, &t);
	buffer_free(&t.body);
}

/* ---- limits ---- */

/* 1G, 500M, a number; none: no limit; default: as the domain, or main.cf, says. */
bool
clerk_limit_read(struct bytes text, int64_t *out)
{
	static const char units[] = "KMGT";
	uint64_t          n, times = 1;
	const char       *unit;

	if (bytes_is(text, "none") || bytes_is(text, "default")) {
		*out = bytes_is(text, "none") ? 0 : -1;
		return true;
	}
	if (text.len > 1 && (unit = strchr(units, text.at[text.len - 1] & ~0x20)) != NULL &&
	    *unit != '\0') {
		times = (uint64_t)1 << (10 * (unit - units + 1));
		text.len--;
	}
	if (!bytes_number(text, &n) || n > INT64_MAX / times)
		return false;
	*out = (int64_t)(n * times);
	return true;
}

/* Below a directory that this location of main.cf leads to. */
static bool
leads_to(const char *location, const char *home, struct bytes path)
{
	struct buffer own = { 0 };
	bool          does = false;

	for (unsigned i = 0; !does && location_prefix(location, home, i, &own); i++) {
		does = path_is_within(path, buffer_bytes(&own));
		buffer_reset(&own);
	}
	buffer_free(&own);
	return does;
}

/* The keepers' cage has this directory, or one above it (confine.c). */
static bool
is_reachable(const struct common_settings *common, struct bytes path)
{
	bool is = leads_to(common->mail_location, common->mail_home, path) ||
	          (*common->virtual_mailbox_base != '\0' &&
	           path_is_within(path, bytes_of(common->virtual_mailbox_base)));

	for (size_t i = 0; !is && i < common->mail_location_directories.count; i++)
		is = path_is_within(path, bytes_of(common->mail_location_directories.item[i]));
	return is;
}

/* What is wrong with it, as a sentence; NULL: nothing, *out is what the directory keeps. */
static const char *
location_wrong(struct house *h, const char *text, struct arena *a, const char **out)
{
	struct common_settings common;
	struct buffer          path = { 0 };
	const char            *wrong;

	text = variable_shorten(text, a);
	*out = strcmp(text, "default") == 0 ? "" : text;
	if (**out == '\0' || strcmp(text, "log") == 0)
		return strcmp(text, "") == 0 ? "say log for the letter log, or default" : NULL;
	if (!house_settings(h, &common_setting_table, NULL, &common))
		return "main.cf cannot be read; the log says why";
	wrong = location_complain(text, common.mail_home, a);
	for (unsigned i = 0; wrong == NULL && location_prefix(text, common.mail_home, i, &path);
	     i++) {
		if (!is_reachable(&common, buffer_bytes(&path)))
			wrong = arena_printf(
				a,
				"%.*s is in no directory of mail_location, mail_location_directories or virtual_mailbox_base",
				(int)path.len, path.at);
		buffer_reset(&path);
	}
	buffer_free(&path);
	return wrong;
}

/* What the words from argv[3] on say, in any order. */
struct said_limits {
	int64_t     bytes, messages;
	const char *location; /* NULL: not said */
	bool        any[2];
	uint64_t    total[2]; /* of a domain: bytes, messages; 0 none */
	bool        totals[2];
	bool        tries; /* whether it could be said; nothing is kept */
};

static bool
total_limit_read(struct order *e, struct bytes name, const char *value, struct said_limits *s)
{
	size_t  at = bytes_is(name, "--total-storage") ? 0 : 1;
	int64_t n = -1;

	if (value == NULL || !clerk_limit_read(bytes_of(value), &n) || n < 0) {
		caller_complain(e->caller,
		                "\"%.*s %s\" is no limit; write --total-storage 100G, "
		                "--total-messages 1000000, and none instead of a number\n",
		                (int)name.len, name.at, value != NULL ? value : "");
		return false;
	}
	s->total[at] = (uint64_t)n;
	return s->totals[at] = true;
}

/* 0, or the exit status. */
static int
limits_read(struct order *e, struct arena *a, bool is_domain, struct said_limits *s)
{
	for (uint32_t i = 3; i < e->ask->argc; i += 2) {
		struct bytes name = bytes_of(e->ask->argv[i]);
		const char  *value = i + 1 < e->ask->argc ? e->ask->argv[i + 1] : NULL, *wrong;
		bool         storage = bytes_is(name, "--quota-storage");
		if (value == NULL && bytes_is(name, "--try")) {
			s->tries = true;
			continue;
		}
		if (value != NULL && bytes_is(name, "--mail-location")) {
			if ((wrong = location_wrong(e->house, value, a, &s->location)) == NULL)
				continue;
			caller_complain(e->caller, "mansio: --mail-location %s: %s\n", value,
			                wrong);
			return 1;
		}
		if (is_domain &&
		    (bytes_is(name, "--total-storage") || bytes_is(name, "--total-messages"))) {
			if (!total_limit_read(e, name, value, s))
				return 2;
			continue;
		}
		if ((!storage && !bytes_is(name, "--quota-messages")) || value == NULL ||
		    !clerk_limit_read(bytes_of(value), storage ? &s->bytes : &s->messages)) {
			caller_complain(
				e->caller,
				"\"%.*s %s\" is no limit; write --quota-storage 20G, --quota-messages 10000, "
				"and none or default instead of a number, or --mail-location LOCATION, log or default\n",
				(int)name.len, name.at, value != NULL ? value : "");
			return 2;
		}
		s->any[storage ? 0 : 1] = true;
	}
	return 0;
}

static int
system_limits(struct order *e, const struct said_limits *s, struct arena *a)
{
	struct directory      *d = e->clerk->directory;
	const char            *name = arena_copy(a, e->first);
	struct system_row      row;
	enum directory_outcome o;

	if (s->location != NULL) {
		caller_complain(
			e->caller,
			"mansio: the mail of %s, an operating-system user, lies where home_mailbox or "
			"mail_spool_directory say\n",
			name);
		return 1;
	}
	o = directory_system_limits(d, name, s->any[0] ? &s->bytes : NULL,
	                            s->any[1] ? &s->messages : NULL);
	if (o == DIRECTORY_OK && (o = directory_system_find(d, e->first, a, &row)) == DIRECTORY_OK)
		clerk_tell_system(e->house, &row);
	return order_finish(e, o, "account");
}

int
order_set_limits(struct order *e, const char *what)
{
	struct directory      *d = e->clerk->directory;
	struct arena          *a = arena_open(NULL);
	struct said_limits     s = { .location = NULL };
	int                    status = limits_read(e, a, strcmp(what, "domain") == 0, &s);
	bool                   together = s.totals[0] || s.totals[1];
	enum directory_outcome o = DIRECTORY_OK;

	if (status != 0 || s.tries) {
		arena_close(&a);
		return status;
	}
	if (e->system) {
		status = system_limits(e, &s, a);
		arena_close(&a);
		return status;
	}
	if (together)
		o = clerk_total_set(e->house, e->first, s.totals[0] ? &s.total[0] : NULL,
		                    s.totals[1] ? &s.total[1] : NULL);
	if (o == DIRECTORY_OK && (!together || s.any[0] || s.any[1] || s.location != NULL))
		o = directory_limits_set(d, e->first, s.any[0] ? &s.bytes : NULL,
		                         s.any[1] ? &s.messages : NULL, s.location);
	arena_close(&a);
	if (o == DIRECTORY_OK) {
		struct telling_people t = { .house = e->house, .all = true };
		(void)directory_limits_each(d, e->first, tell_limits, &t);
		buffer_free(&t.body);
		if (s.location != NULL && strcmp(what, "domain") == 0)
			caller_say(
				e->caller,
				"accounts of %.*s that have mail stay where they are; mansio mailbox convert ACCOUNT --to LOCATION moves them\n",
				(int)e->first.len, e->first.at);
	}
	return order_finish(e, o, what);
}

/* ---- what a back end of credentials says of an account ---- */

struct people_known {
	struct limits_row row;
	struct arena     *a;
};

static void
known_limits(void *ctx, const struct limits_row *r)
{
	struct people_known *k = ctx;

	k->row = *r;
	k->row.location = arena_copy(k->a, bytes_of(r->location));
}

/* Dovecot's "*:storage=1G:messages=1000", or "*:bytes=1000"; a bare number of quota_storage counts KiB. */
static void
rule_read(struct bytes rule, int64_t *bytes, int64_t *messages)
{
	struct bytes word, number;
	int64_t      n;

	if (!bytes_split(&rule, ':', &word))
		return;
	while (bytes_split(&rule, ':', &word)) {
		ptrdiff_t is = bytes_find(word, '=');
		if (is < 0)
			continue;
		number = bytes_cut(word, (size_t)is + 1, SIZE_MAX);
		if (!clerk_limit_read(number, &n))
			continue;
		word = bytes_cut(word, 0, (size_t)is);
		if (bytes_is(word, "messages"))
			*messages = n;
		else if (bytes_is(word, "bytes"))
			*bytes = n;
		else if (bytes_is(word, "storage") && number.len > 0)
			*bytes = number.at[number.len - 1] <= '9' ? n * 1024 : n;
	}
}

/* The place it means: `mail`, or what main.cf says, with the home that is told here. */
static const char *
place_meant(struct bytes mail, struct bytes home, const char *common, struct arena *a)
{
	struct buffer out = { 0 };
	struct bytes  from;
	const char   *text;

	mail = bytes_of(variable_shorten(arena_copy(a, mail), a));
	from = mail.len > 0 ? mail : bytes_of(common);
	if (home.len == 0)
		return mail.len > 0 ? mail.at : NULL;
	for (size_t i = 0; i < from.len; i++)
		if (from.at[i] == '~' && i > 0 && from.at[i - 1] == ':')
			buffer_add(&out, home);
		else if (from.at[i] == '%' && i + 1 < from.len && from.at[i + 1] == 'h') {
			buffer_add(&out, home);
			i++;
		} else
			buffer_add_char(&out, from.at[i]);
	text = arena_copy(a, buffer_bytes(&out));
	buffer_free(&out);
	return mail.len > 0 || strcmp(text, common) != 0 ? text : NULL;
}

/* The place these fields tell of, as the directory keeps it; NULL: none, or none that can be used. */
static const char *
place_told(struct house *h, struct bytes address, struct bytes fields, bool warned, struct arena *a)
{
	struct bytes mail, home;
	const char  *place, *kept = NULL, *wrong;

	(void)credential_field(fields, "home", &home);
	if (!credential_field(fields, "mail", &mail))
		(void)credential_field(fields, "mail_location", &mail);
	place = place_meant(mail, home, h->common.mail_location, a);
	if (place == NULL || (wrong = location_wrong(h, place, a, &kept)) == NULL)
		return place != NULL ? kept : NULL;
	if (warned)
		warn_("auth: the place of %.*s, %s, is not used: %s", (int)address.len, address.at,
		      place, wrong);
	return NULL;
}

bool
clerk_lies_outside(struct house *h, struct bytes address, struct bytes fields, bool has_path)
{
	struct clerk       *c = h->mine;
	struct arena       *a = arena_open(NULL);
	struct people_known domain = { .a = a };
	ptrdiff_t           at = bytes_find_last(address, '@');
	const char         *place = place_told(h, address, fields, false, a);
	bool                is;

	(void)directory_limits_each(c->directory,
	                            at < 0 ? bytes_of(c->origin)
	                                   : bytes_cut(address, (size_t)at + 1, SIZE_MAX),
	                            known_limits, &domain);
	if (place == NULL)
		place = domain.row.location;
	if (place == NULL || *place == '\0')
		place = h->common.mail_location;
	is = *place == '\0' ? has_path && *h->common.virtual_mailbox_base != '\0'
	                    : strcmp(place, "log") != 0;
	arena_close(&a);
	return is;
}

/* What is said now, and what was when it is said no more; else what the administrator gave stays. */
static int64_t
limit_meant(int64_t now, int64_t before, int64_t is)
{
	return now >= 0 ? now : before >= 0 && before == is ? -1 : is;
}

void
clerk_apply_fields(struct house *h, const char *address, struct bytes fields)
{
	struct directory     *d = ((struct clerk *)h->mine)->directory;
	struct arena         *a = arena_open(NULL);
	struct people_known   known = { .a = a };
	struct telling_people t = { .house = h, .all = true };
	struct bytes          rule;
	int64_t     bytes = -1, messages = -1, said_bytes, said_messages, own_bytes, own_messages;
	const char *place;

	if (directory_limits_each(d, bytes_of(address), known_limits, &known) != DIRECTORY_OK)
		goto out;
	if (credential_field(fields, "quota_rule", &rule))
		rule_read(rule, &bytes, &messages);
	if (credential_field(fields, "quota_storage", &rule) && clerk_limit_read(rule, &bytes) &&
	    rule.at[rule.len - 1] <= '9')
		bytes *= 1024;
	if (directory_limits_said(d, bytes_of(address), &said_bytes, &said_messages) ==
	    DIRECTORY_LATER)
		goto out;
	own_bytes = limit_meant(bytes, said_bytes, known.row.bytes);
	own_messages = limit_meant(messages, said_messages, known.row.messages);
	place = place_told(h, bytes_of(address), fields, true, a);
	if (own_bytes != known.row.bytes || own_messages != known.row.messages ||
	    (place != NULL && strcmp(place, known.row.location) != 0)) {
		if (directory_limits_set(d, bytes_of(address), &own_bytes, &own_messages, place) ==
		    DIRECTORY_OK)
			(void)directory_limits_each(d, bytes_of(address), tell_limits, &t);
		buffer_free(&t.body);
	}
	/* Last: what was withdrawn and is there still is withdrawn by the next to come. */
	if (bytes != said_bytes || messages != said_messages)
		(void)directory_limits_say(d, bytes_of(address), bytes, messages);
out:
	arena_close(&a);
}

/* ---- what virtual_mailbox_maps say of it ---- */

/* "example.com/jack/" or "example.com/jack" under virtual_mailbox_base, in the words of mail_location; NULL with what
   is wrong.  A file is the inbox; other mailboxes are files in a directory beside it. */
static const char *
place_of_path(struct house *h, struct bytes path, struct arena *a, const char **wrong)
{
	struct buffer whole = { 0 }, out = { 0 };
	const char   *base = h->common.virtual_mailbox_base, *text, *kept;
	struct bytes  file;

	*wrong = NULL;
	buffer_add_string(&whole, base);
	buffer_add_char(&whole, '/');
	for (size_t i = 0; i < path.len; i++) {
		if (strchr(":~\r\n", path.at[i]) != NULL)
			*wrong = "a path with :, ~ or a NUL in it";
		buffer_add_char(&whole, path.at[i]);
		if (path.at[i] == '%')
			buffer_add_char(&whole, '%');
	}
	file = buffer_bytes(&whole);
	if (bytes_ends_nocase(file, BYTES("/")))
		buffer_printf(&out, "maildir:%.*s", (int)file.len, file.at);
	else
		buffer_printf(&out, "mbox:%.*s.mailboxes:INBOX=%.*s", (int)file.len, file.at,
		              (int)file.len, file.at);
	text = arena_copy(a, buffer_bytes(&out));
	if (*wrong == NULL)
		*wrong = location_wrong(h, text, a, &kept);
	buffer_free(&whole);
	buffer_free(&out);
	return *wrong == NULL ? text : NULL;
}

bool
clerk_place(struct house *h, struct bytes address, struct bytes path)
{
	struct directory     *d = ((struct clerk *)h->mine)->directory;
	struct arena         *a = arena_open(NULL);
	struct people_known   own = { .a = a }, domain = { .a = a };
	struct telling_people t = { .house = h, .all = true };
	struct bytes          name =
		bytes_cut(address, (size_t)(bytes_find_last(address, '@') + 1), SIZE_MAX);
	const char *place, *wrong;
	bool        good = true;

	if (*h->common.mail_location != '\0' || *h->common.virtual_mailbox_base == '\0')
		goto out;
	good = directory_limits_each(d, address, known_limits, &own) == DIRECTORY_OK;
	(void)directory_limits_each(d, name, known_limits, &domain);
	if (!good || (own.row.location != NULL && *own.row.location != '\0') ||
	    (domain.row.location != NULL && *domain.row.location != '\0'))
		goto out;
	if ((place = place_of_path(h, path, a, &wrong)) == NULL) {
		warn_("directory: %.*s: virtual_mailbox_maps put it into \"%.*s\", and that cannot be: %s",
		      (int)address.len, address.at, (int)path.len, path.at, wrong);
		good = false;
	} else {
		good = directory_limits_set(d, address, NULL, NULL, place) == DIRECTORY_OK;
	}
	if (good)
		(void)directory_limits_each(d, address, tell_limits, &t);
	buffer_free(&t.body);
out:
	arena_close(&a);
	return good;
}

static void
account_found(void *ctx, const struct limits_row *r)
{
	*(uint64_t *)ctx = r->account;
}

static int
errno_of(enum directory_outcome o)
{
	switch (o) {
	case DIRECTORY_OK: return 0;
	case DIRECTORY_LATER: return EAGAIN;
	case DIRECTORY_FOREIGN: return EACCES;
	default: return ENOENT;
	}
}

/* SETQUOTA: the directory has it on disk, and every keeper has heard it, before the answer goes. */
bool
hear_limit_ask(struct house *h, enum role from, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct directory      *d = ((struct clerk *)h->mine)->directory;
	struct link           *l = house_link(h, from, index);
	struct unpack          u = unpack_of(body);
	struct bytes           address = unpack_bytes(&u);
	bool                   set = unpack_bool(&u);
	int64_t                bytes = unpack_i64(&u), messages = unpack_i64(&u);
	uint64_t               account = 0;
	enum directory_outcome o = DIRECTORY_NONE;

	if (!unpack_done(&u) || (set && (bytes < 0 || messages < 0)))
		return false;
	/* An operating-system user has no limits to give. */
	if (set && (index & KEEPER_OF_USER) != 0 && !is_owner_index(index))
		return false;
	if (bytes_find(address, '@') >= 0)
		o = directory_limits_each(d, address, account_found, &account);
	/* Nor has somebody's keeper, who may be asked by whatever else runs under that uid, any to give to others. */
	if (o == DIRECTORY_OK && set && is_owner_index(index) &&
	    house_keeper_of(h, account) != index)
		o = DIRECTORY_FOREIGN;
	if (o == DIRECTORY_OK && set)
		o = directory_limits_set(d, address, &bytes, &messages, NULL);
	if (o == DIRECTORY_OK && set) {
		struct telling_people t = { .house = h, .all = true };
		(void)directory_limits_each(d, address, tell_limits, &t);
		buffer_free(&t.body);
	}
	if (l != NULL) {
		struct buffer *b = link_begin(l, WORD_LIMIT_DONE, ticket);
		pack_u32(b, (uint32_t)errno_of(o));
		pack_u64(b, account);
		pack_bytes(b, address);
		link_end(l);
	}
	if (o == DIRECTORY_OK && set)
		clerk_changed(h);
	return true;
}

/* ---- groups ---- */

static void
groups_changed(struct order *e)
{
	struct telling_people t = { .house = e->house, .all = true };

	(void)directory_group_each(e->clerk->directory, e->first, tell_group, &t);
	buffer_free(&t.body);
}

static void
member_look(void *ctx, const struct account_row *r)
{
	(void)r;
	*(bool *)ctx = true;
}

/* Whom a back end knows is not in the directory before the first login. */
static bool
may_be_elsewhere(const struct clerk *c, struct bytes member)
{
	ptrdiff_t    at = bytes_find_last(member, '@');
	struct bytes domain = bytes_cut(member, (size_t)(at + 1), SIZE_MAX);
	bool         may = false;

	for (size_t i = 0; i < c->backends; i++)
		may |= c->backend[i].kind != CREDENTIAL_DIRECTORY &&
		       (c->backend[i].domain.len == 0 ||
		        bytes_equal_nocase(c->backend[i].domain, domain));
	return may;
}

/* Before anything is changed; what cannot be a member at all is said by members_change(). */
static bool
members_exist(struct order *e, uint32_t from)
{
	for (uint32_t i = from; i < e->ask->argc; i++) {
		struct bytes member = bytes_of(e->ask->argv[i]);
		bool         there = bytes_is(member, "--member") || bytes_find(member, '@') < 0;

		if (!there)
			(void)directory_account_each(e->clerk->directory, member,
			                             (struct bytes){ NULL, 0 }, member_look,
			                             &there);
		if (there || may_be_elsewhere(e->clerk, member))
			continue;
		caller_complain(e->caller,
		                "mansio: there is no account %.*s; mansio account add makes it\n",
		                (int)member.len, member.at);
		return false;
	}
	return true;
}

static int
members_change(struct order *e, uint32_t from, bool yes)
{
	enum directory_outcome o = DIRECTORY_OK;

	for (uint32_t i = from; i < e->ask->argc; i++) {
		struct bytes member = bytes_of(e->ask->argv[i]);
		if (bytes_is(member, "--member"))
			continue;
		o = directory_group_member(e->clerk->directory, e->first, member, yes);
		if (o == DIRECTORY_BAD)
			caller_complain(
				e->caller,
				"mansio: %.*s cannot be a member: right would be an address of the group's own domain\n",
				(int)member.len, member.at);
		if (o != DIRECTORY_OK && o != DIRECTORY_EXISTS)
			break;
	}
	groups_changed(e);
	return o == DIRECTORY_BAD ? 1
	       : o == DIRECTORY_OK || o == DIRECTORY_EXISTS
	               ? 0
	               : order_finish(e, o, yes ? "group" : "member of group");
}

/* group add ADDRESS [--member ADDRESS...] */
int
run_group_add(struct order *e)
{
	uint64_t                 id;
	struct arena            *a = arena_open(NULL);
	const struct mail_owner *owner;
	enum directory_outcome   o = DIRECTORY_LATER;

	if (!members_exist(e, 3)) {
		arena_close(&a);
		return 1;
	}
	if (clerk_owner(e->house, e->first, (struct bytes){ NULL, 0 }, a, &owner))
		o = directory_group_add(e->clerk->directory, e->first, owner, &id);
	arena_close(&a);
	clerk_owners_tell(e->house);
	if (o != DIRECTORY_OK)
		return order_finish(e, o, "group");
	return members_change(e, 3, true);
}

/* group join ADDRESS MEMBER..., group leave ADDRESS MEMBER... */
int
run_group_join(struct order *e)
{
	return members_exist(e, 3) ? members_change(e, 3, true) : 1;
}

int
run_group_leave(struct order *e)
{
	return members_change(e, 3, false);
}

static void
group_say(void *ctx, const struct group_row *r)
{
	struct order *e = ctx;

	caller_say(e->caller, "%-40s %s\n", r->address, r->member[0] != '\0' ? r->member : "-");
}

int
run_group_list(struct order *e)
{
	enum directory_outcome o =
		directory_group_each(e->clerk->directory, e->first, group_say, e);

	return o == DIRECTORY_NONE && e->first.len == 0 ? 0 : order_finish(e, o, "group");
}
