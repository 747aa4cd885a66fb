#include "role/proxymap-credential.h"

#include <string.h>

#include "base/clock.h"
#include "directory/credential-remote.h"
#include "role/complaints.h"
#include "role/tables.h"

enum { WAITING_MOST = 256, TOLD_AGAIN_MS = 10000 };

/* One of auth_backends; an old one goes when its last question is answered. */
struct remote_backend {
	struct remote_backend    *next;
	char                     *word;
	struct credential_remote *own; /* NULL: it never was as it should be */
	struct lane              *lane;
	char                     *stamp;
	unsigned                  open;
	bool                      named, old;
	bool                      failing; /* as was said at told_ms */
	int64_t                   told_ms;
};
struct remote_backends {
	struct house                   *house;
	const struct proxymap_settings *rows;
	struct remote_backend          *first;
	unsigned                        open;
};
struct asking_remote {
	struct lane_job            job;
	struct remote_backends    *all;
	struct remote_backend     *backend;
	uint32_t                   ticket;
	bool                       as_table; /* it came as TABLE_ASK */
	struct arena              *life;
	struct bytes               body;
	struct credential_question question;
	struct credential_answer   answer;
};

static bool
is_remote(const char *word, struct credential_backend *b)
{
	return credential_backend_parse(word, b) == NULL &&
	       (b->kind == CREDENTIAL_SQL || b->kind == CREDENTIAL_LDAP ||
	        b->kind == CREDENTIAL_SASLAUTHD || b->kind == CREDENTIAL_DOVECOT);
}

static bool
has_remote(const struct common_settings *common)
{
	struct credential_backend b;

	for (size_t i = 0; i < common->auth_backends.count; i++)
		if (is_remote(common->auth_backends.item[i], &b))
			return true;
	return false;
}

bool
remote_backends_wanted(struct settings *s)
{
	struct common_settings common;

	return settings_fill(s, &common_setting_table, NULL, &common, NULL) && has_remote(&common);
}

struct remote_backends *
remote_backends_open(struct house *h, const struct proxymap_settings *rows)
{
	struct remote_backends *all = memory_take(sizeof *all);

	all->house = h;
	all->rows = rows;
	return all;
}

static char *
text_copy(const char *s)
{
	char *copy = memory_take(strlen(s) + 1);

	memcpy(copy, s, strlen(s));
	return copy;
}

static void
backend_end(struct remote_backend *b)
{
	lane_close(&b->lane);
	credential_remote_close(&b->own);
	memory_free(b->word);
	memory_free(b->stamp);
	memory_free(b);
}

static void
backends_sweep(struct remote_backends *all)
{
	struct remote_backend **at = &all->first, *b;

	while ((b = *at) != NULL) {
		if (!(b->old || !b->named) || b->open > 0) {
			at = &b->next;
			continue;
		}
		*at = b->next;
		backend_end(b);
	}
}

static struct remote_backend *
backend_of(struct remote_backends *all, const char *word)
{
	struct remote_backend *b = all->first;

	while (b != NULL && (b->old || strcmp(b->word, word) != 0))
		b = b->next;
	return b;
}

static void
backend_look(struct remote_backends *all, const struct credential_backend *which)
{
	struct table_source    source = house_table_source(all->house);
	struct remote_backend *b = backend_of(all, which->word), *new;
	struct arena          *scratch = arena_open(NULL);
	struct buffer          errors = { 0 }, warnings = { 0 };
	const char            *stamp =
		house_resource_text(all->house, arena_printf(scratch, "table/%s", which->argument));
	struct credential_remote *own;

	stamp = stamp != NULL ? stamp : "";
	if (b != NULL) {
		b->named = true;
		if (strcmp(b->stamp, stamp) == 0)
			goto out;
	}
	own = credential_remote_open(which, &source, &errors, &warnings);
	complaints_warn(buffer_bytes(&errors));
	complaints_warn(buffer_bytes(&warnings));
	buffer_free(&errors);
	buffer_free(&warnings);
	if (own == NULL)
		warn_("%s: %s", which->word,
		      b != NULL && b->own != NULL ? "not taken over: the last good one stays"
		                                  : "cannot be used: logins by it are put off");
	if (b != NULL && own == NULL) {
		memory_free(b->stamp);
		b->stamp = text_copy(stamp);
		goto out;
	}
	if (b != NULL)
		b->old = true;
	new = memory_take(sizeof *new);
	*new = (struct remote_backend){ .next = all->first,
		                        .word = text_copy(which->word),
		                        .own = own,
		                        .stamp = text_copy(stamp),
		                        .named = true };
	all->first = new;
out:
	arena_close(&scratch);
}

void
remote_backends_look(struct remote_backends *all)
{
	const struct setting_list *words = &all->house->common.auth_backends;
	struct credential_backend  b;

	for (struct remote_backend *one = all->first; one != NULL; one = one->next)
		one->named = false;
	for (size_t i = 0; i < words->count; i++)
		if (is_remote(words->item[i], &b))
			backend_look(all, &b);
	backends_sweep(all);
}

