/*
 * clerk-chain -- the back ends that know passwords (auth_backends), asked in order: the first who
 * knows the user has the answer.  What the directory and passwd-files keep is compared in our own pool; the others are
 * asked in processes of their own, for their modules and libraries may block.  Nobody reached: later, never "no".
 */
#include "base/journal.h"
#include "directory/credential-remote.h"
#include "directory/passwdfile.h"
#include "directory/renaming.h"
#include "role/clerk-login.h"
#include "role/complaints.h"
#include "role/proxymap-credential.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <sys/socket.h>

enum { PATIENCE_MS = 40000, QUESTIONS_MOST = 1024, PASSED_MOST = 4096 };

/* A passwd-file of auth_backends; the last good one stays. */
struct backend_file {
	struct backend_file *next;
	char                *path, *stamp;
	struct passwdfile   *users; /* NULL: it was never good */
};

static void chain_next(struct exchange *);
static void secret_said(struct exchange *, enum credential_outcome, const char *text);

static struct backend_file *
file_of(struct clerk *c, const char *path)
{
	struct backend_file *f = c->backend_file;

	while (f != NULL && strcmp(f->path, path) != 0)
		f = f->next;
	return f;
}

/* ---- asking another process ---- */

static struct bytes
question_key(uint32_t ticket, uint64_t *out)
{
	*out = ticket;
	return map_number(out);
}

void
chain_end(struct exchange *e)
{
	struct clerk *c = e->house->mine;
	uint64_t      key;

	if (e->question != 0)
		(void)map_drop(c->questions, question_key(e->question, &key));
	e->question = 0;
	timer_close(&e->patience);
}

static void
patience_over(void *ctx)
{
	struct exchange *e = ctx;

	warn_("auth: %s does not answer", e->asked->word);
	chain_end(e);
	exchange_later(e, "no answer from the back end");
}

/* ---- what was right a moment ago (auth_cache_time) ---- */

/* Of the password nothing is kept but a digest under a key of this process's own. */
struct right {
	int64_t until_ms;
	char   *fields;
	size_t  len;
};

static struct bytes
right_key(const struct exchange *e, unsigned char out[static EVP_MAX_MD_SIZE])
{
	struct clerk *c = e->house->mine;
	struct buffer text = { 0 };
	unsigned int  len = 0;

	pack_string(&text, e->asked->word);
	pack_bytes(&text, e->user);
	pack_bytes(&text, e->password);
	pack_string(&text, e->service);
	if (HMAC(EVP_sha256(), c->secret, sizeof c->secret, (const unsigned char *)text.at,
	         text.len, out, &len) == NULL)
		panic("HMAC-SHA-256 is not to be had");
	explicit_bzero(text.at, text.len);
	buffer_free(&text);
	return (struct bytes){ (const char *)out, len };
}

static void
right_free(struct right *r)
{
	if (r == NULL)
		return;
	memory_free(r->fields);
	memory_free(r);
}

static bool
was_right(struct exchange *e)
{
	struct clerk *c = e->house->mine;
	unsigned char key[EVP_MAX_MD_SIZE];
	struct right *r;

	if (c->rows.cache_ms == 0 || e->caller != NULL)
		return false;
	r = map_get(c->passed, right_key(e, key));
	if (r == NULL || r->until_ms < loop_now_ms(e->house->loop))
		return false;
	e->fields = arena_keep(e->life, (struct bytes){ r->fields, r->len });
	return true;
}

static void
rights_forget(struct clerk *c)
{
	for (struct map_place p = { 0 }; map_next(c->passed, &p);)
		right_free(map_drop(c->passed, p.key));
}

static void
is_right(struct exchange *e)
{
	struct clerk *c = e->house->mine;
	unsigned char key[EVP_MAX_MD_SIZE];
	struct right *r;

	if (c->rows.cache_ms == 0)
		return;
	if (map_count(c->passed) >= PASSED_MOST)
		rights_forget(c);
	r = memory_take(sizeof *r);
	*r = (struct right){ loop_now_ms(e->house->loop) + c->rows.cache_ms,
		             memory_take(e->fields.len + 1), e->fields.len };
	if (r->len > 0)
		memcpy(r->fields, e->fields.at, r->len);
	right_free(map_put(c->passed, right_key(e, key), r));
}

