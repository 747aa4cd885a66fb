#include "role/wire.h"

#include <sys/socket.h>

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
	[PROXYMAP] = "proxymap",     [COMMAND] = "command",
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
 * What several bodies share.  A reader holds the fields' first fault and the
 * arena for what cannot be a view.
 */
struct reader {
	struct unpack fields;
	struct arena *life;
};

static struct reader
reader_of(struct bytes body, struct arena *life)
{
	return (struct reader){ unpack_of(body), life };
}

static bool
reader_done(const struct reader *r)
{
	return unpack_done(&r->fields);
}

/* A word of our own: no NUL in it. */
static const char *
read_string(struct reader *r)
{
	struct bytes b = unpack_bytes(&r->fields);

	if (bytes_find(b, '\0') >= 0)
		r->fields.broken = true;
	return r->fields.broken ? "" : arena_copy(r->life, b);
}

/* One of the values 0..most of an enum. */
static uint8_t
read_choice(struct reader *r, uint8_t most)
{
	uint8_t n = unpack_u8(&r->fields);

	if (n > most)
		r->fields.broken = true;
	return r->fields.broken ? 0 : n;
}

static enum role
read_role(struct reader *r)
{
	return (enum role)read_choice(r, ROLES - 1);
}

static int32_t
read_i32(struct reader *r)
{
	return (int32_t)unpack_u32(&r->fields);
}

/* How many items follow, of at least `each` bytes: nobody makes us take memory
   for more than there are. */
static uint32_t
read_count(struct reader *r, size_t each, uint32_t most)
{
	uint32_t n = unpack_u32(&r->fields);

	if (n > most || n > r->fields.rest.len / each)
		r->fields.broken = true;
	return r->fields.broken ? 0 : n;
}

/* A peer's family on the wire; not the system's numbers. */
static const int families[] = { AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6 };

static void
pack_peer(struct buffer *b, const struct peer *p)
{
	uint8_t family = 0;

	for (size_t i = 0; i < COUNT(families); i++)
		if (families[i] == p->family)
			family = (uint8_t)i;
	pack_u8(b, family);
	pack_u16(b, p->port);
	buffer_add(b, (struct bytes){ (const char *)p->raw, sizeof p->raw });
	pack_string(b, p->text);
}

static void
read_peer(struct reader *r, struct peer *p)
{
	p->family = families[read_choice(r, COUNT(families) - 1)];
	p->port = unpack_u16(&r->fields);
	for (size_t i = 0; i < sizeof p->raw; i++)
		p->raw[i] = unpack_u8(&r->fields);
	unpack_string(&r->fields, p->text, sizeof p->text);
}