void
remote_backends_reach(struct remote_backends *all, struct reach *r)
{
	for (struct remote_backend *b = all->first; b != NULL; b = b->next)
		if (!b->old && b->own != NULL)
			credential_remote_reach(b->own, r);
}

unsigned
remote_backends_busy(const struct remote_backends *all)
{
	return all->open;
}

static void
asking_end(struct asking_remote *q)
{
	struct arena *life = q->life;

	if (q->body.len > 0)
		explicit_bzero((char *)(uintptr_t)q->body.at, q->body.len);
	arena_close(&life);
}

/* Is there such a user?  What cannot be told at all is no failure of the table. */
static struct word_table_said
credential_as_table(const struct credential_answer *a)
{
	switch (a->outcome) {
	case CREDENTIAL_PASS: return (struct word_table_said){ TABLE_FOUND, a->fields };
	case CREDENTIAL_NOBODY: return (struct word_table_said){ TABLE_NONE, BYTES("") };
	case CREDENTIAL_CLOSED:
	case CREDENTIAL_FAIL:
		return (struct word_table_said){ TABLE_NONE, BYTES(REMOTE_USERS_UNTOLD) };
	default: return (struct word_table_said){ TABLE_LATER, bytes_of(a->why) };
	}
}

static void
asking_answer(struct asking_remote *q)
{
	struct word_credential_said said = { (uint8_t)q->answer.outcome, q->answer.why,
		                             q->answer.fields };
	struct link                *l = house_link(q->all->house, CLERK, 0);

	if (l != NULL && q->as_table) {
		struct word_table_said table = credential_as_table(&q->answer);
		word_pack_table_said(link_begin(l, WORD_TABLE_SAID, q->ticket), &table);
		link_end(l);
	} else if (l != NULL) {
		word_pack_credential_said(link_begin(l, WORD_CRED_SAID, q->ticket), &said);
		link_end(l);
	}
}

static void
asking_run(struct lane_job *job)
{
	struct asking_remote *q = (struct asking_remote *)job;

	credential_remote_ask(q->backend->own, &q->question, q->life, &q->answer);
}

/* Said once when it begins and once when it is over; not of every answer while some fail and some do not. */
static void
asking_done(struct lane_job *job)
{
	struct asking_remote   *q = (struct asking_remote *)job;
	struct remote_backend  *b = q->backend;
	struct remote_backends *all = q->all;
	bool                    failing = q->answer.outcome == CREDENTIAL_LATER;
	int64_t                 now = clock_patient_ms();

	b->open--;
	all->open--;
	if (failing && !b->failing && (b->told_ms == 0 || now - b->told_ms >= TOLD_AGAIN_MS)) {
		warn_("%s: %s", b->word, q->answer.why);
		b->failing = true;
		b->told_ms = now;
	} else if (!failing && b->failing) {
		note("%s: answers again", b->word);
		b->failing = false;
	}
	asking_answer(q);
	asking_end(q);
	backends_sweep(all);
}

static struct asking_remote *
asking_begin(struct remote_backends *all, uint32_t ticket, struct bytes body)
{
	struct arena         *life = arena_open(NULL);
	struct asking_remote *q = arena_take(life, sizeof *q);

	*q = (struct asking_remote){
		.job = { .run = asking_run, .done = asking_done },
		.all = all,
		.ticket = ticket,
		.life = life,
		.body = arena_keep(life, body),
		.answer = { CREDENTIAL_LATER, "back end is not as it should be", { NULL, 0 } }
	};
	return q;
}

static void
asking_put(struct asking_remote *q, const char *backend, struct lanes *lanes)
{
	struct remote_backend *b = q->backend = backend_of(q->all, backend);

	q->question.patience_ms = q->all->rows->login_ms;
	if (b != NULL && b->own != NULL) {
		if (b->lane == NULL)
			b->lane =
				lane_open(lanes, (unsigned)q->all->rows->connections, WAITING_MOST);
		q->answer.why = "too many logins wait for this back end";
		if (lane_put(b->lane, &q->job)) {
			b->open++;
			q->all->open++;
			return;
		}
	}
	asking_answer(q);
	asking_end(q);
}

bool
remote_backends_hear(struct remote_backends *all, struct lanes *lanes, uint32_t ticket,
                     struct bytes body)
{
	struct asking_remote      *q = asking_begin(all, ticket, body);
	struct word_credential_ask w;

	if (!word_unpack_credential_ask(q->body, q->life, &w)) {
		asking_end(q);
		return false;
	}
	q->question = (struct credential_question){ .mode = w.mode,
		                                    .service = w.service,
		                                    .remote = w.remote,
		                                    .user = w.user,
		                                    .password = w.password };
	asking_put(q, w.backend, lanes);
	return true;
}

void
remote_backends_user(struct remote_backends *all, struct lanes *lanes, uint32_t ticket,
                     const char *backend, struct bytes user)
{
	struct asking_remote *q = asking_begin(all, ticket, user);

	q->as_table = true;
	q->question = (struct credential_question){
		.mode = CREDENTIAL_USER, .service = "", .remote = "", .user = q->body
	};
	asking_put(q, backend, lanes);
}
