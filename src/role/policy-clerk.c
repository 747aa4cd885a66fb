/* policy-clerk.c -- what rules want to know of the directory and of tables elsewhere */
#include "role/policy.h"

#include <string.h>

#include "base/journal.h"

enum { PATIENCE_MS = 30000 };

static struct bytes
ticket_key(const uint32_t *ticket)
{
	return (struct bytes){ (const char *)ticket, sizeof *ticket };
}

/* The classes of RESOLVED and what they are to a rule. */
enum rule_recipient
policy_recipient(uint8_t class)
{
	static const enum rule_recipient of[] = {
		[RESOLVE_LOCAL] = RECIPIENT_LOCAL,         [RESOLVE_UNKNOWN] = RECIPIENT_UNKNOWN,
		[RESOLVE_FOREIGN] = RECIPIENT_FOREIGN,     [RESOLVE_LATER] = RECIPIENT_LATER,
		[RESOLVE_LOOP] = RECIPIENT_LOOP,           [RESOLVE_FULL_NOW] = RECIPIENT_FULL_NOW,
		[RESOLVE_FULL] = RECIPIENT_FULL,           [RESOLVE_REFUSED] = RECIPIENT_REFUSED,
		[RESOLVE_DISCARDED] = RECIPIENT_DISCARDED,
	};

	return class < COUNT(of) ? of[class] : RECIPIENT_LATER;
}

/* A question to the clerk under a ticket of its own; NULL: there is none now. */
static struct link *
clerk_for(struct policy_question *q)
{
	struct policy *p = policy_of(q->work->house);
	struct link   *l = house_link(q->work->house, CLERK, 0);

	if (l == NULL) {
		policy_answered(q, RULE_ANSWER_LATER, BYTES("the clerk is away"));
		return NULL;
	}
	q->ticket = ++p->next_ticket;
	(void)map_put(p->tickets, ticket_key(&q->ticket), q);
	return l;
}

static void
drop_ticket(struct policy_question *q)
{
	(void)map_drop(policy_of(q->work->house)->tickets, ticket_key(&q->ticket));
}

static void
ask_resolve(struct policy_question *q)
{
	struct link        *l = clerk_for(q);
	struct word_resolve ask = { .address = q->key,
		                    .notice = true,
		                    .probe = strcmp(q->name, "probe") == 0 };

	if (l == NULL)
		return;
	word_pack_resolve(link_begin(l, WORD_RESOLVE, q->ticket), &ask);
	link_end(l);
}
const struct policy_asker policy_asks_resolve = { ask_resolve, drop_ticket, PATIENCE_MS };

static void
ask_owner(struct policy_question *q)
{
	struct link   *l = clerk_for(q);
	struct buffer *b;

	if (l == NULL)
		return;
	b = link_begin(l, WORD_SENDER_ASK, q->ticket);
	pack_string(b, q->name);
	pack_bytes(b, q->key);
	link_end(l);
}
const struct policy_asker policy_asks_owner = { ask_owner, drop_ticket, PATIENCE_MS };

/* Ours to take, and to be passed on as it is: only the server that has it knows whether it is there. */
static bool
is_elsewhere(const struct policy_question *q, const struct word_resolved *said)
{
	return said->class == RESOLVE_LOCAL && said->targets == 1 && said->target[0].account == 0 &&
	       bytes_equal_nocase(said->target[0].address, q->key);
}

static bool
answer_resolved(struct policy_question *q, struct arena *life, struct bytes body)
{
	struct word_resolved said;
	struct buffer        value = { 0 };

	if (!word_unpack_resolved(body, life, &said) || said.class > RESOLVE_DISCARDED)
		return false;
	if (q == NULL)
		return true;
	pack_u8(&value, (uint8_t)(is_elsewhere(q, &said) ? RECIPIENT_ELSEWHERE
	                                                 : policy_recipient(said.class)));
	pack_string(&value, said.table[0] != '\0' || said.class == RESOLVE_FOREIGN
	                            ? said.table
	                            : "virtual mailbox table");
	policy_answered(q, RULE_ANSWER_FOUND, buffer_bytes(&value));
	buffer_free(&value);
	return true;
}

static bool
answer_owner(struct policy_question *q, struct bytes body)
{
	static const enum rule_owner of[] = {
		[SENDER_OWN] = OWNED_BY_SELF,
		[SENDER_OF_ANOTHER] = OWNED_BY_OTHER,
		[SENDER_OF_NOBODY] = OWNED_BY_NONE,
		[SENDER_LATER] = OWNED_LATER,
	};
	struct unpack u = unpack_of(body);
	uint8_t       said = unpack_u8(&u);
	char          value;

	if (!unpack_done(&u) || said >= COUNT(of))
		return false;
	value = (char)of[said];
	if (q != NULL)
		policy_answered(q, RULE_ANSWER_FOUND, (struct bytes){ &value, 1 });
	return true;
}

bool
policy_hear_clerk(struct house *h, enum word word, uint32_t ticket, struct bytes body)
{
	struct policy          *p = policy_of(h);
	struct policy_question *q = map_drop(p->tickets, ticket_key(&ticket));
	struct arena           *life = arena_open(NULL);
	bool                    good;

	if (q != NULL && q->kind != (word == WORD_RESOLVED ? ASK_RESOLVE : ASK_OWNER))
		q = NULL;
	good = word == WORD_RESOLVED ? answer_resolved(q, life, body) : answer_owner(q, body);
	arena_close(&life);
	return good;
}

void
policy_clerk_lost(struct house *h)
{
	struct policy *p = policy_of(h);

	for (struct map_place at = { 0 }; map_next(p->tickets, &at);) {
		policy_answered(at.value, RULE_ANSWER_LATER, BYTES("the clerk died"));
	}
	map_close(&p->tickets);
	p->tickets = map_open();
}

/*
 * Tables elsewhere
 */

static void
table_answered(struct enquiry *e, enum table_outcome outcome, struct bytes value)
{
	struct policy_question *q = (struct policy_question *)e;

	policy_answered(q,
	                outcome == TABLE_FOUND  ? RULE_ANSWER_FOUND
	                : outcome == TABLE_NONE ? RULE_ANSWER_NONE
	                                        : RULE_ANSWER_LATER,
	                value);
}

/* One that is kept here and is not built yet is waited for: policy_tables_changed(). */
static void
ask_table(struct policy_question *q)
{
	q->awaits = !table_is_remote(q->name, tables_default_type(q->work->house->settings));
	if (q->awaits)
		return;
	q->enquiry.answered = table_answered;
	enquiry_ask(policy_of(q->work->house)->enquiries, &q->enquiry, q->name, q->key);
}

static void
drop_table(struct policy_question *q)
{
	if (!q->awaits)
		enquiry_drop(policy_of(q->work->house)->enquiries, &q->enquiry);
}
const struct policy_asker policy_asks_table = { ask_table, drop_table, PATIENCE_MS };
