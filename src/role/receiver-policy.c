/*
 * receiver-policy -- restriction lists, as the receiver judges them
 *
 * It judges first by itself with what it knows: most letters need no more, and then nobody is asked.  Where the lists need an
 * answer it has not, role policy judges all of it anew (POLICY_ASK); the receiver asks nobody else.
 */
#include "role/policy.h"
#include "role/receiver.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/journal.h"

enum { DEEDS_MOST = 1000 };

_Static_assert((int)AT_CONNECT == (int)MOMENT_CONNECT && (int)AT_ETRN == (int)MOMENT_ETRN &&
                       (int)AT_END == (int)MOMENT_END && (int)AT_RCPT == (int)MOMENT_RCPT,
               "the session's moments are the rules'");
_Static_assert((int)NAME_CONFIRMED == (int)NAMED && (int)NAME_LATER == (int)NAMED_LATER,
               "its names are theirs");
_Static_assert((int)DEED_HOLD == (int)DO_HOLD && (int)DEED_PREPEND == (int)DO_PREPEND &&
                       (int)DEED_REDIRECT == (int)DO_REDIRECT && (int)DEED_PASS == (int)DO_PASS,
               "and its deeds");

static struct bytes
ticket_key(const uint32_t *ticket)
{
	return (struct bytes){ (const char *)ticket, sizeof *ticket };
}

static void
drop_lists(void *lists)
{
	struct rules *rules = lists;

	rules_drop(&rules);
}

bool
policy_lists(struct house *h, struct receiver_config *c, struct buffer *errors)
{
	struct buffer warnings = { 0 };
	struct rules *rules = policy_compile(h->settings, c->listener, errors, &warnings);

	buffer_free(&warnings);
	c->lists = rules;
	c->lists_drop = rules == NULL ? NULL : drop_lists;
	c->judges_clients =
		rules != NULL && (rules_have(rules, AT_CONNECT) || rules_have(rules, AT_HELO));
	return rules != NULL;
}

/*
 * What is known
 */

static void
facts_of_tls(struct session *s, struct arena *a, struct rule_facts *f)
{
	struct tls_facts t;

	if (!session_tls(s, &t))
		return;
	f->tls_protocol = arena_keep(a, bytes_of(t.version));
	f->tls_cipher = arena_keep(a, bytes_of(t.cipher));
	f->tls_bits = bytes_of(arena_printf(a, "%d", t.bits));
	f->fingerprint = arena_keep(a, bytes_of(t.fingerprint));
	f->key_fingerprint = arena_keep(a, bytes_of(t.key_fingerprint));
	f->tls_trusted = t.trusted;
	f->subject = arena_keep(a, bytes_of(t.subject));
	f->issuer = arena_keep(a, bytes_of(t.issuer));
}

static void
facts_of(struct session *s, enum session_moment moment, struct arena *a, struct rule_facts *f)
{
	static const enum rule_owner owners[] = { [OWNER_SELF] = OWNED_BY_SELF,
		                                  [OWNER_OTHER] = OWNED_BY_OTHER,
		                                  [OWNER_NONE] = OWNED_BY_NONE,
		                                  [OWNER_LATER] = OWNED_LATER };
	struct session_facts         is;

	session_facts(s, &is);
	*f = (struct rule_facts){
		.moment = (uint8_t)moment,
		.named = is.named,
		.recipient_is = is.recipient_known
		                        ? (uint8_t)policy_recipient((uint8_t)is.recipient_is)
		                        : RECIPIENT_UNASKED,
		.owner = is.owner_known ? (uint8_t)owners[is.owner] : OWNED_UNASKED,
		.trusted = is.trusted,
		.unsure = is.unsure,
		.here = is.here,
		.tested = is.tested,
		.lmtp = is.lmtp,
		.esmtp = is.extended,
		.tls = is.secure,
		.pipelined = is.pipelined,
		.helo_said = is.helo_said,
		.has_sender = is.has_sender,
		.has_recipient = is.has_recipient,
		.utf8 = is.utf8,
		.forwarded = is.forwarded,
		.stress = is.stress,
		.recipients = is.recipients,
		.size = is.size,
		.listener = bytes_of(session_config(s)->listener),
		.address = bytes_of(is.peer->text),
		.name = bytes_of(is.name),
		.reverse = bytes_of(is.reverse),
		.helo = is.helo,
		.sender = is.sender,
		.recipient = is.recipient,
		.sender_whole = is.sender_whole,
		.recipient_whole = is.recipient_whole,
		.recipient_why = is.recipient_why,
		.etrn = is.etrn,
		.user = is.user,
		.method = is.method,
		.auth_sender = is.auth_sender,
		.deferred = is.deferred,
	};
	if (is.secure)
		facts_of_tls(s, a, f);
}

