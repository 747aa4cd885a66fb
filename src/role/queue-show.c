/*
 * queue-show -- what the command line is told of letters
 *
 * "rows" and "show" are for programs (ours, on the command line): fields between tabs, a line each.
 *
 *     recipient  id, state of the letter, arrived (s), size, sender, address, as accepted, state, status, reason,
 *                tried again (s, 0 it is not), tries
 *     domain     name, new, active, deferred, hold, seconds since the oldest came
 */
#include "message/envelope.h"
#include "role/queue.h"
#include "spool/disk.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 64 << 10, DOMAINS_MOST = 100000 };

/* ---- for people ---------------------------------------------------------------------------- */

/* As mailq shows it: id, size, arrival, sender; then each recipient with its reason. */
static void
list_head(struct buffer *b, const struct letter *l)
{
	time_t    arrived = (time_t)(l->arrived_us / 1000000);
	struct tm tm;
	char      id[24], when[40] = "";

	letter_id_text(l->id, id);
	if (localtime_r(&arrived, &tm) != NULL &&
	    strftime(when, sizeof when, "%a %b %e %H:%M:%S", &tm) == 0)
		when[0] = '\0';
	buffer_printf(b, "%-16s %8" PRIu64 " %s  %s\n", id, l->content_len, when,
	              l->sender[0] ? l->sender : "MAILER-DAEMON");
	if (l->handling.not_before_us / 1000 > queue_now_ms()) {
		arrived = (time_t)(l->handling.not_before_us / 1000000);
		if (localtime_r(&arrived, &tm) != NULL &&
		    strftime(when, sizeof when, "%a %b %e %H:%M:%S", &tm) > 0)
			buffer_printf(b, "%45s(held until %s, as its sender wishes)\n", "", when);
	}
}

/* Those that are meant, in the order in which they were named: a letter has its last one first.  The caller frees them. */
static const struct recipient **
in_order(const struct letter *l, const struct queue_choice *c, size_t *count)
{
	const struct recipient **all, *swap;
	size_t                   n = 0;

	for (const struct recipient *r = l->first; r != NULL; r = r->next)
		n++;
	all = memory_take((n + 1) * sizeof *all);
	n = 0;
	for (const struct recipient *r = l->first; r != NULL; r = r->next)
		if (queue_choice_recipient(c, r))
			all[n++] = r;
	for (size_t i = 0; i < n / 2; i++) {
		swap = all[i];
		all[i] = all[n - 1 - i];
		all[n - 1 - i] = swap;
	}
	*count = n;
	return all;
}

/* Of recipients with one reason it is told once, as mailq does. */
static void
list_recipients(struct buffer *b, const struct letter *l, const struct queue_choice *c)
{
	size_t                   n;
	const struct recipient **all = in_order(l, c, &n);

	for (size_t i = 0; i < n; i++) {
		const struct recipient *r = all[i], *before = i > 0 ? all[i - 1] : NULL;

		if (r->text[0] != '\0' && (before == NULL || strcmp(r->text, before->text) != 0 ||
		                           strcmp(r->status, before->status) != 0))
			buffer_printf(b, "%45s(%s %s)\n", "", r->status, r->text);
		buffer_printf(b, "%45s%s  [%s]\n", "", r->address, queue_state_names[r->state]);
	}
	memory_free(all);
}

static bool
letter_fits(const struct queue_choice *c, const struct letter *l)
{
	if (!queue_choice_letter(c, l))
		return false;
	for (const struct recipient *r = l->first; r != NULL; r = r->next)
		if (queue_choice_recipient(c, r))
			return true;
	return !c->filtered && l->open == 0;
}

static bool
list_one(struct queue_walk *w, struct letter *l)
{
	if (w->choice.ids == 0 && !letter_fits(&w->choice, l))
		return false;
	if (!w->headed) {
		w->headed = true;
		if (w->letters++ == 0)
			buffer_printf(&w->said, "%-16s %8s %-19s  %s\n", "-Queue ID-", "--Size--",
			              "----Arrival Time---", "-Sender/Recipient-------");
		list_head(&w->said, l);
		w->bytes += l->content_len;
	}
	list_recipients(&w->said, l, &w->choice);
	return true;
}

static void
list_end(struct queue_walk *w)
{
	if (w->letters > 0)
		buffer_printf(&w->said, "-- %" PRIu64 " Kbytes in %zu Request%s.\n",
		              w->bytes / 1024, w->letters, w->letters == 1 ? "" : "s");
	else
		buffer_printf(&w->said, queue_count(queue_of(w->house)->queue) == 0
		                                ? "Mail queue is empty\n"
		                                : "No letter in the queue is so\n");
}

void
queue_command_list(struct house *h, struct caller *caller, const struct word_ask *w)
{
	queue_walk(h, caller, w, &(struct queue_walk){ .each = list_one, .end = list_end });
}

/* ---- for programs -------------------------------------------------------------------------- */

