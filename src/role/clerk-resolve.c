/*
 * clerk-resolve -- who gets the mail, and what is written instead of an address: RESOLVE, REWRITE and
 * `address test`.  Each is a pass over rules (directory/resolve.h); when a table that lives elsewhere must be
 * asked first, the pass is made again when it has answered.
 */
#include "role/clerk-resolve.h"
#include "base/clock.h"
#include "base/journal.h"
#include "policy/witness-settings.h"
#include "role/keeper.h"
#include "role/tables.h"
#include <string.h>
#include <sys/stat.h>

enum { TURN_MS = 5, PASSES_MOST = 50, LONGS_MOST = 2, CLAIMED_MOST = 500 };

static struct clerk *
clerk_of(struct house *h)
{
	return h->mine;
}

/* ---- tables ------------------------------------------------------------------ */

static struct table *
local_table(void *ctx, const char *name)
{
	struct work *w = ctx;

	return tables_local(clerk_of(w->house)->tables, name);
}

static enum table_outcome
kept_answer(void *ctx, const char *name, struct bytes key, struct arena *a, struct bytes *value)
{
	struct work *w = ctx;

	w->elsewhere = true;
	return enquiry_kept(clerk_of(w->house)->enquiries, name, key, a, value);
}

static void
told(void *ctx, const char *name, struct bytes key, enum table_outcome o, struct bytes value)
{
	static const char *const words[] = { [TABLE_NONE] = "no such key",
		                             [TABLE_LATER] = "cannot be told now",
		                             [TABLE_WAIT] = "is asked" };
	struct work             *w = ctx;

	if (w->caller == NULL)
		return;
	buffer_printf(&w->said, "  %s: %.*s: ", name, (int)key.len, key.len > 0 ? key.at : "");
	if (o == TABLE_FOUND || (o == TABLE_LATER && value.len > 0))
		buffer_add(&w->said, value);
	else
		buffer_add_string(&w->said, words[o]);
	buffer_add_char(&w->said, '\n');
}

static const struct lookup_needs lookup_needs = { .local = local_table,
	                                          .told = told,
	                                          .kept = kept_answer };

static enum table_outcome
included(void *ctx, const char *name, struct arena *a, struct bytes *text, bool *leads_on)
{
	struct work  *w = ctx;
	const char   *held = arena_printf(a, "table/%s", name);
	struct buffer b = { 0 };
	int           why = house_resource_read(w->house, held, &b);

	*leads_on = why == 0 && tables_may_include(house_resource(w->house, held));

	*text = arena_keep(a, buffer_bytes(&b));
	buffer_free(&b);
	return why == 0 ? TABLE_FOUND : TABLE_LATER;
}

/* "hash:/etc/aliases", ":/etc/list", ":1000/home/list" */
static uint32_t
file_owner(void *ctx, const char *name)
{
	struct work *w = ctx;
	const char  *path = name[0] == ':' ? name : strchr(name, '/');
	struct stat  st;
	int          fd;

	if (path == NULL)
		return 0;
	fd = house_resource(w->house, arena_printf(w->life, "table/%s", path));
	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_uid : 0;
}

/* A user of a back end, as he would log in. */
static enum table_outcome
person(void *ctx, struct bytes address, struct directory_target *out, bool *unsaid)
{
	struct work *w = ctx;

	return chain_person(w->house, w->lookups, address, w->life, out, unsaid);
}

static void
tell(void *ctx, const char *line)
{
	struct work *w = ctx;

	buffer_add_string(&w->said, line);
	buffer_add_char(&w->said, '\n');
}

/* Once for each, as long as the settings are the same; CLAIMED_MOST of them. */
static void
claimed(void *ctx, struct bytes domain, const char *first, const char *other)
{
	struct work  *w = ctx;
	struct clerk *c = clerk_of(w->house);
	const char   *name =
		arena_printf(w->life, "%.*s %s %s", (int)domain.len, domain.at, first, other);

	if (c->claimed == NULL)
		c->claimed = map_open();
	if (map_count(c->claimed) >= CLAIMED_MOST || map_put(c->claimed, bytes_of(name), c) != NULL)
		return;
	if (*first == '\0')
		warn_("%.*s is a domain of the directory and in %s too: the directory's people get its mail",
		      (int)domain.len, domain.at, other);
	else
		warn_("do not list domain %.*s in BOTH %s and %s: the former has it, and whom the latter's tables alone "
		      "know is refused",
		      (int)domain.len, domain.at, first, other);
}