/* The letter's id is not known before it lies on the disk; who is told of it before that hears this name, and so does the log. */
const char *
visit_transaction(struct visit *v)
{
	static uint32_t      next;
	struct session_facts is;

	session_facts(v->session, &is);
	if (v->transaction[0] == '\0' || v->transactions != is.number)
		(void)snprintf(v->transaction, sizeof v->transaction, "%" PRIX64 "%02X%03X",
		               (uint64_t)clock_wall_us(), v->receiver->house->index & 0xff,
		               next++ & 0xfff);
	v->transactions = is.number;
	session_called(v->session, v->transaction);
	return v->transaction;
}

static struct bytes
port_text(uint16_t port, struct arena *a)
{
	return port != 0 ? bytes_of(arena_printf(a, "%u", (unsigned)port)) : BYTES("unknown");
}

/* What only those need that role policy asks. */
static void
facts_for_services(struct session *s, struct arena *a, struct rule_facts *f)
{
	struct visit        *v = *session_held(s);
	struct peer          here = v->here;
	struct session_facts is;

	session_facts(s, &is);
	session_here(s, &here);
	/* As Postfix: from the first recipient that was taken. */
	if (is.recipients > 0)
		f->queue_id = bytes_of(visit_transaction(v));
	f->instance = bytes_of(arena_printf(a, "%x.%x.%llx", (unsigned)getpid(), v->number,
	                                    (unsigned long long)is.number));
	f->port = port_text(is.peer->port, a);
	if (here.family == AF_INET || here.family == AF_INET6 ||
	    strcmp(here.text, "unknown") == 0) {
		f->server_address = arena_keep(a, bytes_of(here.text));
		f->server_port = port_text(here.port, a);
	}
}

/*
 * What was decided
 */

static void
tell(struct session *s, const struct rule_verdict *v, struct bytes id, struct arena *a)
{
	struct session_verdict out = {
		.refused = v->outcome == RULE_REFUSES,
		.reply = v->reply,
		.rule = v->rule,
		.id = id,
		.deferred = v->deferred,
		.sleep_s = v->sleep_s,
	};
	struct session_deed *deed;
	size_t               n = 0;

	for (const struct rule_note *note = v->note; note != NULL; note = note->next)
		session_note(s, note->what, note->text);
	for (const struct rule_action *d = v->action; d != NULL; d = d->next)
		n++;
	out.deed = deed = arena_take_array(a, n + 1, sizeof *deed);
	for (const struct rule_action *d = v->action; d != NULL && out.deeds < DEEDS_MOST;
	     d = d->next)
		deed[out.deeds++] =
			(struct session_deed){ (enum session_deed_kind)d->deed, d->text };
	session_policy(s, &out);
}

/* A refusal that needed nobody: role policy remembers why. */
static void
tell_why(struct house *h, const struct rules *rules, const struct rule_facts *f, struct arena *a,
         struct bytes id)
{
	struct link            *l = house_link(h, POLICY, 0);
	struct buffer           trace = { 0 }, text = { 0 };
	struct rule_verdict     v = rules_judge(rules, f, &rule_needs_nothing, NULL, a, &trace);
	struct word_policy_told w = { .id = id };

	refusal_describe(f, &v, buffer_bytes(&trace), &text);
	w.text = buffer_bytes(&text);
	if (l != NULL) {
		word_pack_policy_told(link_begin(l, WORD_POLICY_TOLD, 0), &w);
		link_end(l);
	}
	buffer_free(&trace);
	buffer_free(&text);
}