static enum credential_outcome
ask_role(struct exchange *e, enum role role, const char *backend)
{
	struct clerk *c = e->house->mine;
	struct link  *l = house_link(e->house, role, 0);
	/* PAM's modules answer for whom they know, or not at all. */
	enum credential_mode mode =
		e->mode == CREDENTIAL_PING && role == PAM ? CREDENTIAL_USER : e->mode;
	struct word_credential_ask ask = { (uint8_t)mode,
		                           backend,
		                           e->service,
		                           e->peer.text,
		                           e->joins ? renaming_user(e->fields, e->user) : e->user,
		                           e->mode == CREDENTIAL_CHECK ? e->password : BYTES("") };
	uint64_t                   key;

	if (e->mode == CREDENTIAL_CHECK && was_right(e))
		return CREDENTIAL_PASS;
	if (l == NULL || map_count(c->questions) >= QUESTIONS_MOST)
		return CREDENTIAL_LATER;
	if (++c->last_question == 0)
		c->last_question = 1;
	e->question = c->last_question;
	(void)map_put(c->questions, question_key(e->question, &key), e);
	e->patience = timer_open(e->house->loop, patience_over, e);
	timer_set(e->patience, PATIENCE_MS);
	word_pack_credential_ask(link_begin(l, WORD_CRED_ASK, e->question), &ask);
	link_end(l);
	return CREDENTIAL_WAIT;
}

/* ---- one of each kind ---- */

/* As a new password has them: an account of an older version may lack one. */
static bool
has_verifiers(struct exchange *e)
{
	struct clerk *c = e->house->mine;
	const char   *verifier;

	return e->who.scram_iterations != 0 &&
	       directory_scram_sha1(c->directory, bytes_of(e->who.address), c->origin, e->life,
	                            &verifier) != DIRECTORY_NONE;
}

static enum credential_outcome
ask_directory(struct exchange *e, const struct credential_backend *b)
{
	(void)b;
	if (e->who.account == 0 || *e->who.source != '\0')
		return CREDENTIAL_NOBODY;
	e->old_hash = !password_is_ours(e->who.hash) || !has_verifiers(e);
	exchange_compare(e, bytes_of(e->who.hash), "CRYPT");
	return CREDENTIAL_WAIT;
}

/* "192.0.2.0/24,::1,local" of the line, or of nothing: from anywhere */
static bool
net_allowed(struct bytes nets, const struct peer *peer)
{
	struct network network;
	struct bytes   word;
	const char    *wrong;

	if (nets.len == 0)
		return true;
	while (bytes_split(&nets, ',', &word))
		if (bytes_is(word, "local") ? peer->family == AF_UNIX
		                            : network_parse(word, &network, &wrong) &&
		                                      network_holds(&network, peer))
			return true;
	return false;
}

/* By the whole name; one of the domain the back end is for, or else of the origin's, also without it. */
static bool
find_line(const struct passwdfile *p, const struct credential_backend *b, struct bytes user,
          const char *origin, struct arena *a, struct bytes *hash, struct bytes *fields)
{
	ptrdiff_t    at = bytes_find_last(user, '@');
	struct bytes own = b->domain.len > 0 ? b->domain : bytes_of(origin);

	if (passwdfile_find(p, user, a, hash, fields))
		return true;
	if (at < 0)
		return passwdfile_find(p,
		                       bytes_of(arena_printf(a, "%.*s@%.*s", (int)user.len, user.at,
		                                             (int)own.len, own.at)),
		                       a, hash, fields);
	return bytes_equal_nocase(bytes_cut(user, (size_t)at + 1, SIZE_MAX), own) &&
	       passwdfile_find_by(p, bytes_cut(user, 0, (size_t)at), user, a, hash, fields);
}

