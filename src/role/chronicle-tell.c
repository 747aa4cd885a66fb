/*
 * chronicle-tell -- lives of letters in words, and as JSON
 *
 * Texts came from outside: what would move the eye or the cursor is shown as \xNN.
 */
#include "role/chronicle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/map.h"
#include "message/domain.h"
#include "message/envelope.h"

/*
 * Pieces
 */

static bool
rune_may_show(uint32_t rune)
{
	return rune >= 0x20 && (rune < 0x7f || rune > 0x9f) && rune != 0x2028 && rune != 0x2029 &&
	       !(rune >= 0x200b && rune <= 0x200f) && !(rune >= 0x202a && rune <= 0x202e) &&
	       !(rune >= 0x2066 && rune <= 0x2069) && rune != 0xfeff;
}

static void
put_text(struct buffer *out, struct bytes text)
{
	while (text.len > 0) {
		uint32_t rune;
		size_t   n = bytes_utf8(text, &rune);

		if (n > 0 && rune_may_show(rune))
			buffer_add(out, bytes_cut(text, 0, n));
		else
			for (size_t i = 0; i < (n > 0 ? n : 1); i++)
				buffer_printf(out, "\\x%02x", (unsigned char)text.at[i]);
		text = bytes_cut(text, n > 0 ? n : 1, SIZE_MAX);
	}
}

static void
put_address(struct buffer *out, struct bytes address)
{
	ptrdiff_t     at = bytes_find_last(address, '@');
	struct bytes  domain = bytes_cut(address, (size_t)at + 1, SIZE_MAX);
	struct arena *a = NULL;

	buffer_add_char(out, '<');
	if (at >= 0 && domain_is_encoded(domain)) {
		put_text(out, bytes_cut(address, 0, (size_t)at + 1));
		put_text(out, domain_unicode(domain, a = arena_open(NULL)));
	} else {
		put_text(out, address);
	}
	buffer_add_char(out, '>');
	arena_close(&a);
}

/* " <a>, <b>"; of many the first. */
static void
put_addresses(struct buffer *out, struct bytes list, size_t most)
{
	struct bytes one;
	size_t       n = 0;

	while (bytes_split(&list, '\0', &one)) {
		if (n++ >= most)
			continue;
		if (n > 1)
			buffer_add_string(out, ", ");
		put_address(out, one);
	}
	if (n > most)
		buffer_printf(out, " and %zu more", n - most);
}