/* ---- RESOLVE ------------------------------------------------------------------- */

static enum resolve_class
class_of(enum directory_outcome o)
{
	switch (o) {
	case DIRECTORY_OK: return RESOLVE_LOCAL;
	case DIRECTORY_NONE:
	case DIRECTORY_BAD: return RESOLVE_UNKNOWN;
	case DIRECTORY_FOREIGN: return RESOLVE_FOREIGN;
	case DIRECTORY_LOOP: return RESOLVE_LOOP;
	case DIRECTORY_REFUSED: return RESOLVE_REFUSED;
	case DIRECTORY_DISCARDED: return RESOLVE_DISCARDED;
	default: return RESOLVE_LATER;
	}
}

/* Others have waited long enough for a long list. */
static bool
is_enough(void *ctx)
{
	struct work *w = ctx;

	return clock_patient_ms() - w->turn_ms >= TURN_MS;
}

static void
walk_abandon(struct work *w)
{
	struct resolving r = { .walk = w->walk };

	resolve_abandon(&r);
	w->walk = NULL;
	if (w->scratch != NULL)
		arena_clear(w->scratch);
}

/* As far as this turn goes.  A list that was begun before something changed is begun again. */
enum directory_outcome
resolve_in_turns(struct work *w, struct resolving *r, struct resolve_answer *found)
{
	struct clerk          *c = clerk_of(w->house);
	enum directory_outcome o;

	if (w->walk == NULL || w->changes != c->changes)
		walk_abandon(w); /* what a pass before this one needed goes, too */
	w->changes = c->changes;
	if (w->scratch == NULL)
		w->scratch = arena_open(NULL);
	r->arena = w->scratch;
	r->walk = w->walk;
	r->enough = is_enough;
	w->turn_ms = clock_patient_ms();
	o = resolve_address(r, w->address, found);
	w->walk = r->walk;
	return o;
}

static enum directory_outcome pass_test(struct work *);

struct resolving
resolving_of(struct work *w)
{
	struct clerk *c = clerk_of(w->house);

	return (struct resolving){ .unmapped = w->unmapped,
		                   .local = w->local,
		                   .let_go = w->let_go,
		                   .sender = w->sent ? &w->user : NULL,
		                   .directory = c->directory,
		                   .rules = w->probe ? &c->probing : &c->rules,
		                   .lookups = w->lookups,
		                   .arena = w->life,
		                   .asked_at_rcpt = w->from == RECEIVER || w->from == POLICY,
		                   .asked_both = w->pass == pass_test || w->lookup != NULL,
		                   .include = included,
		                   .owner = file_owner,
		                   .person = c->rows.userdb ? person : NULL,
		                   .claimed = w->from == RECEIVER ? claimed : NULL,
		                   .tell = w->caller != NULL ? tell : NULL,
		                   .ctx = w };
}

enum directory_outcome
clerk_make_account(struct work *w, struct directory_target *t)
{
	struct clerk            *c = clerk_of(w->house);
	struct credential        who;
	const struct mail_owner *owner;
	enum directory_outcome   o = clerk_owner_of(w, t, &owner);

	if (o == DIRECTORY_OK)
		o = directory_account_for(c->directory, t->address, c->origin,
		                          t->source != NULL ? t->source : "virtual_mailbox_maps",
		                          owner, w->life, &who);
	if (o == DIRECTORY_OK)
		o = clerk_owner_holds(w, &who);
	if (o != DIRECTORY_OK)
		return o;
	clerk_owned(w->house, &who, owner);
	t->account = who.account;
	t->address = bytes_of(who.address);
	if (t->source != NULL || t->fields.len > 0)
		clerk_apply_fields(w->house, who.address, t->fields);
	if (t->place.len > 0 && !clerk_place(w->house, bytes_of(who.address), t->place))
		return DIRECTORY_LATER;
	return DIRECTORY_OK;
}