static enum credential_outcome
ask_passwd_file(struct exchange *e, const struct credential_backend *b)
{
	struct clerk              *c = e->house->mine;
	const struct backend_file *f = file_of(c, b->argument);
	struct bytes               hash, value;

	if (f == NULL || f->users == NULL)
		return CREDENTIAL_LATER;
	if (!find_line(f->users, b, e->user, c->origin, e->life, &hash, &e->fields))
		return CREDENTIAL_NOBODY;
	if (e->mode != CREDENTIAL_CHECK)
		return CREDENTIAL_PASS;
	if (hash.len == 0 && credential_field(e->fields, "nopassword", &value))
		return CREDENTIAL_PASS;
	exchange_compare(e, hash, "CRYPT");
	return CREDENTIAL_WAIT;
}

static enum credential_outcome
ask_pam(struct exchange *e, const struct credential_backend *b)
{
	return ask_role(e, PAM, b->argument);
}

/* Another server keeps it: role proxymap asks there. */
static enum credential_outcome
ask_elsewhere(struct exchange *e, const struct credential_backend *b)
{
	return ask_role(e, PROXYMAP, b->word);
}

enum stored
chain_master(struct exchange *e, struct bytes *hash)
{
	const struct backend_file *f =
		file_of(e->house->mine, e->house->common.auth_master_passwd_file);
	struct bytes fields, nets;

	if (f == NULL || f->users == NULL)
		return STORED_LATER;
	if (!passwdfile_find(f->users, e->master, e->life, hash, &fields))
		return STORED_NONE;
	(void)credential_field(fields, "allow_nets", &nets);
	if (net_allowed(nets, &e->peer))
		return STORED_FOUND;
	*hash = (struct bytes){ NULL, 0 };
	return STORED_NONE;
}

/* clang-format off */
static const struct {
	enum credential_outcome (*ask)(struct exchange *, const struct credential_backend *);
} rows[CREDENTIAL_KINDS] = {
	[CREDENTIAL_DIRECTORY] = { ask_directory },
	[CREDENTIAL_PASSWD_FILE] = { ask_passwd_file },
	[CREDENTIAL_PAM]       = { ask_pam       },
	[CREDENTIAL_SQL]       = { ask_elsewhere },
	[CREDENTIAL_LDAP]      = { ask_elsewhere },
	[CREDENTIAL_SASLAUTHD] = { ask_elsewhere },
	[CREDENTIAL_DOVECOT]   = { ask_elsewhere },
};
/* clang-format on */

/* ---- what came of it ---- */

/* An operating-system user's account is made of the uid; anybody else has one in the directory.  NONE: not yet. */
static enum directory_outcome
account_of(struct exchange *e, struct bytes name)
{
	struct clerk            *c = e->house->mine;
	const struct mail_owner *owner;
	struct system_standing   is;
	enum directory_outcome   o;
	struct bytes             uid;
	uint64_t                 number;

	/* Nobody else's word makes somebody a user of the operating system. */
	if (e->asked->kind != CREDENTIAL_PAM || !credential_field(e->fields, "system_uid", &uid)) {
		o = directory_credential(c->directory, name, c->origin, e->life, &e->who);
		if (o != DIRECTORY_OK)
			return o;
		if (!clerk_owner(e->house, name, e->fields, e->life, &owner) ||
		    clerk_owner_is_wrong(e->house, &e->who))
			return DIRECTORY_REFUSED;
		clerk_owned(e->house, &e->who, owner);
		return o;
	}
	if (!bytes_number(uid, &number) || number >= DIRECTORY_SYSTEM_UIDS)
		return DIRECTORY_BAD;
	if ((int64_t)number < e->house->common.first_valid_uid)
		return DIRECTORY_FOREIGN;
	o = clerk_system_standing(c, name, (uint32_t)number, e->life, &is);
	if (o != DIRECTORY_OK)
		return o;
	e->before = is.before;
	e->who = (struct credential){
		.account = DIRECTORY_SYSTEM_ACCOUNT(number),
		.address = bytes_find(name, '@') >= 0
		                   ? arena_copy(e->life, name)
		                   : arena_printf(e->life, "%.*s@%s", (int)name.len, name.at,
		                                  c->origin),
		.hash = "!",
		.enabled = is.enabled,
		.source = credential_kind_names[e->asked->kind],
	};
	return DIRECTORY_OK;
}