static void
put_field(struct buffer *b, const char *text)
{
	for (; *text != '\0'; text++)
		buffer_add_char(b, (unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text);
	buffer_add_char(b, '\t');
}

/* One somebody holds is held; one of which anything is being tried is active. */
static const char *
letter_state(const struct letter *l)
{
	enum recipient_state is = RECIPIENT_WAITING;

	for (const struct recipient *r = l->first; r != NULL; r = r->next)
		if (r->state == RECIPIENT_HELD)
			return queue_state_names[RECIPIENT_HELD];
		else if (r->state == RECIPIENT_TRYING || r->state == RECIPIENT_NEW)
			is = RECIPIENT_TRYING;
	return queue_state_names[is];
}

static void
put_row(struct buffer *b, const char *id, const struct letter *l, const struct recipient *r)
{
	put_field(b, id);
	put_field(b, letter_state(l));
	buffer_printf(b, "%" PRId64 "\t%" PRIu64 "\t", l->arrived_us / 1000000, l->content_len);
	put_field(b, l->sender);
	put_field(b, r->address);
	put_field(b, r->original);
	put_field(b, queue_state_names[r->state]);
	put_field(b, r->status);
	put_field(b, r->text);
	buffer_printf(b, "%" PRId64 "\t%" PRIu32 "\n",
	              r->state == RECIPIENT_WAITING ? r->due_ms / 1000 : 0, r->tries);
}

static void
put_rows(struct buffer *b, const struct letter *l, const struct queue_choice *c)
{
	size_t                   n;
	const struct recipient **all = in_order(l, c, &n);
	char                     id[24];

	letter_id_text(l->id, id);
	for (size_t i = 0; i < n; i++)
		put_row(b, id, l, all[i]);
	memory_free(all);
}

static bool
rows_one(struct queue_walk *w, struct letter *l)
{
	w->letters++;
	if (w->choice.ids > 0 || letter_fits(&w->choice, l))
		put_rows(&w->said, l, &w->choice);
	return true;
}

static void
rows_end(struct queue_walk *w)
{
	w->status = w->letters == 0 && w->choice.ids > 0;
}

void
queue_command_rows(struct house *h, struct caller *caller, const struct word_ask *w)
{
	queue_walk(h, caller, w, &(struct queue_walk){ .each = rows_one, .end = rows_end });
}

struct domain_sum {
	uint64_t in[RECIPIENT_STATES];
	int64_t  oldest_us;
};

static void
sum_add(struct map *domains, const struct recipient *r)
{
	struct bytes       a = bytes_of(r->address);
	char               name[256];
	struct domain_sum *d;

	a = bytes_cut(a, (size_t)(bytes_find_last(a, '@') + 1), a.len);
	if (!bytes_string(a, name, sizeof name) ||
	    (map_count(domains) >= DOMAINS_MOST && map_get(domains, a) == NULL))
		(void)bytes_string(BYTES("(others)"), name, sizeof name);
	for (char *c = name; *c != '\0'; c++)
		*c = ascii_lower(*c);
	if ((d = map_get(domains, bytes_of(name))) == NULL) {
		d = memory_take(sizeof *d);
		d->oldest_us = r->letter->arrived_us;
		(void)map_put(domains, bytes_of(name), d);
	}
	d->in[r->state]++;
	if (r->letter->arrived_us < d->oldest_us)
		d->oldest_us = r->letter->arrived_us;
}

static bool
sum_one(struct queue_walk *w, struct letter *l)
{
	if (w->domains == NULL)
		w->domains = map_open();
	for (const struct recipient *r = l->first; r != NULL; r = r->next)
		if (queue_choice_recipient(&w->choice, r))
			sum_add(w->domains, r);
	return true;
}

static void
sum_end(struct queue_walk *w)
{
	for (struct map_place p = { 0 }; w->domains != NULL && map_next(w->domains, &p);) {
		struct domain_sum *d = p.value;

		buffer_printf(&w->said,
		              "%.*s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRId64
		              "\n",
		              (int)p.key.len, p.key.at, d->in[RECIPIENT_NEW],
		              d->in[RECIPIENT_TRYING], d->in[RECIPIENT_WAITING],
		              d->in[RECIPIENT_HELD],
		              (queue_now_ms() * 1000 - d->oldest_us) / 1000000);
		memory_free(map_drop(w->domains, p.key));
	}
	map_close(&w->domains);
}

void
queue_command_summary(struct house *h, struct caller *caller, const struct word_ask *w)
{
	queue_walk(h, caller, w, &(struct queue_walk){ .each = sum_one, .end = sum_end });
}

/* ---- one letter, whole ----------------------------------------------------------------------- */

static void
show_field(struct caller *caller, const char *name, struct bytes value)
{
	if (value.len > 0)
		caller_say(caller, "%s\t%.*s\n", name, (int)value.len, value.at);
}

/* The letter's envelope in `a`; NULL after complaining. */
static struct letter *
letter_look_up(struct house *h, struct caller *caller, const struct word_ask *w, struct arena *a,
               struct envelope *e)
{
	struct queue_role *k = queue_of(h);
	struct letter     *l = NULL;
	struct bytes       packed;
	uint64_t           id;

	if (w->argc == 3 && letter_id_parse(bytes_of(w->argv[2]), &id))
		l = queue_find(k->queue, id);
	if (l == NULL) {
		caller_complain(caller, "%s: no letter in the queue has this id%s\n",
		                w->argc == 3 ? w->argv[2] : "?",
		                k->loading ? ", as far as it was read since the start" : "");
		return NULL;
	}
	if (letters_envelope(spool_letters(k->spool), l->envelope_segment, l->envelope_at, l->id, a,
	                     &packed) == 0 &&
	    envelope_unpack(packed, a, e))
		return l;
	caller_complain(caller, "%s: its envelope is damaged in the log\n", w->argv[2]);
	return NULL;
}

struct absent_rows {
	struct buffer      *out;
	struct queue_choice all;
};

static enum ledger_choice
absent_row(void *rows, const struct recipient *r)
{
	struct absent_rows *a = rows;
	struct letter       seen = *r->letter;
	struct recipient    one = *r;

	seen.first = &one;
	put_rows(a->out, &seen, &a->all);
	return LEDGER_PASS;
}

/* Those in memory, and the others. */
static void
put_all_rows(struct queue_role *k, struct buffer *b, struct letter *l)
{
	struct absent_rows a = { b, { .age_most_s = INT64_MAX, .size_most = UINT64_MAX } };
	uint32_t           from = 0;

	put_rows(b, l, &a.all);
	(void)ledger_absent(k->ledger, k->queue, l, &from, SIZE_MAX, absent_row, &a);
}

/* What the envelope says and the queue knows: "name<tab>value", then an empty line and rows. */
void
queue_command_show(struct house *h, struct caller *caller, const struct word_ask *w)
{
	struct arena   *a = arena_open(NULL);
	struct buffer   rows = { 0 };
	struct envelope e;
	struct letter  *l = letter_look_up(h, caller, w, a, &e);

	if (l != NULL) {
		show_field(caller, "client", e.client);
		show_field(caller, "helo", e.helo);
		show_field(caller, "protocol", e.protocol);
		show_field(caller, "user", e.user);
		show_field(caller, "envelope id", e.envid);
		show_field(caller, "held", handling_why(&l->handling));
		show_field(caller, "goes by", l->handling.filter);
		for (const struct recipient *r = l->first; r != NULL; r = r->next)
			if (r->tls != NULL)
				show_field(caller, arena_printf(a, "last tls to %s", r->address),
				           bytes_of(r->tls));
		caller_say(caller, "\n");
		put_all_rows(queue_of(h), &rows, l);
		caller_say(caller, "%.*s", (int)rows.len, rows.len > 0 ? rows.at : "");
	}
	caller_done(caller, l != NULL ? 0 : 1);
	buffer_free(&rows);
	arena_close(&a);
}

/* A letter on its way into the asker's file. */
struct showing {
	struct house  *house;
	struct caller *caller;
	int            from, to, why;
	uint64_t       at, len;
	struct buffer  prefix;
};

static void
showing_run(void *ctx)
{
	struct showing *s = ctx;
	char            piece[PIECE] __attribute__((uninitialized));
	uint64_t        to_at = s->prefix.len;

	s->why = disk_write(s->to, s->prefix.at, s->prefix.len, 0);
	while (s->why == 0 && s->len > 0) {
		size_t n = s->len < sizeof piece ? (size_t)s->len : sizeof piece;

		s->why = disk_read(s->from, piece, n, s->at);
		if (s->why == 0)
			s->why = disk_write(s->to, piece, n, to_at);
		s->at += n;
		to_at += n;
		s->len -= n;
	}
}

static void
showing_done(void *ctx)
{
	struct showing *s = ctx;

	if (s->why != 0)
		caller_complain(s->caller, "it cannot be read: %s\n", strerror(s->why));
	caller_done(s->caller, s->why == 0 ? 0 : 1);
	(void)close(s->from);
	(void)close(s->to);
	buffer_free(&s->prefix);
	memory_free(s);
}

/* Our lines in front, and the content, into the file that came with the question. */
void
queue_command_content(struct house *h, struct caller *caller, const struct word_ask *w)
{
	struct arena        *a = arena_open(NULL);
	struct envelope      e;
	struct stat          st;
	int                  to = caller_fd(caller), from = -1;
	const struct letter *l = letter_look_up(h, caller, w, a, &e);
	bool                 file = to >= 0 && fstat(to, &st) == 0 && S_ISREG(st.st_mode);

	if (l != NULL && file)
		from = fcntl(letters_fd(spool_letters(queue_of(h)->spool), l->content_segment),
		             F_DUPFD_CLOEXEC, 0);
	if (from >= 0) {
		struct showing *s = memory_take(sizeof *s);

		*s = (struct showing){ .house = h,
			               .caller = caller,
			               .from = from,
			               .to = to,
			               .at = l->content_at,
			               .len = l->content_len };
		buffer_add(&s->prefix, e.prefix);
		loop_job(h->loop, showing_run, showing_done, s);
	} else {
		if (l != NULL)
			caller_complain(caller, "%s: it cannot be read\n", w->argv[2]);
		if (to >= 0)
			(void)close(to);
		caller_done(caller, 1);
	}
	arena_close(&a);
}
