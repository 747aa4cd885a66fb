/*
 * clerk-chain -- the back ends that know passwords (auth_backends), asked in order: the first who
 * knows the user has the answer.  What the directory and passwd-files keep is compared in our own pool; the others are
 * asked in processes of their own, for their modules and libraries may block.  Nobody reached: later, never "no".
 */
#include "base/journal.h"
#include "role/clerk-login.h"

#include <string.h>

enum { PATIENCE_MS = 40000, QUESTIONS_MOST = 1024 };

static void chain_next(struct exchange *);

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

static enum credential_outcome
ask_role(struct exchange *e, enum role role, const char *backend)
{
	struct clerk              *c = e->house->mine;
	struct link               *l = house_link(e->house, role, 0);
	struct word_credential_ask ask = { backend, e->service, e->peer.text, e->user,
		                           e->password };
	uint64_t                   key;

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

static enum credential_outcome
ask_directory(struct exchange *e, const struct credential_backend *b)
{
	(void)b;
	if (e->who.account == 0 || *e->who.source != '\0')
		return CREDENTIAL_NOBODY;
	exchange_compare(e, bytes_of(e->who.hash), "CRYPT");
	return CREDENTIAL_WAIT;
}

static enum credential_outcome
ask_pam(struct exchange *e, const struct credential_backend *b)
{
	return ask_role(e, PAM, b->argument);
}

/* clang-format off */
static const struct {
	enum credential_outcome (*ask)(struct exchange *, const struct credential_backend *);
} rows[CREDENTIAL_KINDS] = {
	[CREDENTIAL_DIRECTORY] = { ask_directory },
	[CREDENTIAL_PAM]       = { ask_pam       },
};
/* clang-format on */

/* ---- what came of it ---- */

/* An operating-system user's account is made of the uid; anybody else has one in the directory. */
static enum directory_outcome
account_of(struct exchange *e, struct bytes name)
{
	struct clerk *c = e->house->mine;
	struct bytes  uid;
	uint64_t      number;

	if (!credential_field(e->fields, "system_uid", &uid))
		return directory_account_for(c->directory, name, c->origin,
		                             credential_kind_names[e->asked->kind], e->life,
		                             &e->who);
	if (!bytes_number(uid, &number) || number > UINT32_MAX)
		return DIRECTORY_BAD;
	if ((int64_t)number < e->house->common.first_valid_uid)
		return DIRECTORY_FOREIGN;
	e->who = (struct credential){
		.account = DIRECTORY_SYSTEM_ACCOUNT(number),
		.address = bytes_find(name, '@') >= 0
		                   ? arena_copy(e->life, name)
		                   : arena_printf(e->life, "%.*s@%s", (int)name.len, name.at,
		                                  c->origin),
		.hash = "!",
		.enabled = true,
		.source = credential_kind_names[e->asked->kind],
	};
	return DIRECTORY_OK;
}

static void
chain_passed(struct exchange *e)
{
	struct bytes name;

	if (e->asked->kind == CREDENTIAL_DIRECTORY) {
		exchange_welcome(e, (struct bytes){ NULL, 0 });
		return;
	}
	if (!credential_field(e->fields, "user", &name))
		name = e->user;
	switch (account_of(e, name)) {
	case DIRECTORY_OK:
		e->counted = bytes_of(e->who.address);
		exchange_welcome(e, (struct bytes){ NULL, 0 });
		break;
	case DIRECTORY_LATER: exchange_later(e, "directory is not available"); break;
	case DIRECTORY_FOREIGN:
		exchange_refuse(e, AUTH_DISABLED, "uid is below first_valid_uid");
		break;
	default: exchange_refuse(e, AUTH_BAD, "user name cannot have an account"); break;
	}
}

static void
chain_said(struct exchange *e, enum credential_outcome o, const char *text)
{
	switch (o) {
	case CREDENTIAL_PASS: chain_passed(e); break;
	case CREDENTIAL_FAIL: exchange_refuse(e, AUTH_BAD, text); break;
	case CREDENTIAL_NOBODY: chain_next(e); break;
	case CREDENTIAL_CLOSED: exchange_refuse(e, AUTH_DISABLED, text); break;
	case CREDENTIAL_LATER: exchange_later(e, text); break;
	case CREDENTIAL_WAIT: break;
	}
}

/* The next back end; after the last, a comparison for nobody if none was made, for the time it takes. */
static void
chain_next(struct exchange *e)
{
	struct clerk *c = e->house->mine;

	if (e->at < c->backends) {
		e->asked = &c->backend[e->at++];
		chain_said(e, rows[e->asked->kind].ask(e, e->asked), "back end is not available");
		return;
	}
	e->asked = NULL;
	if (e->hashed)
		exchange_refuse(e, AUTH_BAD, "unknown user");
	else
		exchange_compare(e, (struct bytes){ NULL, 0 }, "CRYPT");
}

void
chain_begin(struct exchange *e)
{
	e->at = 0;
	e->hashed = false;
	chain_next(e);
}

void
chain_compared(struct exchange *e)
{
	if (e->asked == NULL) {
		exchange_refuse(e, AUTH_BAD, "unknown user");
		return;
	}
	if (e->right == SCHEME_BROKEN)
		warn_("auth: %s: the password of %.*s: %s", e->asked->word, (int)e->user.len,
		      e->user.at, e->why);
	chain_said(e, e->right == SCHEME_RIGHT ? CREDENTIAL_PASS : CREDENTIAL_FAIL,
	           "password mismatch");
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
	(void)from;
	(void)index;

	/* Nothing to do when nobody waits for it any more. */
	if (whole && e != NULL) {
		chain_end(e);
		e->fields = arena_keep(e->life, said.fields);
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

	if (role != PAM)
		return;
	for (struct map_place p = { 0 }; map_next(c->questions, &p);) {
		struct exchange *e = p.value;
		if (e->asked->kind != CREDENTIAL_PAM)
			continue;
		chain_end(e);
		exchange_later(e, "back end went away");
	}
}

/* Exchanges under way keep the list they began with: it is not given back. */
void
chain_settings(struct house *h, const struct common_settings *common)
{
	struct clerk *c = h->mine;

	c->backends = 0;
	c->backend = memory_take((common->auth_backends.count + 1) * sizeof *c->backend);
	for (size_t i = 0; i < common->auth_backends.count; i++)
		if (credential_backend_parse(common->auth_backends.item[i],
		                             &c->backend[c->backends]) == NULL &&
		    rows[c->backend[c->backends].kind].ask != NULL)
			c->backends++;
}