/* The password is here now, and its hash is of an older kind: it is kept as a new one would be. */
static void
hash_renew(struct exchange *e)
{
	struct clerk     *c = e->house->mine;
	struct bytes      plain, address = bytes_of(e->who.address);
	struct credential fresh = {
		.hash = e->fresh.hash,
		.scram_iterations = e->fresh.scram_iterations,
		.scram_salt = e->fresh.scram_salt,
		.scram_stored = e->fresh.scram_stored,
		.scram_server = e->fresh.scram_server,
	};
	bool kept = directory_plain(c->directory, address, NULL, e->life, &plain) == DIRECTORY_OK;

	if (directory_account_set_credential(c->directory, address, &fresh) != DIRECTORY_OK)
		return;
	(void)directory_scram_sha1_set(c->directory, address, e->fresh.scram_sha1);
	if (kept)
		(void)directory_account_keep_plain(c->directory, address, plain);
	clerk_mute_look(e->house);
	note("auth: the hash of %s was of an older kind and is new now", e->who.address);
}

static void
chain_passed(struct exchange *e)
{
	struct bytes name;

	if (e->asked->kind == CREDENTIAL_DIRECTORY) {
		if (e->old_hash && e->fresh.hash[0] != '\0' && e->caller == NULL)
			hash_renew(e);
		exchange_welcome(e, (struct bytes){ NULL, 0 });
		return;
	}
	e->proved = true;
	if (credential_field(e->fields, "nologin", &name)) {
		exchange_refuse(e, AUTH_DISABLED, "nologin is set");
		return;
	}
	/* A stranger does not learn that the password is right: as of accounts of the directory. */
	(void)credential_field(e->fields, "allow_nets", &name);
	if (!net_allowed(name, &e->peer)) {
		exchange_refuse(e, AUTH_BAD, "not from this network (allow_nets)");
		return;
	}
	if (!credential_field(e->fields, "user", &name))
		name = e->user;
	chain_account(e, name, account_of(e, name));
}

void
chain_account(struct exchange *e, struct bytes name, enum directory_outcome o)
{
	switch (o) {
	case DIRECTORY_OK:
		clerk_apply_fields(e->house, e->who.address, e->fields);
		e->counted = bytes_of(e->who.address);
		exchange_welcome(e, e->last);
		break;
	case DIRECTORY_NONE: clerk_first_login(e, name); break;
	case DIRECTORY_LATER: exchange_later(e, "directory is not available"); break;
	case DIRECTORY_REFUSED:
		exchange_later(e, "the mailboxes cannot belong to whom they are said to");
		break;
	case DIRECTORY_FOREIGN:
		exchange_refuse(e, AUTH_DISABLED, "uid is below first_valid_uid");
		break;
	default: exchange_refuse(e, AUTH_BAD, "user name cannot have an account"); break;
	}
}

/* Whom no back end knows: nobody, unless one cannot tell without a password, or others than these have made the account. */
static void
chain_unknown(struct exchange *e)
{
	if (e->who.account != 0 && (e->unsaid || !credential_is_source(bytes_of(e->who.source))))
		exchange_welcome(e, e->last);
	else
		exchange_refuse(e, AUTH_BAD, "unknown user");
}

/* He is told so when all that would be asked about a stranger of his domain answer: else who there is could be told while one of
   them is away, for nobody's name can be refused then. */
static void
chain_wrong(struct exchange *e, const char *text)
{
	if (e->mode != CREDENTIAL_CHECK) {
		exchange_refuse(e, AUTH_BAD, text);
		return;
	}
	e->wrong = text;
	e->mode = CREDENTIAL_PING;
	chain_next(e);
}

void
chain_doubt(struct exchange *e, const char *why)
{
	e->wrong = why;
	e->mode = CREDENTIAL_PING;
	e->at = 0;
	e->hashed = true; /* nothing was for anybody */
	chain_next(e);
}

/* Not before a hash was compared, as for those whom another back end knows. */
static void
chain_late(struct exchange *e, const char *text)
{
	if (e->hashed || (e->mode != CREDENTIAL_CHECK && e->mode != CREDENTIAL_PING)) {
		exchange_later(e, text);
		return;
	}
	e->asked = NULL;
	e->late = text;
	exchange_compare(e, (struct bytes){ NULL, 0 }, "CRYPT");
}