/* The people of tables and back ends have accounts like others.  WAIT: a table is to be asked; anything else than OK: not now. */
static enum directory_outcome
make_accounts(struct work *w, struct resolve_answer *found)
{
	enum directory_outcome o = DIRECTORY_OK;

	for (size_t i = 0; i < found->count && o == DIRECTORY_OK; i++)
		if (found->target[i].shadow)
			o = clerk_make_account(w, &found->target[i]);
	return o;
}

/* How much the account may hold by itself or its domain; -1: neither says. */
static int64_t
limit_of(const struct work *w, const struct clerk *c, const struct resolve_target *t)
{
	struct system_row row;
	int64_t           limit;

	if (is_system_account(t->account) &&
	    directory_system_of(c->directory, system_uid(t->account), w->life, &row) ==
	            DIRECTORY_OK &&
	    row.gone == 0 && row.bytes >= 0)
		return row.bytes;
	return directory_limit_of(c->directory, t->address, &limit) == DIRECTORY_OK ? limit : -1;
}

/* What an account would have room for if nothing were in it: its keeper may not have told more yet.
   UINT64_MAX: for any letter that is taken. */
static uint64_t
room_at_most(const struct work *w, const struct clerk *c, const struct resolve_target *t)
{
	int64_t limit = limit_of(w, c, t);

	if (limit < 0)
		limit = c->storage;
	if (limit == 0 || (c->largest != 0 && c->largest <= limit))
		return UINT64_MAX;
	return (uint64_t)limit + (uint64_t)limit / 100 * (uint64_t)c->grace;
}

/* What is for a command or a file of an alias comes into no mailbox, and needs no room in one. */
static bool
is_mailbox(uint64_t account)
{
	return account != 0 &&
	       (!is_system_account(account) || system_kind_of(account) <= SYSTEM_OWN_MAILBOX);
}

/* An account of ours that has no room for the letter, or its domain (rfc1870:6.1, 6.2).  What depends on the size is not kept. */
static void
look_for_room(const struct work *w, struct clerk *c, struct word_resolved *answer)
{
	uint64_t room = clerk_room(c, answer->target[0].account);
	uint64_t all = clerk_total_room(c, answer->target[0].account, answer->target[0].address);

	if (room == UINT64_MAX)
		room = room_at_most(w, c, &answer->target[0]);
	if (all < room)
		room = all;
	if (room == UINT64_MAX)
		return;
	answer->passing = true;
	if (room == 0 || w->size > room)
		answer->class = c->full_later ? RESOLVE_FULL_NOW : RESOLVE_FULL;
}

/* The queue gets the address as it was written where the account's own can be had from it, and else both. */
static struct resolve_target
target_of(const struct work *w, const struct directory_target *t)
{
	struct resolve_target out = { t->account, t->address, t->detail,
		                      t->sender,  t->entered, { NULL, 0 } };

	if (w->from != QUEUE || t->typed.len == 0)
		return out;
	if (bytes_equal(house_plain_address(w->house, w->life, t->typed, t->detail), t->address))
		out.address = t->typed;
	else if (t->account != 0)
		out.typed = t->typed;
	return out;
}

static void
answer_resolve(struct work *w, enum resolve_class class, const struct resolve_answer *found)
{
	struct clerk          *c = clerk_of(w->house);
	struct link           *l = house_link(w->house, w->from, w->index);
	struct resolve_target *target = arena_take_array(w->life, found->count + 1, sizeof *target);
	struct word_resolved   answer = {
		  .class = (uint8_t) class,
		  .table = class == RESOLVE_REFUSED || class == RESOLVE_LOOP ||
                                         class == RESOLVE_FOREIGN
		                   ? found->reply
		                   : found->table,
		  .filter = found->filter,
		  .target = target,
		  .targets = (uint32_t)found->count,
		  .passing = w->elsewhere ||
		             (class == RESOLVE_FOREIGN &&
                            (found->reply[0] != '\0' || c->rules.sender_transports.count > 0)),
	};

	for (size_t i = 0; i < found->count; i++)
		target[i] = target_of(w, &found->target[i]);
	for (size_t i = 0; w->from == QUEUE && i < found->count; i++)
		clerk_total_meet(w->house, target[i].account);
	if (w->from == RECEIVER && found->count == 1 && is_mailbox(target[0].account))
		look_for_room(w, c, &answer);
	if (l == NULL)
		return;
	word_pack_resolved(link_begin(l, WORD_RESOLVED, w->ticket), &answer);
	link_end(l);
}

