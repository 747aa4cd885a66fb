#include "command/selection.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "access/imap/reach.h"
#include "command/folders.h"

enum { PIECE_MOST = 4000 };

bool
uids_next(struct bytes *set, struct bytes *piece)
{
	size_t n = set->len;

	if (n == 0)
		return false;
	if (n > PIECE_MOST)
		n = (size_t)bytes_find_last(bytes_cut(*set, 0, PIECE_MOST), ',');
	*piece = bytes_cut(*set, 0, n);
	*set = bytes_cut(*set, n + 1, set->len);
	return true;
}

bool
uid_walk_next(struct uid_walk *w, uint32_t *uid)
{
	struct bytes range, first;

	if (w->next == w->last || w->next == 0) {
		if (!bytes_split(&w->rest, ',', &range) || !bytes_split(&range, ':', &first) ||
		    !bytes_number(first, &w->next))
			return false;
		w->last = w->next;
		if (range.len > 0)
			(void)bytes_number(range, &w->last);
	} else
		w->next++;
	*uid = (uint32_t)w->next;
	return true;
}

/* ---- one mailbox ---- */

struct found {
	struct buffer uids;
	uint32_t      uidvalidity;
};

/* esearch-response = "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data)   rfc4466:2.6.2 */
static void
hear_found(void *ctx, struct client *c, const struct client_answer *a)
{
	struct found       *f = ctx;
	struct client_value v;

	if (!bytes_is(a->word, "ESEARCH"))
		return;
	do
		client_next(c, &v);
	while (v.kind != VALUE_END && !(v.kind == VALUE_ATOM && bytes_is(v.text, "ALL")));
	client_next(c, &v);
	if (v.kind == VALUE_ATOM)
		buffer_add(&f->uids, v.text);
}

/* "* OK [UIDVALIDITY 17] ..." */
static void
hear_select(void *ctx, struct client *c, const struct client_answer *a)
{
	struct found *f = ctx;
	struct bytes  text = a->text, code = BYTES("[UIDVALIDITY ");
	uint64_t      n;

	(void)c;
	if (!bytes_starts_nocase(text, code))
		return;
	text = bytes_cut(text, code.len, text.len);
	if (bytes_number(bytes_cut(text, 0,
	                           (size_t)(bytes_find(text, ']') < 0 ? 0 : bytes_find(text, ']'))),
	                 &n))
		f->uidvalidity = (uint32_t)n;
}

static int
complain(struct client *c, const char *mailbox)
{
	(void)fprintf(stderr, "mansio: %s: %s: %s\n", client_user(c), mailbox, client_said(c));
	return COMMAND_FAILED;
}

static int
search_mailbox(struct client *c, const struct selection *s, const char *name, const char *id)
{
	struct found  f = { .uidvalidity = 0 };
	struct chosen chosen = { .client = c, .mailbox = name, .id = id };
	int           status = COMMAND_DONE;

	buffer_add_string(client_begin(c), s->write ? "SELECT " : "EXAMINE ");
	client_put_mailbox(c, name);
	if (client_run(c, hear_select, &f) != CLIENT_OK)
		return complain(c, name);
	buffer_add_string(client_begin(c), "UID SEARCH RETURN (ALL) ");
	query_write(&s->query, c, name, id);
	if (client_run(c, hear_found, &f) != CLIENT_OK)
		status = complain(c, name);
	chosen.uidvalidity = f.uidvalidity;
	chosen.uids = buffer_bytes(&f.uids);
	if (status == COMMAND_DONE && f.uids.len > 0)
		status = s->each(s->ctx, &chosen);
	buffer_free(&f.uids);
	return status;
}

/* ---- one account ---- */

static int
check_named(const struct selection *s, const struct folders *all, const char *user)
{
	const char *name;
	int         status = COMMAND_DONE;

	for (size_t i = 0; (name = query_named(&s->query, i)) != NULL; i++) {
		bool there = false;
		for (size_t k = 0; k < all->count && !there; k++)
			there = all->one[k].exists &&
			        pattern_of_any((char *const[]){ (char *)(uintptr_t)name }, 1,
			                       all->one[k].name);
		if (there)
			continue;
		(void)fprintf(stderr, "mansio: %s: there is no mailbox %s\n", user, name);
		status = COMMAND_NOT_FOUND;
	}
	return status;
}

/* What others show to this account is theirs: it is looked at where the query names it. */
static bool
is_own(const struct selection *s, const char *name)
{
	if (strncmp(name, OTHERS, sizeof OTHERS - 1) != 0 &&
	    strncmp(name, GROUPS, sizeof GROUPS - 1) != 0)
		return true;
	return query_named(&s->query, 0) != NULL;
}

static int
search_account(struct client *c, const struct selection *s)
{
	struct arena  *life = arena_open(NULL);
	struct folders all;
	int            status = COMMAND_FAILED, one;

	if (folders_list(c, life, false, &all) == 0)
		status = check_named(s, &all, client_user(c));
	for (size_t i = 0; status != COMMAND_FAILED && i < all.count; i++) {
		char id[64];
		if (!all.one[i].exists || !is_own(s, all.one[i].name) ||
		    !folder_id(c, all.one[i].name, id) ||
		    !query_wants(&s->query, all.one[i].name, id))
			continue;
		one = search_mailbox(c, s, all.one[i].name, id);
		status = one > status ? one : status;
	}
	arena_close(&life);
	return status;
}

int
selection_run(struct call *call, const char *who, const struct selection *s)
{
	struct people people;
	int           status = client_people(call, who, &people), one;

	for (size_t i = 0; (status == COMMAND_DONE || i > 0) && i < people.count; i++) {
		struct client *c = client_open(call, &people.one[i]);
		one = c != NULL ? search_account(c, s) : COMMAND_FAILED;
		status = one > status ? one : status;
		client_close(&c);
	}
	people_close(&people);
	return status;
}