static void
chain_said(struct exchange *e, enum credential_outcome o, const char *text)
{
	if (e->mode == CREDENTIAL_PING && o != CREDENTIAL_LATER && o != CREDENTIAL_WAIT)
		o = CREDENTIAL_NOBODY;
	/* Of who is asked for users: PAM knows the operating system's, others cannot say at all. */
	if (e->mode == CREDENTIAL_USER && e->asked->kind == CREDENTIAL_PAM)
		e->unsaid = e->unsaid || o == CREDENTIAL_NOBODY;
	else if (e->mode == CREDENTIAL_USER && o == CREDENTIAL_CLOSED) {
		e->unsaid = true;
		o = CREDENTIAL_NOBODY;
	}
	switch (o) {
	case CREDENTIAL_PASS: chain_passed(e); break;
	case CREDENTIAL_FAIL: chain_wrong(e, text); break;
	case CREDENTIAL_UNSURE:
		e->unsure = text;
		chain_next(e);
		break;
	case CREDENTIAL_NOBODY: chain_next(e); break;
	case CREDENTIAL_CLOSED: exchange_refuse(e, AUTH_DISABLED, text); break;
	case CREDENTIAL_LATER: chain_late(e, text); break;
	case CREDENTIAL_WAIT: break;
	}
}

/* The next back end; after the last, a comparison for nobody if none was made, for the time it takes. */
static void
chain_next(struct exchange *e)
{
	struct clerk           *c = e->house->mine;
	enum credential_outcome said;

	while (e->at < c->backends && !e->nobody &&
	       (!credential_backend_asks(&c->backend[e->at], e->user, c->origin) ||
	        (e->mode == CREDENTIAL_PING && c->backend[e->at].kind == CREDENTIAL_DIRECTORY)))
		e->at++;
	if (e->at < c->backends && !e->nobody) {
		e->asked = &c->backend[e->at++];
		e->why_closed = "back end is not available";
		said = rows[e->asked->kind].ask != NULL ? rows[e->asked->kind].ask(e, e->asked)
		                                        : CREDENTIAL_LATER;
		if (said != CREDENTIAL_WAIT)
			chain_said(e, said, e->why_closed);
		return;
	}
	e->asked = NULL;
	if (e->mode == CREDENTIAL_USER)
		chain_unknown(e);
	else if (e->wrong != NULL && e->late != NULL)
		exchange_later(e, e->late);
	else if (e->wrong != NULL)
		exchange_refuse(e, AUTH_BAD, e->wrong);
	else if (e->hashed)
		exchange_refuse(e, AUTH_BAD, e->unsure != NULL ? e->unsure : "unknown user");
	else
		exchange_compare(e, (struct bytes){ NULL, 0 }, "CRYPT");
}

/* ---- what is stored, and who there is ---- */

/* One of the back ends, in its turn; WAIT when the next is to be asked. */
static enum stored
stored_of(struct exchange *e, const struct credential_backend *b, struct bytes *stored)
{
	struct clerk              *c = e->house->mine;
	const struct backend_file *f;
	bool                       remote = b->kind == CREDENTIAL_SQL || b->kind == CREDENTIAL_LDAP;

	if (b->kind == CREDENTIAL_PASSWD_FILE && (f = file_of(c, b->argument)) != NULL &&
	    f->users != NULL &&
	    find_line(f->users, b, e->user, c->origin, e->life, stored, &e->fields))
		return stored->len > 0 ? STORED_FOUND : STORED_NONE;
	if (!remote)
		return STORED_WAIT;
	if (e->secret == CREDENTIAL_PASS)
		return credential_field(e->fields, "password", stored) && stored->len > 0
		               ? STORED_FOUND
		               : STORED_NONE;
	if (e->secret == CREDENTIAL_FAIL)
		return STORED_NONE;
	return e->secret == CREDENTIAL_WAIT ? STORED_ASKED : STORED_WAIT;
}