struct bytes
need_remember(void *house, struct session *s, const struct session_refusal *said)
{
	static char             id[REFUSAL_ID_ROOM];
	struct link            *l = house_link(house, POLICY, 0);
	struct visit           *v = *session_held(s);
	struct arena           *a = arena_open(NULL);
	struct rule_verdict     is = { .reply = said->reply,
		                       .rule = said->by,
		                       .list = bytes_of(said->verb) };
	struct word_policy_told w = { 0 };
	struct buffer           text = { 0 };
	struct rule_facts       f;

	id[0] = '\0';
	if (l != NULL && v != NULL) {
		facts_of(s, MOMENT_RCPT, a, &f);
		f.recipient = said->recipient;
		refusal_describe(&f, &is, BYTES(""), &text);
		refusal_id(id);
		w = (struct word_policy_told){ .id = bytes_of(id), .text = buffer_bytes(&text) };
		word_pack_policy_told(link_begin(l, WORD_POLICY_TOLD, 0), &w);
		link_end(l);
	}
	buffer_free(&text);
	arena_close(&a);
	return bytes_of(id);
}

static void
say_ask(struct receiver *r, struct visit *v, struct arena *a, const struct rule_facts *f)
{
	struct link           *l = house_link(r->house, POLICY, 0);
	struct word_policy_ask w = { *f };

	if (l == NULL)
		return; /* policy_again() */
	facts_for_services(v->session, a, &w.facts);
	word_pack_policy_ask(link_begin(l, WORD_POLICY_ASK, v->ticket), &w);
	link_end(l);
}

bool
need_policy(void *house, struct session *s, enum session_moment moment)
{
	struct receiver    *r = receiver_of(house);
	struct visit       *v = *session_held(s);
	struct rules       *rules = session_config(s)->lists;
	struct arena       *a;
	struct rule_facts   f;
	struct rule_verdict is;
	char                id[REFUSAL_ID_ROOM] = "";

	if (v == NULL || !rules_have(rules, (enum rule_moment)moment))
		return false;
	a = arena_open(NULL);
	facts_of(s, moment, a, &f);
	is = rules_judge(rules, &f, &rule_needs_nothing, NULL, a, NULL);
	if (is.outcome == RULE_WAIT) {
		v->judging = true;
		v->moment = (uint8_t)moment;
		v->asked_at = clock_patient_ms();
		(void)map_put(r->visits, ticket_key(&v->ticket), v);
		say_ask(r, v, a, &f);
	} else {
		if (is.outcome == RULE_REFUSES) {
			refusal_id(id);
			tell_why(house, rules, &f, a, bytes_of(id));
		}
		tell(s, &is, bytes_of(id), a);
	}
	arena_close(&a);
	return true;
}

bool
need_wants_owner(void *house, struct session *s)
{
	struct arena     *a = arena_open(NULL);
	struct rule_facts f;
	bool              wants;

	(void)house;
	facts_of(s, MOMENT_RCPT, a, &f);
	wants = rules_want_owner(session_config(s)->lists, &f);
	arena_close(&a);
	return wants;
}

/* It is no longer asked; an answer that is still under way is for nobody. */
static void
judged(struct receiver *r, struct visit *v)
{
	(void)map_drop(r->visits, ticket_key(&v->ticket));
	v->judging = false;
	v->ticket = ++r->next_ticket;
}

bool
hear_policy_said(struct house *h, uint32_t ticket, struct bytes body)
{
	struct receiver        *r = receiver_of(h);
	struct visit           *v = map_get(r->visits, ticket_key(&ticket));
	struct arena           *a = arena_open(NULL);
	struct word_policy_said w;
	bool                    good = word_unpack_policy_said(body, a, &w);

	if (good && v != NULL && v->judging) {
		judged(r, v);
		tell(v->session, &w.verdict, w.id, a);
	}
	arena_close(&a);
	return good;
}

void
policy_again(struct receiver *r, struct visit *v)
{
	struct arena     *a = arena_open(NULL);
	struct rule_facts f;

	facts_of(v->session, (enum session_moment)v->moment, a, &f);
	say_ask(r, v, a, &f);
	arena_close(&a);
}

void
policy_late(struct receiver *r, struct visit *v)
{
	static const struct session_verdict late = {
		.refused = true,
		.reply = { "451 4.3.0 Error: it cannot be judged now", 40 },
	};

	judged(r, v);
	session_policy(v->session, &late);
}