static void
put_time(struct buffer *out, int64_t us)
{
	time_t    s = (time_t)(us / 1000000);
	struct tm tm;
	char      text[40] = "";

	if (localtime_r(&s, &tm) == NULL ||
	    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		text[0] = '\0';
	buffer_printf(out, "%s.%03d", text, (int)(us / 1000 % 1000));
}

static void
put_id(struct buffer *out, uint64_t letter)
{
	char id[24];

	letter_id_text(letter, id);
	buffer_add_string(out, id);
}

/* "word text" when there is one. */
static void
put_with(struct buffer *out, const char *word, struct bytes text)
{
	if (text.len == 0)
		return;
	buffer_add_string(out, word);
	put_text(out, text);
}

/*
 * Events, each a sentence
 */

static void
tell_client(const struct event *e, struct buffer *out)
{
	put_with(out, " from ", e->text[TEXT_CLIENT]);
	put_with(out, ", which called itself ", e->text[TEXT_HELO]);
	put_with(out, ", logged in as ", e->text[TEXT_USER]);
	put_with(out, " by ", e->text[TEXT_METHOD]);
}

static void
tell_accepted(const struct event *e, uint64_t letter, struct buffer *out)
{
	(void)letter;
	buffer_add_string(out, "accepted");
	tell_client(e, out);
	put_with(out, "; ", e->text[TEXT_PROTOCOL]);
	put_with(out, " at ", e->text[TEXT_SERVICE]);
	if (e->text[TEXT_TLS].len > 0)
		put_with(out, ", ", e->text[TEXT_TLS]);
	else
		buffer_add_string(out, ", no TLS");
	put_with(out, "; message-id ", e->text[TEXT_MESSAGE_ID]);
}

static void
tell_refused(const struct event *e, uint64_t letter, struct buffer *out)
{
	(void)letter;
	put_with(out, "refused at ", e->text[TEXT_MOMENT]);
	put_with(out, ": ", e->text[TEXT_REPLY]);
	put_with(out, "; rule ", e->text[TEXT_RULE]);
	put_with(out, "; id ", e->text[TEXT_ID]);
	buffer_add_string(out, "; client");
	tell_client(e, out);
	if (e->text[TEXT_SENDER].len > 0) {
		buffer_add_string(out, "; sender ");
		put_address(out, e->text[TEXT_SENDER]);
	}
	if (e->text[TEXT_RECIPIENT].len > 0) {
		buffer_add_string(out, "; recipient ");
		put_addresses(out, e->text[TEXT_RECIPIENT], 10);
	}
	put_with(out, "; message-id ", e->text[TEXT_MESSAGE_ID]);
}

static void
tell_rule(const struct event *e, uint64_t letter, struct buffer *out)
{
	(void)letter;
	put_with(out, "rule at ", e->text[TEXT_MOMENT]);
	put_with(out, ": ", e->text[TEXT_RULE]);
	put_with(out, ": ", e->text[TEXT_REPLY]);
	if (e->text[TEXT_RECIPIENT].len > 0) {
		buffer_add_string(out, "; recipient ");
		put_address(out, e->text[TEXT_RECIPIENT]);
	}
}

static void
tell_entered(const struct event *e, uint64_t letter, struct buffer *out)
{
	(void)letter;
	buffer_printf(out, "queued, %" PRIu64 " bytes, from ", e->number);
	put_address(out, e->text[TEXT_SENDER]);
	buffer_add_string(out, " to ");
	put_addresses(out, e->text[TEXT_RECIPIENT], 10);
	put_with(out, "; on hold: ", e->text[TEXT_HOW].len > 0 ? e->text[TEXT_REPLY] : BYTES(""));
}

static void
tell_contact(const struct event *e, uint64_t letter, struct buffer *out)
{
	(void)letter;
	put_with(out, "tried ", e->text[TEXT_RELAY]);
	put_with(out, ", ", e->text[TEXT_TLS]);
	put_with(out, ": ", e->text[TEXT_STATUS]);
	put_with(out, " ", e->text[TEXT_REPLY]);
}

static struct bytes
tls_of_attempt(const struct event *e)
{
	struct bytes tls = e->text[TEXT_TLS];

	return tls.len == 0 || bytes_is(tls, "none") ? BYTES("no TLS") : tls;
}

/* By transport_maps, or because a table leads it there: it is sent nowhere. */
static bool
is_thrown_away(const struct event *e)
{
	return e->kind == LIFE_ATTEMPT && bytes_is(e->text[TEXT_HOW], "sent") &&
	       (bytes_ends_nocase(e->text[TEXT_SERVICE], BYTES("/discard")) ||
	        bytes_starts(e->text[TEXT_REPLY], BYTES("discarded: ")));
}

static void
tell_attempt(const struct event *e, uint64_t letter, struct buffer *out)
{
	bool elsewhere = e->text[TEXT_RELAY].len > 0 && !bytes_is(e->text[TEXT_RELAY], "none");

	(void)letter;
	put_address(out, e->text[TEXT_RECIPIENT]);
	if (e->text[TEXT_ORIGINAL].len > 0) {
		buffer_add_string(out, ", accepted as ");
		put_address(out, e->text[TEXT_ORIGINAL]);
	}
	if (is_thrown_away(e))
		buffer_add_string(out, ": thrown away");
	else
		put_with(out, ": ", e->text[TEXT_HOW]);
	if (elsewhere) {
		put_with(out, " by ", e->text[TEXT_RELAY]);
		put_with(out, ", ", tls_of_attempt(e));
	}
	put_with(out, ": ", e->text[TEXT_STATUS]);
	put_with(out, " ", e->text[TEXT_REPLY]);
	put_with(out, " ", e->text[TEXT_MAILBOX]);
	if (e->number > 1)
		buffer_printf(out, " (try %" PRIu64 ")", e->number);
	put_with(out, "; ", e->text[TEXT_DELAYS]);
}

static void
tell_notice(const struct event *e, uint64_t letter, struct buffer *out)
{
	if (letter == e->other) {
		buffer_add_string(out, "made as a notice (");
		put_text(out, e->text[TEXT_HOW]);
		buffer_add_string(out, ") of letter ");
		put_id(out, e->letter);
	} else {
		put_with(out, "notice made: ", e->text[TEXT_HOW]);
		buffer_add_string(out, ", letter ");
		put_id(out, e->other);
	}
	buffer_add_string(out, " to ");
	put_address(out, e->text[TEXT_RECIPIENT]);
}

static void
tell_order(const struct event *e, uint64_t letter, struct buffer *out)
{
	(void)letter;
	put_address(out, e->text[TEXT_RECIPIENT]);
	put_with(out, ": ", e->text[TEXT_HOW]);
}

static void
tell_removed(const struct event *e, uint64_t letter, struct buffer *out)
{
	(void)e;
	(void)letter;
	buffer_add_string(out, "done: the queue has forgotten it");
}

static void
tell_discarded(const struct event *e, uint64_t letter, struct buffer *out)
{
	(void)letter;
	buffer_add_string(out, "discarded: thrown away, not for ");
	put_addresses(out, e->text[TEXT_RECIPIENT], 10);
}

static void
tell_gap(const struct event *e, uint64_t letter, struct buffer *out)
{
	(void)letter;
	buffer_printf(out, "%" PRIu64 " events were lost about here", e->number);
}

void
event_tell(const struct event *e, uint64_t letter, int depth, struct buffer *out)
{
	static void (*const telling[LIFE_KINDS])(const struct event *, uint64_t,
	                                         struct buffer *) = {
		[LIFE_ACCEPTED] = tell_accepted,   [LIFE_REFUSED] = tell_refused,
		[LIFE_RULE] = tell_rule,           [LIFE_ENTERED] = tell_entered,
		[LIFE_CONTACT] = tell_contact,     [LIFE_ATTEMPT] = tell_attempt,
		[LIFE_NOTICE] = tell_notice,       [LIFE_ORDER] = tell_order,
		[LIFE_REMOVED] = tell_removed,     [LIFE_GAP] = tell_gap,
		[LIFE_DISCARDED] = tell_discarded,
	};

	buffer_printf(out, "%*s", depth * 4 + 2, "");
	put_time(out, e->at_us);
	buffer_add_string(out, "  ");
	telling[e->kind](e, letter, out);
	buffer_add_char(out, '\n');
}

/*
 * Lives
 */

static int
compare_events(const void *a, const void *b)
{
	const struct event *x = *(const struct event *const *)a,
			   *y = *(const struct event *const *)b;

	return x->at_us != y->at_us ? (x->at_us > y->at_us) - (x->at_us < y->at_us)
	                            : (x->kind > y->kind) - (x->kind < y->kind);
}

void
life_sort(struct life *l)
{
	if (l->count > 0)
		qsort(l->event, l->count, sizeof *l->event, compare_events);
}

void
life_tell(const struct life *l, uint64_t letter, int depth, struct buffer *out)
{
	buffer_printf(out, "%*s", depth * 4, "");
	if (letter != 0)
		put_id(out, letter);
	else
		buffer_add_string(out, "no letter came of it");
	buffer_add_char(out, '\n');
	for (size_t i = 0; i < l->count; i++)
		event_tell(l->event[i], letter, depth, out);
}

/* What became of a recipient, in the order in which it is told.  Those that wait have none of what ends a letter. */
enum fate {
	FATE_SENT,
	FATE_DISCARDED,
	FATE_DEFERRED,
	FATE_HELD,
	FATE_BOUNCED,
	FATE_EXPIRED,
	FATE_DELETED,
	FATE_WOULD,
	FATE_WOULD_NOT,
	FATE_WAITS,
	FATES
};
static const char *const fate_words[FATES] = {
	[FATE_SENT] = "sent",         [FATE_DISCARDED] = "discarded",
	[FATE_DEFERRED] = "deferred", [FATE_HELD] = "on hold",
	[FATE_BOUNCED] = "bounced",   [FATE_EXPIRED] = "expired",
	[FATE_WOULD] = "deliverable", [FATE_WOULD_NOT] = "undeliverable",
	[FATE_DELETED] = "deleted",   [FATE_WAITS] = "in the queue",
};

/* How an event begins that says so; what is not here says that it goes on: released, tried again, led another way. */
static const struct {
	enum event_kind kind;
	const char     *how;
	enum fate       fate;
} fate_rows[] = {
	{ LIFE_ATTEMPT, "sent", FATE_SENT },
	{ LIFE_ATTEMPT, "deferred", FATE_DEFERRED },
	{ LIFE_ATTEMPT, "SOFTBOUNCE", FATE_DEFERRED },
	{ LIFE_ATTEMPT, "bounced", FATE_BOUNCED },
	{ LIFE_ATTEMPT, "hold", FATE_HELD },
	{ LIFE_ORDER, "held ", FATE_HELD },
	{ LIFE_ORDER, "expired", FATE_EXPIRED },
	{ LIFE_ORDER, "deleted ", FATE_DELETED },
	{ LIFE_ORDER, "returned ", FATE_BOUNCED },
	{ LIFE_ATTEMPT, "deliverable", FATE_WOULD },
	{ LIFE_ATTEMPT, "undeliverable", FATE_WOULD_NOT },
};

static enum fate
fate_of(const struct event *e)
{
	if (is_thrown_away(e))
		return FATE_DISCARDED;
	for (size_t i = 0; i < COUNT(fate_rows); i++)
		if (fate_rows[i].kind == e->kind &&
		    bytes_starts(e->text[TEXT_HOW], bytes_of(fate_rows[i].how)))
			return fate_rows[i].fate;
	return FATE_WAITS;
}

/* Of each recipient its fate's word: as it was accepted first, and in place of that what it leads to. */
static void
fate_keep(struct map *known, const struct event *e)
{
	struct bytes rest = e->text[TEXT_RECIPIENT], one;
	const void  *before;
	enum fate    fate = e->kind != LIFE_ENTERED     ? fate_of(e)
	                    : e->text[TEXT_HOW].len > 0 ? FATE_HELD
	                                                : FATE_WAITS;

	while (bytes_split(&rest, '\0', &one))
		(void)map_put(known, one, (void *)(uintptr_t)&fate_words[fate]);
	one = e->text[TEXT_ORIGINAL];
	before = one.len > 0 ? map_get(known, one) : NULL;
	if (before == &fate_words[FATE_HELD] || before == &fate_words[FATE_WAITS])
		(void)map_drop(known, one);
}

struct fates {
	size_t count[FATES];
	bool   removed, discarded;
};

/* The last that was said of each recipient counts. */
static struct fates
fates_of(const struct life *l)
{
	struct fates f = { .removed = false };
	struct map  *known = map_open();

	for (size_t i = 0; i < l->count; i++) {
		const struct event *e = l->event[i];

		f.removed |= e->kind == LIFE_REMOVED;
		f.discarded |= e->kind == LIFE_DISCARDED;
		if (e->kind == LIFE_ENTERED || e->kind == LIFE_ATTEMPT || e->kind == LIFE_ORDER)
			fate_keep(known, e);
	}
	for (struct map_place p = { 0 }; map_next(known, &p);)
		f.count[(const char *const *)p.value - fate_words]++;
	if (f.removed)
		f.count[FATE_WAITS] = f.count[FATE_HELD] = 0;
	map_close(&known);
	return f;
}

static struct bytes
first_text(const struct life *l, enum event_text which)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->event[i]->text[which].len > 0 && l->event[i]->kind != LIFE_NOTICE)
			return l->event[i]->text[which];
	return BYTES("");
}