enum stored
chain_stored(struct exchange *e, struct bytes *stored)
{
	struct clerk *c = e->house->mine;
	enum stored   is;

	e->asked = NULL;
	if (e->nobody || (e->who.account != 0 && *e->who.source == '\0'))
		return STORED_NONE;
	/* What was told was told of one name. */
	if (!bytes_equal(e->secret_user, e->user) || e->mode != CREDENTIAL_SECRET) {
		e->mode = CREDENTIAL_SECRET;
		e->secret_user = arena_keep(e->life, e->user);
		e->secret = CREDENTIAL_WAIT;
		e->at = 0;
	}
	for (; e->at < c->backends; e->at++, e->secret = CREDENTIAL_WAIT) {
		const struct credential_backend *b = &c->backend[e->at];

		if (!credential_backend_asks(b, e->user, c->origin) ||
		    (is = stored_of(e, b, stored)) == STORED_WAIT)
			continue;
		e->asked = b;
		if (is == STORED_ASKED && ask_role(e, PROXYMAP, b->word) == CREDENTIAL_WAIT)
			return STORED_WAIT;
		if (is == STORED_ASKED) {
			e->late = "back end is not available";
			is = STORED_NONE;
		}
		if (is == STORED_NONE)
			e->asked = NULL;
		return is;
	}
	return STORED_NONE;
}

/* The mechanism makes its step again: of whom nobody can be asked now as of nobody, and is put off in the end. */
static void
secret_said(struct exchange *e, enum credential_outcome o, const char *text)
{
	if (o == CREDENTIAL_LATER)
		e->late = text;
	e->secret = o == CREDENTIAL_LATER ? CREDENTIAL_FAIL : o;
	exchange_again(e);
}

/* What was stored was told without the rest: whom it is, and what is known of him, is asked as after a password (user_query, user_filter). */
static bool
join_begin(struct exchange *e)
{
	if (e->mode != CREDENTIAL_SECRET ||
	    (e->asked->kind != CREDENTIAL_SQL && e->asked->kind != CREDENTIAL_LDAP))
		return false;
	e->joins = true;
	e->mode = CREDENTIAL_USER;
	if (ask_role(e, PROXYMAP, e->asked->word) != CREDENTIAL_WAIT)
		exchange_later(e, "back end is not available");
	return true;
}

static void
join_said(struct exchange *e, const struct word_credential_said *said)
{
	struct bytes             told = e->fields;
	struct credential_answer all = { CREDENTIAL_PASS, "", told };
	enum credential_outcome  o = (enum credential_outcome)said->outcome;

	e->joins = false;
	if (o != CREDENTIAL_CLOSED)
		credential_join(o == CREDENTIAL_PASS     ? TABLE_FOUND
		                : o == CREDENTIAL_NOBODY ? TABLE_NONE
		                                         : TABLE_LATER,
		                renaming_user(told, e->user),
		                arena_keep(e->life, o == CREDENTIAL_PASS ? said->fields
		                                                         : bytes_of(said->text)),
		                e->life, &all);
	e->fields = all.fields;
	if (all.outcome == CREDENTIAL_PASS)
		chain_passed(e);
	else if (all.outcome == CREDENTIAL_LATER)
		exchange_later(e, all.why);
	else
		exchange_refuse(e, AUTH_BAD, "unknown user");
}

void
chain_proved(struct exchange *e, struct bytes last)
{
	e->last = last;
	if (e->asked != NULL && join_begin(e))
		return;
	if (e->asked != NULL)
		chain_passed(e);
	else if (e->who.account != 0 && *e->who.source == '\0')
		exchange_welcome(e, last);
	else {
		e->at = 0;
		e->mode = CREDENTIAL_USER;
		chain_next(e);
	}
}

/* The user of one back end; NONE with *unsaid: it cannot tell. */
static enum table_outcome
person_of(struct clerk *c, const struct credential_backend *b, struct lookups *l, struct bytes user,
          struct arena *a, struct bytes *fields, bool *unsaid)
{
	const struct backend_file *f;
	struct bytes               hash;
	enum table_outcome         o;