static enum directory_outcome
pass_resolve(struct work *w)
{
	struct resolving        r = resolving_of(w);
	struct resolve_answer   found = { .table = "virtual mailbox table",
		                          .reply = "",
		                          .filter = "" };
	struct directory_target returned;
	enum directory_outcome  o = DIRECTORY_REFUSED, made;
	enum srs_answer         srs;

	/* What others ask back, or send back, is for nobody. */
	if (prober_is(&clerk_of(w->house)->prober, clock_wall(), w->address)) {
		answer_resolve(w, RESOLVE_DISCARDED, &found);
		return DIRECTORY_DISCARDED;
	}
	srs = clerk_srs_open(w, &found.reply);
	if (srs != SRS_ANSWER_REFUSED)
		o = resolve_in_turns(w, &r, &found);
	if (o == DIRECTORY_MORE || (o == DIRECTORY_WAIT && !w->for_good))
		return o;
	/* What comes back to a name of ours goes on to its sender, however few may relay. */
	if (srs == SRS_ANSWER_OPENED && o == DIRECTORY_FOREIGN) {
		returned = (struct directory_target){ .address = w->address };
		if (found.count == 0)
			found = (struct resolve_answer){ .target = &returned,
				                         .count = 1,
				                         .table = "",
				                         .reply = "",
				                         .filter = "" };
		o = DIRECTORY_OK;
	}
	w->elsewhere = w->elsewhere || srs != SRS_ANSWER_NONE;
	if (o == DIRECTORY_OK || o == DIRECTORY_FOREIGN) {
		made = make_accounts(w, &found);
		if (made == DIRECTORY_WAIT && !w->for_good)
			return made;
		if (made != DIRECTORY_OK)
			o = DIRECTORY_LATER;
	}
	answer_resolve(w, class_of(o), &found);
	return o;
}

/* ---- MAILBOX_ASK ----------------------------------------------------------------- */

/* What becomes of a user's mail that no .forward led away. */
static enum directory_outcome
pass_mailbox(struct work *w)
{
	struct resolving       r = resolving_of(w);
	struct link           *l = house_link(w->house, w->from, w->index);
	enum mailbox_way       way;
	struct bytes           text;
	enum directory_outcome o = resolve_mailbox(&r, w->address, &way, &text);

	if (o == DIRECTORY_WAIT && !w->for_good)
		return o;
	if (l != NULL) {
		struct buffer *b = link_begin(l, WORD_MAILBOX_IS, w->ticket);
		pack_u8(b, (uint8_t)way);
		pack_bytes(b, text);
		link_end(l);
	}
	return o;
}

static enum directory_outcome
worse(enum directory_outcome x, enum directory_outcome y)
{
	if (x == DIRECTORY_LATER || y == DIRECTORY_LATER)
		return DIRECTORY_LATER;
	return x == DIRECTORY_WAIT ? x : y;
}

/* ---- ROUTE ----------------------------------------------------------------------- */

static enum directory_outcome
pass_route(struct work *w)
{
	struct resolving       r = resolving_of(w);
	struct link           *l = house_link(w->house, w->from, w->index);
	struct nexthop         n;
	const char            *sender = "";
	uint32_t               lifetime_s = 0;
	enum directory_outcome o = resolve_nexthop(&r, w->address, w->user, &n);

	o = worse(o, resolve_lifetime(&r, w->address, n.transport, &lifetime_s));
	o = worse(o, clerk_srs_sender(w, &r, &sender));

	if (o == DIRECTORY_WAIT && !w->for_good)
		return o;
	if (l != NULL) {
		word_pack_routed(link_begin(l, WORD_ROUTED, w->ticket),
		                 &(struct word_routed){ .scope = o != DIRECTORY_OK ? ROUTED_LATER
		                                                 : n.domain_alone  ? ROUTED_DOMAIN
		                                                                   : ROUTED_ADDRESS,
		                                        .passing = w->elsewhere || w->forwarded ||
		                                                   w->let_go,
		                                        .transport = n.transport,
		                                        .nexthop = n.destination,
		                                        .sender = sender,
		                                        .lifetime_s = lifetime_s });
		link_end(l);
	}
	return o;
}