void
life_line(const struct life *l, uint64_t letter, struct buffer *out)
{
	struct fates f = fates_of(l);
	const char  *between = "";

	if (l->count == 0)
		return;
	put_time(out, l->event[0]->at_us);
	buffer_add_string(out, "  ");
	put_id(out, letter);
	buffer_add_string(out, "  ");
	put_address(out, first_text(l, TEXT_SENDER));
	buffer_add_string(out, " -> ");
	put_addresses(out, first_text(l, TEXT_RECIPIENT), 2);
	buffer_add_string(out, "  ");
	for (enum fate i = FATE_SENT; i < FATES; i++) {
		if (f.count[i] == 0)
			continue;
		buffer_printf(out, f.count[i] > 1 ? "%s%s %zu" : "%s%s", between, fate_words[i],
		              f.count[i]);
		between = ", ";
	}
	if (*between == '\0')
		buffer_add_string(out, f.discarded ? "discarded"
		                       : f.removed ? "done"
		                                   : "in the queue");
	buffer_add_char(out, '\n');
}

void
refusal_line(const struct event *e, struct buffer *out)
{
	put_time(out, e->at_us);
	buffer_add_string(out, "  ");
	put_text(out, e->text[TEXT_ID].len > 0 ? e->text[TEXT_ID] : BYTES("-"));
	buffer_add_string(out, "  ");
	put_address(out, e->text[TEXT_SENDER]);
	buffer_add_string(out, " -> ");
	put_addresses(out, e->text[TEXT_RECIPIENT], 2);
	put_with(out, "  refused: ", e->text[TEXT_REPLY]);
	buffer_add_char(out, '\n');
}