	switch (b->kind) {
	case CREDENTIAL_DIRECTORY: return TABLE_NONE;
	case CREDENTIAL_PAM: *unsaid = true; return TABLE_NONE;
	case CREDENTIAL_PASSWD_FILE:
		f = file_of(c, b->argument);
		if (f == NULL || f->users == NULL)
			return TABLE_LATER;
		return find_line(f->users, b, user, c->origin, a, &hash, fields) ? TABLE_FOUND
		                                                                 : TABLE_NONE;
	default: break;
	}
	o = lookup_find(l, arena_printf(a, REMOTE_USERS "%s", b->word), user, fields);
	if (o == TABLE_NONE && bytes_is(*fields, REMOTE_USERS_UNTOLD))
		*unsaid = true;
	return o;
}

bool
chain_user(struct house *h, struct bytes address, struct arena *a, struct bytes *user)
{
	struct clerk                 *c = h->mine;
	const struct credential_names names = {
		c->rows.username_format,
		c->rows.username_chars,
		c->rows.username_translation,
		c->rows.default_realm,
	};

	return credential_name(&names, address, a, user);
}

enum table_outcome
chain_person_at(struct house *h, size_t backend, struct lookups *l, struct bytes user,
                struct arena *a, struct directory_target *out, bool *unsaid)
{
	struct clerk                    *c = h->mine;
	const struct credential_backend *b = &c->backend[backend];
	struct bytes                     name;
	enum table_outcome               o;

	if (!credential_backend_asks(b, user, c->origin))
		return TABLE_NONE;
	o = person_of(c, b, l, user, a, &out->fields, unsaid);
	out->source = credential_kind_names[b->kind];
	if (o == TABLE_FOUND)
		out->address = credential_field(out->fields, "user", &name) ? name : user;
	if (o == TABLE_FOUND && bytes_find(out->address, '@') < 0)
		out->address = bytes_of(arena_printf(a, "%.*s@%s", (int)out->address.len,
		                                     out->address.at, c->origin));
	return o;
}

enum table_outcome
chain_person(struct house *h, struct lookups *l, struct bytes address, struct arena *a,
             struct directory_target *out, bool *unsaid)
{
	struct clerk      *c = h->mine;
	struct bytes       user;
	enum table_outcome o = TABLE_NONE;

	if (!chain_user(h, address, a, &user))
		return TABLE_NONE;
	for (size_t i = 0; i < c->backends && o == TABLE_NONE; i++)
		o = chain_person_at(h, i, l, user, a, out, unsaid);
	return o;
}

void
chain_begin(struct exchange *e)
{
	e->at = 0;
	e->mode = CREDENTIAL_CHECK;
	e->fields = (struct bytes){ NULL, 0 };
	e->unsure = e->wrong = e->late = NULL;
	e->hashed = false;
	chain_next(e);
}

void
chain_compared(struct exchange *e)
{
	if (e->master.len > 0 && !e->mastered) {
		master_compared(e);
		return;
	}
	if (e->asked == NULL) {
		if (e->late != NULL)
			exchange_later(e, e->late);
		else
			exchange_refuse(e, AUTH_BAD,
			                e->unsure != NULL ? e->unsure : "unknown user");
		return;
	}
	if (e->right == SCHEME_BROKEN)
		warn_("auth: %s: the password of %.*s: %s", e->asked->word, (int)e->user.len,
		      e->user.at, e->why);
	chain_said(e, e->right == SCHEME_RIGHT ? CREDENTIAL_PASS : CREDENTIAL_FAIL,
	           "password mismatch");
}

static enum role
role_asked(const struct exchange *e)
{
	return e->asked->kind == CREDENTIAL_PAM ? PAM : PROXYMAP;
}

bool
hear_cred_said(struct house *h, enum role from, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct clerk               *c = h->mine;
	struct arena               *scratch = arena_open(NULL);
	struct word_credential_said said;
	bool                        whole = word_unpack_credential_said(body, scratch, &said);
	uint64_t                    key;
	struct exchange            *e = map_get(c->questions, question_key(ticket, &key));
	(void)index;

	if (e != NULL && role_asked(e) != from)
		whole = false; /* what another was asked */
	/* Nothing to do when nobody waits for it any more. */
	if (whole && e != NULL && e->joins) {
		chain_end(e);
		join_said(e, &said);
	} else if (whole && e != NULL) {
		chain_end(e);
		e->fields = arena_keep(e->life, said.fields);
		if (said.outcome == CREDENTIAL_PASS && e->mode == CREDENTIAL_CHECK)
			is_right(e);
		if (e->mode == CREDENTIAL_SECRET)
			secret_said(e, (enum credential_outcome)said.outcome,
			            arena_copy(e->life, bytes_of(said.text)));
		else
			chain_said(e, (enum credential_outcome)said.outcome,
			           arena_copy(e->life, bytes_of(said.text)));
	}
	arena_close(&scratch);
	return whole;
}