/* ---- REWRITE --------------------------------------------------------------------- */

/* Copies for one recipient or for the sender, unless the letter goes there already. */
static void
copy_add(struct word_rewrite *out, struct bytes *list, const struct word_rewrite *asked,
         struct bytes copy)
{
	if (copy.len == 0)
		return;
	for (uint32_t i = 0; i < asked->copies; i++)
		if (bytes_equal_nocase(asked->copy[i], copy))
			return;
	for (uint32_t i = 0; i < out->copies; i++)
		if (bytes_equal_nocase(list[i], copy))
			return;
	list[out->copies++] = copy;
}

static enum directory_outcome
pass_rewrite(struct work *w)
{
	const struct word_rewrite *in = &w->letter;
	struct resolving           r = resolving_of(w);
	struct link               *l = house_link(w->house, w->from, w->index);
	struct word_rewrite        out = { .sender = in->sender, .headers = in->headers };
	struct rewrite_address    *header = arena_take_array(w->life, in->headers, sizeof *header);
	struct bytes              *copy = arena_take_array(w->life, in->copies + 2, sizeof *copy);
	struct bytes               of_sender[2], one;
	size_t                     count = 0;
	enum directory_outcome o = resolve_rewrite(&r, ENVELOPE_SENDER, in->sender, &out.sender);

	o = worse(o, resolve_bcc_sender(&r, out.sender, of_sender, &count));
	for (size_t i = 0; i < count; i++)
		copy_add(&out, copy, in, of_sender[i]);
	for (uint32_t i = 0; i < in->copies; i++) {
		struct bytes rcpt;

		o = worse(o, resolve_rewrite(&r, ENVELOPE_RECIPIENT, in->copy[i], &rcpt));
		one = BYTES("");
		o = worse(o, resolve_bcc_recipient(&r, rcpt, &one));
		copy_add(&out, copy, in, one);
	}
	for (uint32_t i = 0; i < in->headers; i++) {
		header[i] = in->header[i];
		o = worse(o,
		          resolve_rewrite(&r, header[i].sender ? HEADER_SENDER : HEADER_RECIPIENT,
		                          in->header[i].address, &header[i].address));
	}
	if (o == DIRECTORY_WAIT && !w->for_good)
		return o;
	out.later = o == DIRECTORY_LATER || o == DIRECTORY_WAIT;
	out.copy = copy;
	out.header = header;
	if (l != NULL) {
		word_pack_rewrite(link_begin(l, WORD_REWRITTEN, w->ticket), &out);
		link_end(l);
	}
	return o;
}

/* ---- address test ------------------------------------------------------------------ */

static void
say_target(struct work *w, const struct directory_target *t)
{
	static const char *const kinds[SYSTEM_KINDS] = {
		[SYSTEM_MAILBOX] = "user",
		[SYSTEM_OWN_MAILBOX] = "user, past .forward",
		[SYSTEM_COMMAND] = "command",
		[SYSTEM_FILE] = "file",
	};
	enum system_kind kind =
		is_system_account(t->account) ? system_kind_of(t->account) : SYSTEM_KINDS;

	caller_say(w->caller, "goes to: %.*s", (int)t->address.len, t->address.at);
	if (kind < SYSTEM_KINDS)
		caller_say(w->caller, " (%s, uid %lu)", kinds[kind],
		           (unsigned long)system_uid(t->account));
	else
		caller_say(w->caller, t->account != 0 || t->shadow ? " (mailbox)" : " (elsewhere)");
	if (t->detail.len > 0)
		caller_say(w->caller,
		           kind == SYSTEM_COMMAND || kind == SYSTEM_FILE ? ": %.*s"
		                                                         : ", detail %.*s",
		           (int)t->detail.len, t->detail.at);
	if (kind <= SYSTEM_OWN_MAILBOX &&
	    system_uid(t->account) < (uint64_t)w->house->common.first_valid_uid)
		caller_say(w->caller, ", returned: the uid is below first_valid_uid");
	if (t->place.len > 0 && *w->house->common.virtual_mailbox_base != '\0' &&
	    *w->house->common.mail_location == '\0')
		caller_say(w->caller, ", in %s/%.*s", w->house->common.virtual_mailbox_base,
		           (int)t->place.len, t->place.at);
	if (t->sender.len > 0)
		caller_say(w->caller, ", from <%.*s>", (int)t->sender.len, t->sender.at);
	caller_say(w->caller, "\n");
}

