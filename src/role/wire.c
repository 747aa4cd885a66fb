#include "directory/resolve.h"
#include "role/wire_inner.h"

#include "directory/directory.h"
#include "directory/table.h"
#include "message/digest.h"
#include "message/envelope.h"
#include "message/search.h"

/* clang-format off */
const char *const role_names[ROLES] = {
	[POSTMASTER] = "postmaster", [RECEIVER] = "receiver", [LOGIN] = "login",
	[VERIFIER] = "verifier",     [QUEUE] = "queue",       [KEEPER] = "keeper",
	[CLERK] = "clerk",           [SIGNER] = "signer",     [PAM] = "pam",
	[PROXYMAP] = "proxymap",     [POLICY] = "policy",     [SENDER] = "sender",
	[CHRONICLE] = "chronicle",   [CERTIFIER] = "certifier", [GUIDE] = "guide",
	[COMMAND] = "command",
};
/* clang-format on */

static const struct {
	const char *name;
	unsigned    from, to;
} words[WORD_COUNT] = { [WORD_NONE] = { "NONE", 0, 0 },
#define X(word, who, whom) [WORD_##word] = { #word, who, whom },
	                WORDS(X)
#undef X
};

const char *
word_name(uint16_t word)
{
	return word < WORD_COUNT ? words[word].name : "unheard of";
}

bool
word_allowed(uint16_t word, enum role from, enum role to)
{
	return word < WORD_COUNT && (words[word].from & FROM(from)) != 0 &&
	       (words[word].to & FROM(to)) != 0;
}

bool
word_allowed_of(uint16_t word, enum role from, uint32_t index)
{
	static const enum word of_the_log[] = { WORD_SEGMENT_WANT, WORD_SEGMENT_DONE, WORD_LETTER,
		                                WORD_REFERRED, WORD_MOVED_DONE };

	for (size_t i = 0; i < COUNT(of_the_log); i++)
		if (word == of_the_log[i])
			return from != KEEPER || (index & KEEPER_OF_USER) == 0;
	return true;
}

bool
word_pair(enum role a, enum role b)
{
	for (int word = WORD_NONE + 1; word < WORD_COUNT; word++)
		if (word_allowed((uint16_t)word, a, b) || word_allowed((uint16_t)word, b, a))
			return true;
	return false;
}

/*
 * The bodies, in the order of wire.h; those of letters and sessions are in wire-letter.c
 */

void
word_pack_resource(struct buffer *b, const struct word_resource *w)
{
	pack_string(b, w->name);
	pack_string(b, w->text);
}

bool
word_unpack_resource(struct bytes body, struct arena *life, struct word_resource *w)
{
	struct reader r = reader_of(body, life);

	w->name = read_string(&r);
	w->text = read_string(&r);
	return reader_done(&r);
}

void
word_pack_peer(struct buffer *b, const struct word_peer *w)
{
	pack_u8(b, (uint8_t)w->role);
	pack_u32(b, w->index);
	pack_u32(b, w->of);
	pack_u32(b, w->pid);
}

bool
word_unpack_peer(struct bytes body, struct arena *life, struct word_peer *w)
{
	struct reader r = reader_of(body, life);

	w->role = read_role(&r);
	w->index = unpack_u32(&r.fields);
	w->of = unpack_u32(&r.fields);
	w->pid = unpack_u32(&r.fields);
	return reader_done(&r) &&
	       (w->index < w->of || (w->role == KEEPER && (w->index & KEEPER_OF_USER) != 0));
}

void
word_pack_status(struct buffer *b, const struct word_status *w)
{
	pack_u32(b, w->connections);
	pack_string(b, w->text);
}

bool
word_unpack_status(struct bytes body, struct arena *life, struct word_status *w)
{
	struct reader r = reader_of(body, life);

	w->connections = unpack_u32(&r.fields);
	w->text = read_string(&r);
	return reader_done(&r);
}

void
word_pack_wrong(struct buffer *b, const struct word_wrong *w)
{
	pack_u8(b, (uint8_t)w->role);
	pack_u32(b, w->index);
	pack_u16(b, w->word);
}

