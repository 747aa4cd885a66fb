/* wire-policy.c -- the bodies of words about restriction lists: what is known, and what was decided */
#include "role/wire_inner.h"

enum { NOTES_MOST = 1000 };

#define AT(f) offsetof(struct rule_facts, f)
static const size_t bytes_at[] = {
	AT(listener),      AT(instance),
	AT(queue_id),      AT(address),
	AT(port),          AT(server_address),
	AT(server_port),   AT(name),
	AT(reverse),       AT(helo),
	AT(sender),        AT(recipient),
	AT(sender_whole),  AT(recipient_whole),
	AT(recipient_why), AT(etrn),
	AT(user),          AT(method),
	AT(auth_sender),   AT(tls_protocol),
	AT(tls_cipher),    AT(tls_bits),
	AT(fingerprint),   AT(key_fingerprint),
	AT(subject),       AT(issuer),
	AT(deferred),
};
static const size_t bools_at[] = {
	AT(trusted),     AT(here),      AT(tested),    AT(lmtp),       AT(esmtp),
	AT(tls),         AT(pipelined), AT(helo_said), AT(has_sender), AT(has_recipient),
	AT(tls_trusted), AT(utf8),      AT(unsure),    AT(forwarded),  AT(stress),
};
#undef AT

void
word_pack_policy_ask(struct buffer *b, const struct word_policy_ask *w)
{
	const struct rule_facts *f = &w->facts;

	pack_u8(b, f->moment);
	pack_u8(b, f->named);
	pack_u8(b, f->recipient_is);
	pack_u8(b, f->owner);
	pack_u32(b, f->recipients);
	pack_u64(b, f->size);
	for (size_t i = 0; i < COUNT(bools_at); i++)
		pack_bool(b, *(const bool *)((const char *)f + bools_at[i]));
	for (size_t i = 0; i < COUNT(bytes_at); i++)
		pack_bytes(b, *(const struct bytes *)(const void *)((const char *)f + bytes_at[i]));
}

bool
word_unpack_policy_ask(struct bytes body, struct arena *life, struct word_policy_ask *w)
{
	struct reader      r = reader_of(body, life);
	struct rule_facts *f = &w->facts;

	*f = (struct rule_facts){ 0 };
	f->moment = read_choice(&r, RULE_MOMENTS - 1);
	f->named = read_choice(&r, NAME_LATER);
	f->recipient_is = read_choice(&r, RECIPIENT_CLASSES - 1);
	f->owner = read_choice(&r, OWNED_CLASSES - 1);
	f->recipients = unpack_u32(&r.fields);
	f->size = unpack_u64(&r.fields);
	for (size_t i = 0; i < COUNT(bools_at); i++)
		*(bool *)((char *)f + bools_at[i]) = unpack_bool(&r.fields);
	for (size_t i = 0; i < COUNT(bytes_at); i++)
		*(struct bytes *)(void *)((char *)f + bytes_at[i]) = unpack_bytes(&r.fields);
	return reader_done(&r);
}

void
word_pack_policy_said(struct buffer *b, const struct word_policy_said *w)
{
	const struct rule_verdict *v = &w->verdict;
	uint32_t                   actions = 0, notes = 0;

	for (const struct rule_action *a = v->action; a != NULL; a = a->next)
		actions++;
	for (const struct rule_note *n = v->note; n != NULL; n = n->next)
		notes++;
	pack_u8(b, v->outcome);
	pack_bytes(b, v->reply);
	pack_bytes(b, v->list);
	pack_bytes(b, v->rule);
	pack_bytes(b, v->deferred);
	pack_u32(b, v->sleep_s);
	pack_bytes(b, w->id);
	pack_u32(b, actions < NOTES_MOST ? actions : NOTES_MOST);
	actions = 0;
	for (const struct rule_action *a = v->action; a != NULL && actions < NOTES_MOST;
	     a = a->next, actions++) {
		pack_u8(b, a->deed);
		pack_bytes(b, a->text);
	}
	pack_u32(b, notes < NOTES_MOST ? notes : NOTES_MOST);
	notes = 0;
	for (const struct rule_note *n = v->note; n != NULL && notes < NOTES_MOST;
	     n = n->next, notes++) {
		pack_bytes(b, n->what);
		pack_bytes(b, n->text);
	}
}

static void
read_actions(struct reader *r, struct rule_action **at)
{
	uint32_t n = read_count(r, 5, NOTES_MOST);

	for (uint32_t i = 0; i < n && !r->fields.broken; i++) {
		struct rule_action *a = arena_take(r->life, sizeof *a);
		a->deed = read_choice(r, RULE_DEEDS - 1);
		a->text = unpack_bytes(&r->fields);
		*at = a;
		at = &a->next;
	}
}