/* What error: and retry: say is no matter of who may send there, and its first digit that of the code. */
static void
say_refused(struct work *w, const char *reply)
{
	bool later = reply[0] == '4';

	caller_say(w->caller, "%s: %s %s\n", later ? "put off" : "refused", later ? "450" : "550",
	           reply);
}

static enum directory_outcome
pass_test(struct work *w)
{
	/* clang-format off */
	static const struct { enum directory_outcome o; const char *words; } ends[] = {
		{ DIRECTORY_NONE,      "refused: 550 5.1.1 User unknown in " },
		{ DIRECTORY_BAD,       "refused: it is not an address" },
		{ DIRECTORY_LOOP,      "refused: 554 " },
		{ DIRECTORY_DISCARDED, "taken, and thrown away" },
		{ DIRECTORY_LATER,     "put off: 451 4.3.0 Temporary lookup failure" },
		{ DIRECTORY_FOREIGN,   "not ours: 554 5.7.1 for strangers; from those who may relay it" },
	};
	/* clang-format on */
	struct resolving       r = resolving_of(w);
	struct resolve_answer  found = { .table = "", .reply = "", .filter = "" };
	enum directory_outcome o;

	buffer_reset(&w->said);
	w->notice = true; /* returned mail comes in that way, so it is what is tested */
	if (clerk_srs_open(w, &found.reply) == SRS_ANSWER_REFUSED)
		o = DIRECTORY_REFUSED;
	else
		o = resolve_in_turns(w, &r, &found);
	if (o == DIRECTORY_MORE || (o == DIRECTORY_WAIT && !w->for_good))
		return o;
	if (o == DIRECTORY_WAIT)
		o = DIRECTORY_LATER;
	if (o == DIRECTORY_FOREIGN && found.reply[0] != '\0')
		o = DIRECTORY_REFUSED;
	if (w->opened)
		caller_say(w->caller, "a name for returned mail (SRS) of %.*s: taken from <>\n",
		           (int)w->address.len, w->address.at);
	caller_say(w->caller, "%.*s", (int)w->said.len, w->said.len > 0 ? w->said.at : "");
	for (size_t i = 0; i < COUNT(ends); i++)
		if (ends[i].o == o && !(w->opened && o == DIRECTORY_FOREIGN))
			caller_say(w->caller, "%s%s\n", ends[i].words,
			           o == DIRECTORY_NONE   ? found.table
			           : o == DIRECTORY_LOOP ? found.reply
			                                 : "");
	if (o == DIRECTORY_REFUSED)
		say_refused(w, found.reply);
	if (o == DIRECTORY_FOREIGN && found.count == 0)
		caller_say(w->caller, "goes to: %.*s (elsewhere)\n", (int)w->address.len,
		           w->address.at);
	for (size_t i = 0; i < found.count && (o == DIRECTORY_OK || o == DIRECTORY_FOREIGN); i++)
		say_target(w, &found.target[i]);
	caller_done(w->caller,
	            o == DIRECTORY_OK || o == DIRECTORY_FOREIGN || o == DIRECTORY_DISCARDED ? 0
	                                                                                    : 1);
	return o;
}

/* ---- the road of a work ---------------------------------------------------------------- */