/*
 * The bodies, in the order of wire.h
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
}

bool
word_unpack_peer(struct bytes body, struct arena *life, struct word_peer *w)
{
	struct reader r = reader_of(body, life);

	w->role = read_role(&r);
	w->index = unpack_u32(&r.fields);
	w->of = unpack_u32(&r.fields);
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
	return reader_done(&r);
}

void
word_pack_resolve(struct buffer *b, const struct word_resolve *w)
{
	pack_bytes(b, w->address);
}

bool
word_unpack_resolve(struct bytes body, struct arena *life, struct word_resolve *w)
{
	struct reader r = reader_of(body, life);

	w->address = unpack_bytes(&r.fields);
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

void
word_pack_resolved(struct buffer *b, const struct word_resolved *w)
{
	pack_u8(b, w->class);
	pack_bool(b, w->passing);
	pack_string(b, w->table);
	pack_u32(b, w->targets);
	for (uint32_t i = 0; i < w->targets; i++) {
		pack_u64(b, w->target[i].account);
		pack_bytes(b, w->target[i].address);
		pack_bytes(b, w->target[i].detail);
		pack_bytes(b, w->target[i].sender);
	}
}

bool
word_unpack_resolved(struct bytes body, struct arena *life, struct word_resolved *w)
{
	enum { EACH = 8 + 4 + 4 + 4 };
	struct reader          r = reader_of(body, life);
	struct resolve_target *target;

	w->class = read_choice(&r, RESOLVE_DISCARDED);
	w->passing = unpack_bool(&r.fields);
	w->table = read_string(&r);
	w->targets = read_count(&r, EACH, ENVELOPE_RECIPIENTS_MOST);
	target = arena_take_array(life, w->targets, sizeof *target);
	for (uint32_t i = 0; i < w->targets; i++) {
		target[i].account = unpack_u64(&r.fields);
		target[i].address = unpack_bytes(&r.fields);
		target[i].detail = unpack_bytes(&r.fields);
		target[i].sender = unpack_bytes(&r.fields);
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
word_pack_segment(struct buffer *b, const struct word_segment *w)
{
	pack_u32(b, w->number);
	pack_u64(b, w->size);
	pack_bool(b, w->own);
	pack_u32(b, (uint32_t)w->why);
}

bool
word_unpack_segment(struct bytes body, struct arena *life, struct word_segment *w)
{
	struct reader r = reader_of(body, life);

	w->number = unpack_u32(&r.fields);
	w->size = unpack_u64(&r.fields);
	w->own = unpack_bool(&r.fields);
	w->why = read_i32(&r);
	return reader_done(&r);
}

void
word_pack_lookup(struct buffer *b, const struct word_lookup *w)
{
	pack_peer(b, &w->peer);
}

bool
word_unpack_lookup(struct bytes body, struct arena *life, struct word_lookup *w)
{
	struct reader r = reader_of(body, life);

	read_peer(&r, &w->peer);
	return reader_done(&r);
}

void
word_pack_looked(struct buffer *b, const struct word_looked *w)
{
	pack_u8(b, w->class);
	pack_bytes(b, w->name);
	pack_bytes(b, w->reverse);
}

bool
word_unpack_looked(struct bytes body, struct arena *life, struct word_looked *w)
{
	struct reader r = reader_of(body, life);

	w->class = unpack_u8(&r.fields);
	w->name = unpack_bytes(&r.fields);
	w->reverse = unpack_bytes(&r.fields);
	return reader_done(&r);
}

void
word_pack_judge(struct buffer *b, const struct word_judge *w)
{
	pack_bool(b, w->inside);
	pack_bytes(b, w->content);
	pack_u64(b, w->at);
	pack_u64(b, w->len);
	pack_bool(b, w->append);
	pack_bytes(b, w->client);
	pack_bytes(b, w->helo);
	pack_bytes(b, w->sender);
	pack_bytes(b, w->user);
	pack_peer(b, &w->peer);
}

bool
word_unpack_judge(struct bytes body, struct arena *life, struct word_judge *w)
{
	struct reader r = reader_of(body, life);

	w->inside = unpack_bool(&r.fields);
	w->content = unpack_bytes(&r.fields);
	w->at = unpack_u64(&r.fields);
	w->len = unpack_u64(&r.fields);
	w->append = unpack_bool(&r.fields);
	w->client = unpack_bytes(&r.fields);
	w->helo = unpack_bytes(&r.fields);
	w->sender = unpack_bytes(&r.fields);
	w->user = unpack_bytes(&r.fields);
	read_peer(&r, &w->peer);
	return reader_done(&r);
}

void
word_pack_judged(struct buffer *b, const struct word_judged *w)
{
	pack_u8(b, w->verdict);
	pack_string(b, w->reply);
	pack_bytes(b, w->prefix);
	pack_bytes(b, w->digest);
}

bool
word_unpack_judged(struct bytes body, struct arena *life, struct word_judged *w)
{
	struct reader r = reader_of(body, life);

	w->verdict = read_choice(&r, JUDGE_LATER);
	w->reply = read_string(&r);
	w->prefix = unpack_bytes(&r.fields);
	w->digest = unpack_bytes(&r.fields);
	return reader_done(&r);
}

void
word_pack_letter(struct buffer *b, const struct word_letter *w)
{
	pack_u64(b, w->letter);
	pack_u32(b, w->envelope_segment);
	pack_u64(b, w->envelope_at);
	pack_u64(b, w->content_len);
	pack_i64(b, w->arrived_us);
	pack_u32(b, w->flags);
	pack_bytes(b, w->sender);
	pack_bytes(b, w->message_id);
	pack_bytes(b, w->client);
	pack_u32(b, w->recipients);
	for (uint32_t i = 0; i < w->recipients; i++) {
		pack_bytes(b, w->recipient[i].address);
		pack_bytes(b, w->recipient[i].orcpt);
		pack_u8(b, w->recipient[i].notify);
	}
}

bool
word_unpack_letter(struct bytes body, struct arena *life, struct word_letter *w)
{
	enum {
		EACH = 4 + 4 + 1,
		NOTIFY_ALL = NOTIFY_NEVER | NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY,
	};
	struct reader            r = reader_of(body, life);
	struct letter_recipient *recipient;

	w->letter = unpack_u64(&r.fields);
	w->envelope_segment = unpack_u32(&r.fields);
	w->envelope_at = unpack_u64(&r.fields);
	w->content_len = unpack_u64(&r.fields);
	w->arrived_us = unpack_i64(&r.fields);
	w->flags = unpack_u32(&r.fields);
	w->sender = unpack_bytes(&r.fields);
	w->message_id = unpack_bytes(&r.fields);
	w->client = unpack_bytes(&r.fields);
	w->recipients = read_count(&r, EACH, ENVELOPE_RECIPIENTS_MOST);
	recipient = arena_take_array(life, w->recipients, sizeof *recipient);
	for (uint32_t i = 0; i < w->recipients; i++) {
		recipient[i].address = unpack_bytes(&r.fields);
		recipient[i].orcpt = unpack_bytes(&r.fields);
		recipient[i].notify = read_choice(&r, NOTIFY_ALL);
	}
	w->recipient = recipient;
	return reader_done(&r);
}

void
word_pack_deliver(struct buffer *b, const struct word_deliver *w)
{
	pack_u64(b, w->letter);
	pack_u32(b, w->envelope_segment);
	pack_u64(b, w->envelope_at);
	pack_u64(b, w->account);
	pack_bytes(b, w->address);
	pack_bytes(b, w->original);
	pack_bytes(b, w->detail);
	pack_bytes(b, w->sender);
}

bool
word_unpack_deliver(struct bytes body, struct arena *life, struct word_deliver *w)
{
	struct reader r = reader_of(body, life);

	w->letter = unpack_u64(&r.fields);
	w->envelope_segment = unpack_u32(&r.fields);
	w->envelope_at = unpack_u64(&r.fields);
	w->account = unpack_u64(&r.fields);
	w->address = unpack_bytes(&r.fields);
	w->original = unpack_bytes(&r.fields);
	w->detail = unpack_bytes(&r.fields);
	w->sender = unpack_bytes(&r.fields);
	return reader_done(&r);
}

void
word_pack_delivered(struct buffer *b, const struct word_delivered *w)
{
	pack_u8(b, w->result);
	pack_string(b, w->status);
	pack_string(b, w->text);
	pack_bool(b, w->again);
	pack_u32(b, w->targets);
	for (uint32_t i = 0; i < w->targets; i++) {
		pack_u64(b, w->target[i].account);
		pack_bytes(b, w->target[i].address);
		pack_bytes(b, w->target[i].detail);
	}
}

bool
word_unpack_delivered(struct bytes body, struct arena *life, struct word_delivered *w)
{
	enum { EACH = 8 + 4 + 4 };
	struct reader          r = reader_of(body, life);
	struct resolve_target *target;

	w->result = read_choice(&r, DELIVER_FORWARDED);
	w->status = read_string(&r);
	w->text = read_string(&r);
	w->again = unpack_bool(&r.fields);
	w->targets = read_count(&r, EACH, ENVELOPE_RECIPIENTS_MOST);
	target = arena_take_array(life, w->targets, sizeof *target);
	for (uint32_t i = 0; i < w->targets; i++) {
		target[i].account = unpack_u64(&r.fields);
		target[i].address = unpack_bytes(&r.fields);
		target[i].detail = unpack_bytes(&r.fields);
	}
	w->target = target;
	return reader_done(&r);
}

bool
word_delivered_fits(const struct word_delivered *w, uint32_t keeper)
{
	if (w->result != DELIVER_FORWARDED)
		return w->targets == 0;
	for (uint32_t i = 0; i < w->targets; i++)
		if (w->target[i].account != 0 &&
		    (!is_system_account(w->target[i].account) ||
		     (KEEPER_OF_USER | system_uid(w->target[i].account)) != keeper))
			return false;
	return (keeper & KEEPER_OF_USER) != 0;
}

void
word_pack_session(struct buffer *b, const struct word_session *w)
{
	pack_string(b, w->protocol);
	pack_string(b, w->user);
	pack_u64(b, w->account);
	pack_string(b, w->method);
	pack_peer(b, &w->peer);
	pack_peer(b, &w->here);
	pack_bool(b, w->tls);
	pack_string(b, w->tls_text);
	pack_string(b, w->session);
	pack_string(b, w->tag);
	pack_bytes(b, w->last);
	pack_bytes(b, w->unread);
}

bool
word_unpack_session(struct bytes body, struct arena *life, struct word_session *w)
{
	struct reader r = reader_of(body, life);

	w->protocol = read_string(&r);
	w->user = read_string(&r);
	w->account = unpack_u64(&r.fields);
	w->method = read_string(&r);
	read_peer(&r, &w->peer);
	read_peer(&r, &w->here);
	w->tls = unpack_bool(&r.fields);
	w->tls_text = read_string(&r);
	w->session = read_string(&r);
	w->tag = read_string(&r);
	w->last = unpack_bytes(&r.fields);
	w->unread = unpack_bytes(&r.fields);
	return reader_done(&r);
}

void
word_pack_decode(struct buffer *b, const struct word_decode *w)
{
	pack_u8(b, w->encoding);
	pack_u64(b, w->at);
	pack_u64(b, w->len);
	pack_u64(b, w->from);
	pack_u64(b, w->most);
	pack_bool(b, w->counts);
}

bool
word_unpack_decode(struct bytes body, struct arena *life, struct word_decode *w)
{
	struct reader r = reader_of(body, life);

	w->encoding = read_choice(&r, ENCODED_OTHER);
	w->at = unpack_u64(&r.fields);
	w->len = unpack_u64(&r.fields);
	w->from = unpack_u64(&r.fields);
	w->most = unpack_u64(&r.fields);
	w->counts = unpack_bool(&r.fields);
	return reader_done(&r);
}

void
word_pack_decoded(struct buffer *b, const struct word_decoded *w)
{
	pack_bool(b, w->good);
	pack_bool(b, w->nul);
	pack_u64(b, w->total);
	pack_u64(b, w->coded);
	pack_u64(b, w->plain);
	pack_bytes(b, w->part);
}

bool
word_unpack_decoded(struct bytes body, struct arena *life, struct word_decoded *w)
{
	struct reader r = reader_of(body, life);

	w->good = unpack_bool(&r.fields);
	w->nul = unpack_bool(&r.fields);
	w->total = unpack_u64(&r.fields);
	w->coded = unpack_u64(&r.fields);
	w->plain = unpack_u64(&r.fields);
	w->part = unpack_bytes(&r.fields);
	return reader_done(&r);
}

static void
pack_extents(struct buffer *b, const struct letter_extent *letter, uint32_t letters)
{
	pack_u32(b, letters);
	for (uint32_t i = 0; i < letters; i++) {
		pack_u64(b, letter[i].at);
		pack_u64(b, letter[i].len);
	}
}

static const struct letter_extent *
read_extents(struct reader *r, uint32_t *letters)
{
	struct letter_extent *letter;

	*letters = unpack_u32(&r->fields);
	if (*letters > r->fields.rest.len / 16) {
		r->fields.broken = true;
		*letters = 0;
	}
	letter = arena_take_array(r->life, *letters + (size_t)1, sizeof *letter);
	for (uint32_t i = 0; i < *letters; i++) {
		letter[i].at = unpack_u64(&r->fields);
		letter[i].len = unpack_u64(&r->fields);
	}
	return letter;
}

void
word_pack_seek(struct buffer *b, const struct word_seek *w)
{
	pack_u8(b, w->where);
	pack_bytes(b, w->field);
	pack_bytes(b, w->needle);
	pack_extents(b, w->letter, w->letters);
}

bool
word_unpack_seek(struct bytes body, struct arena *life, struct word_seek *w)
{
	struct reader r = reader_of(body, life);

	w->where = read_choice(&r, SEARCH_TEXT);
	w->field = unpack_bytes(&r.fields);
	w->needle = unpack_bytes(&r.fields);
	w->letter = read_extents(&r, &w->letters);
	return reader_done(&r);
}

void
word_pack_text(struct buffer *b, const struct word_text *w)
{
	pack_extents(b, w->letter, w->letters);
}

bool
word_unpack_text(struct bytes body, struct arena *life, struct word_text *w)
{
	struct reader r = reader_of(body, life);

	w->letter = read_extents(&r, &w->letters);
	return reader_done(&r);
}

void
word_pack_texted(struct buffer *b, const struct word_texted *w)
{
	pack_u32(b, w->letters);
	for (uint32_t i = 0; i < w->letters; i++) {
		pack_u8(b, w->letter[i].state);
		pack_bytes(b, w->letter[i].header);
		pack_bytes(b, w->letter[i].body);
	}
}

bool
word_unpack_texted(struct bytes body, struct arena *life, struct word_texted *w)
{
	struct reader        r = reader_of(body, life);
	struct letter_texts *letter;

	w->letters = unpack_u32(&r.fields);
	if (w->letters > r.fields.rest.len / 9)
		return false;
	letter = arena_take_array(life, w->letters + (size_t)1, sizeof *letter);
	for (uint32_t i = 0; i < w->letters; i++) {
		letter[i].state = read_choice(&r, TEXT_LATER);
		letter[i].header = unpack_bytes(&r.fields);
		letter[i].body = unpack_bytes(&r.fields);
	}
	w->letter = letter;
	return reader_done(&r);
}

void
word_pack_moved(struct buffer *b, const struct word_moved *w)
{
	pack_u32(b, w->segment);
	pack_u32(b, w->letters);
	for (uint32_t i = 0; i < w->letters; i++) {
		pack_u64(b, w->letter[i].letter);
		pack_u32(b, w->letter[i].content_segment);
		pack_u64(b, w->letter[i].content_at);
		pack_u64(b, w->letter[i].content_len);
		pack_u32(b, w->letter[i].envelope_segment);
		pack_u64(b, w->letter[i].envelope_at);
	}
}

bool
word_unpack_moved(struct bytes body, struct arena *life, struct word_moved *w)
{
	enum { EACH = 8 + 4 + 8 + 8 + 4 + 8 };
	struct reader        r = reader_of(body, life);
	struct moved_letter *letter;

	w->segment = unpack_u32(&r.fields);
	w->letters = read_count(&r, EACH, UINT32_MAX);
	letter = arena_take_array(life, w->letters, sizeof *letter);
	for (uint32_t i = 0; i < w->letters; i++) {
		letter[i].letter = unpack_u64(&r.fields);
		letter[i].content_segment = unpack_u32(&r.fields);
		letter[i].content_at = unpack_u64(&r.fields);
		letter[i].content_len = unpack_u64(&r.fields);
		letter[i].envelope_segment = unpack_u32(&r.fields);
		letter[i].envelope_at = unpack_u64(&r.fields);
	}
	w->letter = letter;
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