bool
word_unpack_wrong(struct bytes body, struct arena *life, struct word_wrong *w)
{
	struct reader r = reader_of(body, life);

	w->role = read_role(&r);
	w->index = unpack_u32(&r.fields);
	w->word = unpack_u16(&r.fields);
	return reader_done(&r);
}

void
word_pack_sign(struct buffer *b, const struct word_sign *w)
{
	pack_bytes(b, w->key_id);
	pack_u8(b, w->kind);
	pack_u32(b, (uint32_t)w->padding);
	pack_bytes(b, w->input);
}

bool
word_unpack_sign(struct bytes body, struct arena *life, struct word_sign *w)
{
	struct reader r = reader_of(body, life);

	w->key_id = unpack_bytes(&r.fields);
	w->kind = read_choice(&r, TLS_SIGN_RSA);
	w->padding = read_i32(&r);
	w->input = unpack_bytes(&r.fields);
	return reader_done(&r);
}

void
word_pack_signed(struct buffer *b, const struct word_signed *w)
{
	pack_bool(b, w->ok);
	pack_bytes(b, w->signature);
}

bool
word_unpack_signed(struct bytes body, struct arena *life, struct word_signed *w)
{
	struct reader r = reader_of(body, life);

	w->ok = unpack_bool(&r.fields);
	w->signature = unpack_bytes(&r.fields);
	return reader_done(&r);
}

void
word_pack_auth_start(struct buffer *b, const struct word_auth_start *w)
{
	pack_string(b, w->service);
	pack_bytes(b, w->mechanism);
	pack_bool(b, w->has_initial);
	pack_bytes(b, w->initial);
	pack_bytes(b, w->user);
	pack_bytes(b, w->password);
	pack_peer(b, &w->peer);
	pack_bool(b, w->tls);
	pack_bytes(b, w->binding);
	pack_bool(b, w->plus);
	pack_bool(b, w->lent);
}

bool
word_unpack_auth_start(struct bytes body, struct arena *life, struct word_auth_start *w)
{
	struct reader r = reader_of(body, life);

	w->service = read_string(&r);
	w->mechanism = unpack_bytes(&r.fields);
	w->has_initial = unpack_bool(&r.fields);
	w->initial = unpack_bytes(&r.fields);
	w->user = unpack_bytes(&r.fields);
	w->password = unpack_bytes(&r.fields);
	read_peer(&r, &w->peer);
	w->tls = unpack_bool(&r.fields);
	w->binding = unpack_bytes(&r.fields);
	w->plus = unpack_bool(&r.fields);
	w->lent = unpack_bool(&r.fields);
	return reader_done(&r);
}

void
word_pack_auth_done(struct buffer *b, const struct word_auth_done *w)
{
	pack_u8(b, w->answer);
	pack_string(b, w->user);
	pack_u64(b, w->account);
	pack_string(b, w->text);
	pack_bytes(b, w->last);
	pack_bytes(b, w->pass);
}

bool
word_unpack_auth_done(struct bytes body, struct arena *life, struct word_auth_done *w)
{
	struct reader r = reader_of(body, life);

	w->answer = read_choice(&r, AUTH_DISABLED);
	w->user = read_string(&r);
	w->account = unpack_u64(&r.fields);
	w->text = read_string(&r);
	w->last = unpack_bytes(&r.fields);
	w->pass = unpack_bytes(&r.fields);
	return reader_done(&r);
}

void
word_pack_resolve(struct buffer *b, const struct word_resolve *w)
{
	pack_bytes(b, w->address);
	pack_bool(b, w->as_written);
	pack_bool(b, w->notice);
	pack_bool(b, w->probe);
	pack_bool(b, w->local);
	pack_bool(b, w->let_go);
	pack_bytes(b, w->sender);
	pack_bool(b, w->sent);
	pack_u64(b, w->size);
}