static void
read_notes(struct reader *r, struct rule_note **at)
{
	uint32_t n = read_count(r, 8, NOTES_MOST);

	for (uint32_t i = 0; i < n && !r->fields.broken; i++) {
		struct rule_note *note = arena_take(r->life, sizeof *note);
		note->what = unpack_bytes(&r->fields);
		note->text = unpack_bytes(&r->fields);
		*at = note;
		at = &note->next;
	}
}

bool
word_unpack_policy_said(struct bytes body, struct arena *life, struct word_policy_said *w)
{
	struct reader        r = reader_of(body, life);
	struct rule_verdict *v = &w->verdict;

	*v = (struct rule_verdict){ 0 };
	v->outcome = read_choice(&r, RULE_REFUSES);
	v->reply = unpack_bytes(&r.fields);
	v->list = unpack_bytes(&r.fields);
	v->rule = unpack_bytes(&r.fields);
	v->deferred = unpack_bytes(&r.fields);
	v->sleep_s = unpack_u32(&r.fields);
	w->id = unpack_bytes(&r.fields);
	read_actions(&r, &v->action);
	read_notes(&r, &v->note);
	return reader_done(&r) && w->id.len < 24 && v->sleep_s <= RULE_SLEEP_MOST_S &&
	       (v->outcome != RULE_REFUSES || v->reply.len > 10);
}

void
word_pack_policy_told(struct buffer *b, const struct word_policy_told *w)
{
	pack_bytes(b, w->id);
	pack_bytes(b, w->text);
}

bool
word_unpack_policy_told(struct bytes body, struct arena *life, struct word_policy_told *w)
{
	struct reader r = reader_of(body, life);

	w->id = unpack_bytes(&r.fields);
	w->text = unpack_bytes(&r.fields);
	return reader_done(&r) && w->id.len > 0 && w->id.len < 24;
}

void
word_pack_proxy(struct buffer *b, const struct word_proxy *w)
{
	pack_string(b, w->listener);
	pack_bool(b, w->inside);
	pack_bytes(b, w->content);
	pack_u64(b, w->at);
	pack_u64(b, w->len);
	pack_bytes(b, w->prefix);
	for (size_t i = 0; i < PROXY_ATTRIBUTES; i++)
		pack_bytes(b, w->attribute[i]);
	pack_bytes(b, w->sender.address);
	pack_bytes(b, w->sender.envid);
	pack_u8(b, w->sender.ret);
	pack_bool(b, w->sender.eight_bit);
	pack_bool(b, w->sender.utf8);
	pack_u32(b, w->recipients);
	for (uint32_t i = 0; i < w->recipients; i++) {
		pack_bytes(b, w->recipient[i].address);
		pack_bytes(b, w->recipient[i].orcpt);
		pack_u8(b, w->recipient[i].notify);
	}
}

/* What becomes part of a command: no end of a line in it. */
static struct bytes
read_word(struct reader *r)
{
	struct bytes word = unpack_bytes(&r->fields);

	for (size_t i = 0; i < word.len; i++)
		if ((unsigned char)word.at[i] < ' ')
			r->fields.broken = true;
	return word;
}

bool
word_unpack_proxy(struct bytes body, struct arena *life, struct word_proxy *w)
{
	enum { EACH = 4 + 4 + 1 };
	struct reader            r = reader_of(body, life);
	struct letter_recipient *recipient;

	w->listener = read_string(&r);
	w->inside = unpack_bool(&r.fields);
	w->content = unpack_bytes(&r.fields);
	w->at = unpack_u64(&r.fields);
	w->len = unpack_u64(&r.fields);
	w->prefix = unpack_bytes(&r.fields);
	for (size_t i = 0; i < PROXY_ATTRIBUTES; i++)
		w->attribute[i] = unpack_bytes(&r.fields);
	w->sender.address = read_word(&r);
	w->sender.envid = read_word(&r);
	w->sender.ret = unpack_u8(&r.fields);
	w->sender.eight_bit = unpack_bool(&r.fields);
	w->sender.utf8 = unpack_bool(&r.fields);
	w->recipients = read_count(&r, EACH, ENVELOPE_RECIPIENTS_MOST);
	recipient = arena_take_array(life, w->recipients, sizeof *recipient);
	for (uint32_t i = 0; i < w->recipients; i++) {
		recipient[i].address = read_word(&r);
		recipient[i].orcpt = read_word(&r);
		recipient[i].notify = unpack_u8(&r.fields);
	}
	w->recipient = recipient;
	return reader_done(&r) && w->recipients > 0;
}

void
word_pack_proxied(struct buffer *b, const struct word_proxied *w)
{
	pack_bytes(b, w->reply);
}

bool
word_unpack_proxied(struct bytes body, struct arena *life, struct word_proxied *w)
{
	struct reader r = reader_of(body, life);

	w->reply = unpack_bytes(&r.fields);
	return reader_done(&r) && w->reply.len > 3;
}