/*
 * JSON
 */

static void
put_json(struct buffer *out, struct bytes text)
{
	buffer_add_char(out, '"');
	while (text.len > 0) {
		uint32_t rune;
		size_t   n = bytes_utf8(text, &rune);

		if (n == 0)
			buffer_add_string(out, "\xef\xbf\xbd");
		else if (rune == '"' || rune == '\\')
			buffer_printf(out, "\\%c", (int)rune);
		else if (!rune_may_show(rune))
			buffer_printf(out, "\\u%04x", (unsigned)rune);
		else
			buffer_add(out, bytes_cut(text, 0, n));
		text = bytes_cut(text, n > 0 ? n : 1, SIZE_MAX);
	}
	buffer_add_char(out, '"');
}

static void
put_json_list(struct buffer *out, struct bytes list)
{
	struct bytes one;
	const char  *between = "";

	buffer_add_char(out, '[');
	while (bytes_split(&list, '\0', &one)) {
		buffer_add_string(out, between);
		put_json(out, one);
		between = ",";
	}
	buffer_add_char(out, ']');
}

static bool
names_several(const struct event *e)
{
	return e->kind == LIFE_ENTERED || e->kind == LIFE_DISCARDED ||
	       (e->kind == LIFE_REFUSED &&
	        (bytes_is(e->text[TEXT_MOMENT], "DATA") || bytes_is(e->text[TEXT_MOMENT], "BDAT") ||
	         bytes_is(e->text[TEXT_MOMENT], "END-OF-MESSAGE")));
}