bool
word_unpack_resolve(struct bytes body, struct arena *life, struct word_resolve *w)
{
	struct reader r = reader_of(body, life);

	w->address = unpack_bytes(&r.fields);
	w->as_written = unpack_bool(&r.fields);
	w->notice = unpack_bool(&r.fields);
	w->probe = unpack_bool(&r.fields);
	w->local = unpack_bool(&r.fields);
	w->let_go = unpack_bool(&r.fields);
	w->sender = unpack_bytes(&r.fields);
	w->sent = unpack_bool(&r.fields);
	w->size = unpack_u64(&r.fields);
	return reader_done(&r);
}

void
word_pack_table_ask(struct buffer *b, const struct word_table_ask *w)
{
	pack_string(b, w->table);
	pack_bytes(b, w->key);
}

bool
word_unpack_table_ask(struct bytes body, struct arena *life, struct word_table_ask *w)
{
	struct reader r = reader_of(body, life);

	w->table = read_string(&r);
	w->key = unpack_bytes(&r.fields);
	return reader_done(&r);
}

void
word_pack_table_said(struct buffer *b, const struct word_table_said *w)
{
	pack_u8(b, w->outcome);
	pack_bytes(b, w->value);
}

bool
word_unpack_table_said(struct bytes body, struct arena *life, struct word_table_said *w)
{
	struct reader r = reader_of(body, life);

	w->outcome = read_choice(&r, TABLE_LATER);
	w->value = unpack_bytes(&r.fields);
	return reader_done(&r);
}

enum { EACH_KEY = 4, EACH_ANSWER = 1 + 4 };

void
word_pack_table_ask_all(struct buffer *b, const struct word_table_ask_all *w)
{
	pack_string(b, w->table);
	pack_u32(b, w->keys);
	for (uint32_t i = 0; i < w->keys; i++)
		pack_bytes(b, w->key[i]);
}

bool
word_unpack_table_ask_all(struct bytes body, struct arena *life, struct word_table_ask_all *w)
{
	struct reader r = reader_of(body, life);
	struct bytes *key;

	w->table = read_string(&r);
	w->keys = read_count(&r, EACH_KEY, TABLE_ASK_ALL_MOST);
	key = arena_take_array(life, w->keys, sizeof *key);
	for (uint32_t i = 0; i < w->keys; i++)
		key[i] = unpack_bytes(&r.fields);
	w->key = key;
	return reader_done(&r) && w->keys > 0;
}

void
word_pack_table_said_all(struct buffer *b, const struct word_table_said_all *w)
{
	pack_u32(b, w->answers);
	for (uint32_t i = 0; i < w->answers; i++)
		word_pack_table_said(b, &w->answer[i]);
}

bool
word_unpack_table_said_all(struct bytes body, struct arena *life, struct word_table_said_all *w)
{
	struct reader           r = reader_of(body, life);
	struct word_table_said *answer;

	w->answers = read_count(&r, EACH_ANSWER, TABLE_ASK_ALL_MOST);
	answer = arena_take_array(life, w->answers, sizeof *answer);
	for (uint32_t i = 0; i < w->answers; i++) {
		answer[i].outcome = read_choice(&r, TABLE_LATER);
		answer[i].value = unpack_bytes(&r.fields);
	}
	w->answer = answer;
	return reader_done(&r) && w->answers > 0;
}

void
word_pack_resolved(struct buffer *b, const struct word_resolved *w)
{
	pack_u8(b, w->class);
	pack_bool(b, w->passing);
	pack_string(b, w->table);
	pack_string(b, w->filter);
	pack_u32(b, w->targets);
	for (uint32_t i = 0; i < w->targets; i++) {
		pack_u64(b, w->target[i].account);
		pack_bytes(b, w->target[i].address);
		pack_bytes(b, w->target[i].detail);
		pack_bytes(b, w->target[i].sender);
		pack_bytes(b, w->target[i].entered);
		pack_bytes(b, w->target[i].typed);
	}
}