void
chain_lost(struct house *h, enum role role)
{
	struct clerk *c = h->mine;

	if (role != PAM && role != PROXYMAP)
		return;
	for (struct map_place p = { 0 }; map_next(c->questions, &p);) {
		struct exchange *e = p.value;
		if (role_asked(e) != role)
			continue;
		chain_end(e);
		exchange_later(e, "back end went away");
	}
}

static char *
text_kept(const char *s)
{
	char *copy = memory_take(strlen(s) + 1);

	memcpy(copy, s, strlen(s));
	return copy;
}

static void
file_read(struct house *h, struct backend_file *f, const char *name)
{
	struct buffer      text = { 0 }, errors = { 0 }, warnings = { 0 };
	struct passwdfile *users = NULL;

	if (house_resource_read(h, name, &text) == 0)
		users = passwdfile_open(buffer_bytes(&text), f->path, &errors, &warnings);
	complaints_warn(buffer_bytes(&errors));
	complaints_warn(buffer_bytes(&warnings));
	if (users != NULL) {
		passwdfile_close(&f->users);
		f->users = users;
	} else
		warn_("passwd-file %s: %s", f->path,
		      f->users != NULL ? "not taken over: the last good one stays"
		                       : "cannot be used: logins by it are put off");
	if (text.len > 0)
		explicit_bzero(text.at, text.len);
	buffer_free(&text);
	buffer_free(&errors);
	buffer_free(&warnings);
}

static void
file_take(struct house *h, const char *path, struct arena *scratch)
{
	struct clerk        *c = h->mine;
	const char          *name = arena_printf(scratch, "table/%s", path), *stamp;
	struct backend_file *f = file_of(c, path);

	if (f == NULL) {
		f = memory_take(sizeof *f);
		*f = (struct backend_file){ .next = c->backend_file, .path = text_kept(path) };
		c->backend_file = f;
	}
	stamp = house_resource_text(h, name);
	if (stamp == NULL || (f->stamp != NULL && strcmp(f->stamp, stamp) == 0))
		return;
	memory_free(f->stamp);
	f->stamp = text_kept(stamp);
	file_read(h, f, name);
}

/* Those that are named, read when they are new; a file nobody names any more is kept, it may come again. */
void
chain_files(struct house *h)
{
	struct clerk *c = h->mine;
	struct arena *scratch = arena_open(NULL);

	for (size_t i = 0; i < c->backends; i++)
		if (c->backend[i].kind == CREDENTIAL_PASSWD_FILE)
			file_take(h, c->backend[i].argument, scratch);
	if (*h->common.auth_master_passwd_file != '\0')
		file_take(h, h->common.auth_master_passwd_file, scratch);
	arena_close(&scratch);
}

static bool
is_as_before(const struct clerk *c, const struct setting_list *words)
{
	size_t i = 0;

	while (i < c->backends && i < words->count &&
	       strcmp(c->backend[i].word, words->item[i]) == 0)
		i++;
	return c->backend != NULL && i == c->backends && i == words->count;
}

/* Exchanges under way keep the list they began with: it is not given back. */
void
chain_settings(struct house *h, const struct common_settings *common)
{
	struct clerk *c = h->mine;

	if (!is_as_before(c, &common->auth_backends)) {
		c->backends = 0;
		c->backend = memory_take((common->auth_backends.count + 1) * sizeof *c->backend);
		for (size_t i = 0; i < common->auth_backends.count; i++)
			if (credential_backend_parse(common->auth_backends.item[i],
			                             &c->backend[c->backends]) == NULL)
				c->backends++;
	}
	rights_forget(c);
	chain_files(h);
}