struct work *
work_open(struct house *h, enum role from, uint32_t index, uint32_t ticket)
{
	struct arena *life = arena_open(NULL);
	struct work  *w = arena_take(life, sizeof *w);

	*w = (struct work){
		.house = h, .life = life, .from = from, .index = index, .ticket = ticket
	};
	w->lookups = lookups_open(&lookup_needs, w, life);
	return w;
}

/* ---- long lists, which need much memory: some at a time, the others from their beginning when those are through ---- */

static void
next_turn(void *ctx)
{
	work_on(ctx);
}

static void
long_go(struct work *w)
{
	clerk_of(w->house)->longs += !w->is_long;
	w->is_long = true;
	w->next_turn = (struct errand){ .go = next_turn, .ctx = w };
	errand_set(w->house->loop, &w->next_turn);
}

static void
long_wait(struct work *w)
{
	struct clerk *c = clerk_of(w->house);

	walk_abandon(w);
	if (c->first_long == NULL)
		c->last_long = &c->first_long;
	w->next_long = NULL;
	*c->last_long = w;
	c->last_long = &w->next_long;
}

static void
long_over(struct work *w)
{
	struct clerk *c = clerk_of(w->house);
	struct work  *next = c->first_long;

	if (!w->is_long)
		return;
	c->longs--;
	w->is_long = false;
	if (next == NULL)
		return;
	c->first_long = next->next_long;
	long_go(next);
}

void
work_close(struct work **wp)
{
	struct work  *w = *wp;
	struct arena *life = w->life;

	*wp = NULL;
	long_over(w);
	walk_abandon(w);
	arena_close(&w->scratch);
	buffer_free(&w->said);
	arena_close(&life);
}

static void
work_answered(struct enquiry_round *r)
{
	work_on((struct work *)((char *)r - offsetof(struct work, round)));
}

void
work_on(struct work *w)
{
	enum directory_outcome o;

	/* What goes on with a list comes nearer to its end each time. */
	w->passes += w->walk == NULL;
	w->for_good = w->passes == PASSES_MOST;
	o = w->pass(w);
	if (o == DIRECTORY_MORE) {
		if (w->is_long || clerk_of(w->house)->longs < LONGS_MOST)
			long_go(w);
		else
			long_wait(w);
		return;
	}
	if (o != DIRECTORY_WAIT || w->for_good) {
		work_close(&w);
		return;
	}
	if (w->owner != 0) {
		clerk_owner_wait(w);
		return;
	}
	w->round.done = work_answered;
	enquiry_lookups(clerk_of(w->house)->enquiries, &w->round, w->lookups);
}

bool
hear_resolve(struct house *h, enum role from, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct work        *w = work_open(h, from, index, ticket);
	struct word_resolve asked;

	if (!word_unpack_resolve(body, w->life, &asked)) {
		work_close(&w);
		return false;
	}
	w->address = arena_keep(w->life, asked.address);
	w->size = asked.size;
	w->user = asked.sent ? arena_keep(w->life, asked.sender) : BYTES("");
	w->sent = asked.sent;
	w->unmapped = asked.as_written;
	w->notice = asked.notice;
	w->probe = asked.probe;
	w->local = asked.local;
	w->let_go = asked.let_go;
	w->pass = pass_resolve;
	work_on(w);
	return true;
}

bool
hear_route(struct house *h, enum role from, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct work      *w = work_open(h, from, index, ticket);
	struct word_route asked;

	if (!word_unpack_route(arena_keep(w->life, body), w->life, &asked)) {
		work_close(&w);
		return false;
	}
	w->address = asked.address;
	w->user = asked.sender;
	w->forwarded = asked.forwarded;
	w->let_go = asked.let_go;
	w->probe = asked.probe;
	w->pass = pass_route;
	work_on(w);
	return true;
}

bool
hear_mailbox_ask(struct house *h, enum role from, uint32_t index, uint32_t ticket,
                 struct bytes body)
{
	struct work *w = work_open(h, from, index, ticket);

	w->address = arena_keep(w->life, body);
	w->pass = pass_mailbox;
	work_on(w);
	return true;
}