bool
word_unpack_resolved(struct bytes body, struct arena *life, struct word_resolved *w)
{
	enum { EACH = 8 + 5 * 4 };
	struct reader          r = reader_of(body, life);
	struct resolve_target *target;

	w->class = read_choice(&r, RESOLVE_DISCARDED);
	w->passing = unpack_bool(&r.fields);
	w->table = read_string(&r);
	w->filter = read_string(&r);
	w->targets = read_count(&r, EACH, RESOLVE_TARGETS_MOST);
	target = arena_take_array(life, w->targets, sizeof *target);
	for (uint32_t i = 0; i < w->targets; i++) {
		target[i].account = unpack_u64(&r.fields);
		target[i].address = unpack_bytes(&r.fields);
		target[i].detail = unpack_bytes(&r.fields);
		target[i].sender = unpack_bytes(&r.fields);
		target[i].entered = unpack_bytes(&r.fields);
		target[i].typed = unpack_bytes(&r.fields);
	}
	w->target = target;
	return reader_done(&r);
}

void
word_pack_rewrite(struct buffer *b, const struct word_rewrite *w)
{
	pack_bool(b, w->later);
	pack_bytes(b, w->sender);
	pack_u32(b, w->copies);
	for (uint32_t i = 0; i < w->copies; i++)
		pack_bytes(b, w->copy[i]);
	pack_u32(b, w->headers);
	for (uint32_t i = 0; i < w->headers; i++) {
		pack_bool(b, w->header[i].sender);
		pack_bytes(b, w->header[i].address);
	}
}

bool
word_unpack_rewrite(struct bytes body, struct arena *life, struct word_rewrite *w)
{
	struct reader           r = reader_of(body, life);
	struct bytes           *copy;
	struct rewrite_address *header;

	w->later = unpack_bool(&r.fields);
	w->sender = unpack_bytes(&r.fields);
	w->copies = read_count(&r, 4, 2 * ENVELOPE_RECIPIENTS_MOST);
	w->copy = copy = arena_take_array(life, w->copies, sizeof *copy);
	for (uint32_t i = 0; i < w->copies; i++)
		copy[i] = unpack_bytes(&r.fields);
	w->headers = read_count(&r, 1 + 4, ENVELOPE_RECIPIENTS_MOST);
	w->header = header = arena_take_array(life, w->headers, sizeof *header);
	for (uint32_t i = 0; i < w->headers; i++) {
		header[i].sender = unpack_bool(&r.fields);
		header[i].address = unpack_bytes(&r.fields);
	}
	return reader_done(&r);
}

void
word_pack_ask(struct buffer *b, const struct word_ask *w)
{
	pack_u32(b, w->argc);
	for (uint32_t i = 0; i < w->argc; i++)
		pack_string(b, w->argv[i]);
	pack_bytes(b, w->input);
}

bool
word_unpack_ask(struct bytes body, struct arena *life, struct word_ask *w)
{
	enum { EACH = 4, WORDS_MOST = 4096 };
	struct reader r = reader_of(body, life);
	const char  **argv;

	w->argc = read_count(&r, EACH, WORDS_MOST);
	argv = arena_take_array(life, (size_t)w->argc + 1, sizeof *argv);
	for (uint32_t i = 0; i < w->argc; i++)
		argv[i] = read_string(&r);
	w->argv = argv;
	w->input = unpack_bytes(&r.fields);
	return reader_done(&r);
}

void
word_pack_say(struct buffer *b, const struct word_say *w)
{
	pack_u8(b, w->stream);
	pack_bytes(b, w->text);
}

bool
word_unpack_say(struct bytes body, struct arena *life, struct word_say *w)
{
	struct reader r = reader_of(body, life);

	w->stream = read_choice(&r, 2);
	w->text = unpack_bytes(&r.fields);
	return reader_done(&r) && w->stream >= 1;
}

void
word_pack_event(struct buffer *b, const struct word_event *w)
{
	pack_u32(b, w->lost);
	pack_bytes(b, w->events);
}

bool
word_unpack_event(struct bytes body, struct arena *life, struct word_event *w)
{
	struct reader r = reader_of(body, life);

	w->lost = unpack_u32(&r.fields);
	w->events = unpack_bytes(&r.fields);
	return reader_done(&r);
}