void
event_tell_json(const struct event *e, struct buffer *out)
{
	time_t    s = (time_t)(e->at_us / 1000000);
	struct tm tm;
	char      when[40] = "";

	if (gmtime_r(&s, &tm) != NULL && strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		when[0] = '\0';
	buffer_printf(out, "{\"time\":\"%s.%06dZ\",\"event\":\"%s\"", when,
	              (int)(e->at_us % 1000000), event_kind_names[e->kind]);
	if (e->kind == LIFE_NOTICE) {
		buffer_add_string(out, ",\"of\":\"");
		put_id(out, e->letter);
		buffer_add_string(out, "\",\"notice\":\"");
		put_id(out, e->other);
		buffer_add_char(out, '"');
	}
	if (e->number != 0)
		buffer_printf(out, ",\"%s\":%" PRIu64,
		              e->kind == LIFE_ATTEMPT ? "try"
		              : e->kind == LIFE_GAP   ? "lost"
		                                      : "size",
		              e->number);
	for (int i = 0; i < EVENT_TEXTS; i++) {
		if (e->text[i].len == 0 && !(i == TEXT_SENDER && e->kind == LIFE_ENTERED))
			continue;
		buffer_printf(out, ",\"%s\":", event_text_names[i]);
		if (i == TEXT_RECIPIENT && names_several(e))
			put_json_list(out, e->text[i]);
		else
			put_json(out, e->text[i]);
	}
	buffer_add_char(out, '}');
}

void
life_tell_json(const struct life *l, uint64_t letter, struct buffer *out)
{
	buffer_add_string(out, "{\"letter\":");
	if (letter != 0) {
		buffer_add_char(out, '"');
		put_id(out, letter);
		buffer_add_char(out, '"');
	} else {
		buffer_add_string(out, "null");
	}
	buffer_add_string(out, ",\"events\":[");
	for (size_t i = 0; i < l->count; i++) {
		if (i > 0)
			buffer_add_char(out, ',');
		event_tell_json(l->event[i], out);
	}
	buffer_add_string(out, "]}\n");
}