bool
hear_rewrite(struct house *h, enum role from, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct work *w = work_open(h, from, index, ticket);

	if (!word_unpack_rewrite(arena_keep(w->life, body), w->life, &w->letter)) {
		work_close(&w);
		return false;
	}
	w->pass = pass_rewrite;
	work_on(w);
	return true;
}

/* address test ADDRESS */
int
run_address_test(struct order *e)
{
	struct work *w = work_open(e->house, COMMAND, 0, 0);

	w->caller = e->caller;
	w->address = arena_keep(w->life, e->first);
	w->pass = pass_test;
	work_on(w);
	return -1;
}

/* ---- settings ----------------------------------------------------------------------------- */

/* The addresses of this machine: a word each. */
static struct setting_list
our_addresses(struct house *h, struct arena *a)
{
	const char         *text = house_resource_text(h, "addresses");
	struct bytes        rest = bytes_of(text), word;
	struct buffer       b = { 0 };
	struct setting_list list;

	while (bytes_split(&rest, ' ', &word))
		if (word.len > 0) {
			const char *item = arena_copy(a, word);
			buffer_add(&b, (struct bytes){ (const char *)&item, sizeof item });
		}
	list.count = b.len / sizeof(const char *);
	list.item = (const char *const *)arena_keep(a, buffer_bytes(&b)).at;
	buffer_free(&b);
	return list;
}

/* What is in the directory is a virtual mailbox domain already, and asked first; mydestination is asked behind it. */
static void
warn_of_class(void *ctx, const struct domain_row *row)
{
	const struct resolve_rules *rules = ctx;
	const struct {
		const char                *name;
		const struct setting_list *list;
	} classes[] = { { "virtual_alias_domains", &rules->virtual_alias_domains },
		        { "relay_domains", &rules->relay_domains } };

	for (size_t i = 0; i < COUNT(classes); i++)
		if (resolve_lists(classes[i].list, row->name))
			warn_("%s is a domain of the directory and in %s too: the directory's people get its mail",
			      row->name, classes[i].name);
}

/* As whom others are asked about addresses. */
static struct prober
prober_of(struct house *h, struct arena *life, const char *origin)
{
	struct witness_settings set;

	if (!house_settings(h, &witness_setting_table, NULL, &set))
		return (struct prober){ .as = "", .origin = origin };
	return (struct prober){ .as = arena_copy(life, bytes_of(set.verify_sender)),
		                .origin = origin,
		                .ttl_s = set.verify_sender_ttl / 1000 };
}

void
clerk_rules(struct house *h, const struct common_settings *common)
{
	struct clerk        *c = clerk_of(h);
	struct resolve_rules rules;
	struct arena        *life;
	struct prober        prober;

	if (!house_settings(h, &resolve_setting_table, NULL, &rules))
		return;
	life = arena_open(NULL);
	rules.delimiter = arena_copy(life, bytes_of(c->rows.delimiter));
	rules.myorigin = arena_copy(life, bytes_of(common->myorigin));
	rules.mydomain = arena_copy(life, bytes_of(common->mydomain));
	rules.append_dot_mydomain = common->append_dot_mydomain;
	rules.addresses = our_addresses(h, life);
	rules.first_uid = common->first_valid_uid;
	prober = prober_of(h, life, rules.myorigin);
	struct setting_list *lists[] = { &rules.mydestination, &rules.virtual_alias_domains,
		                         &rules.virtual_mailbox_domains, &rules.relay_domains };
	for (size_t i = 0; i < COUNT(lists); i++)
		tables_patterns(h, life, lists[i]);
	arena_close(&c->rules_life);
	c->rules_life = life;
	map_close(&c->claimed);
	c->rules = rules;
	resolve_probing(&c->rules, &c->probing);
	c->prober = prober;
	if (c->directory != NULL)
		(void)directory_domain_each(c->directory, BYTES(""), warn_of_class, &c->rules);
}

bool
hear_table_said(struct house *h, enum role from, uint32_t index, uint32_t ticket, struct bytes body)
{
	(void)from;
	(void)index;
	return enquiries_heard(clerk_of(h)->enquiries, ticket, body);
}
