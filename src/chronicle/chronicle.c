#include "chronicle/chronicle.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/journal.h"
#include "base/random.h"
#include "chronicle/volume.h"

enum { WAITING_MOST = 8, COMPLAIN_S = 60, LOOK_EVERY = 1 << 20 };
static const int64_t far_us = INT64_C(600) * 1000000;

/* Volumes and daybooks in the order of their numbers; the last daybook is the one that is written. */
struct chronicle {
	int                     directory;
	struct chronicle_limits limits;
	struct key_secret       secret;
	struct volume         **volume;
	size_t                  volumes, volume_room;
	struct daybook         *daybook[WAITING_MOST];
	size_t                  daybooks;
	struct daybook         *packing; /* the first of them, in a thread           */
	int                     packed;  /* how that ended                           */
	int64_t                 pack_after_s;
	struct buffer           rows; /* gathered, not written                    */
	uint64_t                gathered, lost, dropped;
	uint64_t                unlooked; /* bytes written since the disk was looked at */
	int64_t                 complained_s;
	bool                    failing, full;
};

/*
 * Files
 */

static void
volume_take(struct chronicle *c, struct volume *v)
{
	size_t at;

	if (c->volumes == c->volume_room) {
		c->volume_room = c->volume_room == 0 ? 64 : c->volume_room * 2;
		c->volume = memory_resize(c->volume, c->volume_room * sizeof(struct volume *));
	}
	for (at = c->volumes++; at > 0 && c->volume[at - 1]->number > v->number; at--)
		c->volume[at] = c->volume[at - 1];
	c->volume[at] = v;
}

static void
set_aside(struct chronicle *c, const char *name, int why)
{
	char to[64];

	(void)snprintf(to, sizeof to, "%.31s.damaged", name);
	fault("events/%s: %s; it is set aside as %s, and what the other files have is told", name,
	      strerror(why), to);
	(void)renameat(c->directory, name, c->directory, to);
}

static void
find_daybook(struct chronicle *c, uint64_t number)
{
	char            name[32];
	uint64_t        cut = 0;
	struct daybook *d = daybook_open(c->directory, number, &cut);

	daybook_name(number, name);
	if (d == NULL) {
		set_aside(c, name, errno);
		return;
	}
	if (cut > 0)
		warn_("events/%s: its last %" PRIu64 " bytes were torn and are cut off", name, cut);
	if (c->daybooks == WAITING_MOST) { /* never made by us */
		daybook_close(&d);
		set_aside(c, name, EFBIG);
		return;
	}
	c->secret = d->secret;
	c->daybook[c->daybooks++] = d;
}

static void
find_volume(struct chronicle *c, uint64_t number)
{
	char           name[32];
	struct volume *v = volume_open(c->directory, number);

	volume_name(number, name);
	if (v == NULL) {
		set_aside(c, name, errno);
		return;
	}
	c->secret = v->secret;
	volume_take(c, v);
}

struct found {
	uint64_t number;
	bool     is_volume;
};

static int
compare_found(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return (int)y->is_volume - (int)x->is_volume;
}

static bool
find_name(const char *name, struct found *f)
{
	struct bytes n = bytes_of(name);
	ptrdiff_t    dot = bytes_find(n, '.');

	f->is_volume = bytes_ends_nocase(n, BYTES(".volume"));
	return dot > 0 && (f->is_volume || bytes_ends_nocase(n, BYTES(".daybook"))) &&
	       bytes_number(bytes_cut(n, 0, (size_t)dot), &f->number);
}

/* A daybook whose volume is there has been packed before we were stopped. */
static void
find_files(struct chronicle *c, DIR *dir)
{
	struct buffer  all = { 0 };
	struct dirent *entry;
	struct found   f = { 0 }, *list;
	size_t         count;

	while ((entry = readdir(dir)) != NULL)
		if (find_name(entry->d_name, &f))
			buffer_add(&all, (struct bytes){ (const char *)&f, sizeof f });
	list = (struct found *)(void *)all.at;
	count = all.len / sizeof f;
	if (count > 0)
		qsort(list, count, sizeof *list, compare_found);
	for (size_t i = 0; i < count; i++) {
		char name[32];

		if (list[i].is_volume) {
			find_volume(c, list[i].number);
		} else if (c->volumes > 0 && c->volume[c->volumes - 1]->number == list[i].number) {
			daybook_name(list[i].number, name);
			(void)unlinkat(c->directory, name, 0);
		} else {
			find_daybook(c, list[i].number);
		}
	}
	buffer_free(&all);
}

struct chronicle *
chronicle_open(const char *directory, const struct chronicle_limits *limits, struct buffer *errors)
{
	struct chronicle *c = memory_take(sizeof *c);
	int               fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR              *dir = fd < 0 ? NULL : fdopendir(fd);

	c->limits = *limits;
	c->directory = dir == NULL ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (c->directory < 0) {
		buffer_printf(errors, "%s: %s", directory, strerror(errno));
		if (dir != NULL)
			(void)closedir(dir);
		memory_free(c);
		return NULL;
	}
	random_fill(&c->secret, sizeof c->secret);
	find_files(c, dir);
	(void)closedir(dir);
	(void)unlinkat(c->directory, "volume.new", 0);
	return c;
}

void
chronicle_close(struct chronicle **cp)
{
	struct chronicle *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	chronicle_flush(c);
	for (size_t i = 0; i < c->volumes; i++)
		volume_close(&c->volume[i]);
	for (size_t i = 0; i < c->daybooks; i++)
		daybook_close(&c->daybook[i]);
	memory_free(c->volume);
	buffer_free(&c->rows);
	(void)close(c->directory);
	memory_free(c);
}

void
chronicle_limit(struct chronicle *c, const struct chronicle_limits *limits)
{
	c->limits = *limits;
}

/*
 * Writing
 */

static void
complain(struct chronicle *c, int why)
{
	int64_t now = clock_wall();

	if (c->failing && now - c->complained_s < COMPLAIN_S)
		return;
	c->complained_s = now;
	c->failing = true;
	warn_("events: %s; mail goes on, and what happens to it is not kept for mansio trace "
	      "(%" PRIu64 " events so far)",
	      strerror(why), c->lost + c->gathered);
}

/* Letters need what is left of the disk more than we do. */
static bool
has_room(struct chronicle *c)
{
	struct statvfs v;

	if (!c->full && c->unlooked < LOOK_EVERY)
		return true;
	c->unlooked = 0;
	c->full = c->limits.free_least > 0 && fstatvfs(c->directory, &v) == 0 &&
	          (uint64_t)v.f_bavail * v.f_frsize < c->limits.free_least;
	return !c->full;
}

static uint64_t
next_number(const struct chronicle *c)
{
	uint64_t n = c->volumes > 0 ? c->volume[c->volumes - 1]->number : 0;

	if (c->daybooks > 0 && c->daybook[c->daybooks - 1]->number > n)
		n = c->daybook[c->daybooks - 1]->number;
	return n + 1;
}

static bool
is_of_another_day(const struct daybook *d, int64_t now_us)
{
	static const int64_t day = INT64_C(86400) * 1000000;

	return d->events > 0 && d->first_us / day != now_us / day;
}

/* The daybook that is written; NULL with errno. */
static struct daybook *
current(struct chronicle *c)
{
	struct daybook *d = c->daybooks > 0 ? c->daybook[c->daybooks - 1] : NULL;

	if (d != NULL && d != c->packing && d->size < DAYBOOK_MOST &&
	    !is_of_another_day(d, clock_wall_us()))
		return d;
	/* One before it could not be packed: this one may be larger than they usually are. */
	if (c->daybooks == WAITING_MOST && d->size < DAYBOOK_MOST + DAYBOOK_MOST / 2)
		return d;
	if (c->daybooks == WAITING_MOST)
		return errno = EFBIG, NULL;
	d = daybook_make(c->directory, next_number(c), &c->secret);
	if (d != NULL)
		c->daybook[c->daybooks++] = d;
	return d;
}

static int
write_rows(struct chronicle *c)
{
	struct daybook *d;
	int             why;

	if (!has_room(c))
		return ENOSPC;
	if ((d = current(c)) == NULL)
		return errno;
	if ((why = daybook_add(d, buffer_bytes(&c->rows))) == 0)
		c->unlooked += c->rows.len;
	return why;
}

static void
add_row(struct chronicle *c, const struct event *e)
{
	size_t at = c->rows.len, len;

	pack_u16(&c->rows, 0);
	event_pack(e, &c->rows);
	len = c->rows.len - at - 2;
	c->rows.at[at] = (char)(len & 0xff);
	c->rows.at[at + 1] = (char)(len >> 8);
	c->gathered++;
}

void
chronicle_flush(struct chronicle *c)
{
	int why;

	if (c->lost > 0 && c->rows.len < DAYBOOK_FRAME_MOST - EVENT_MOST) {
		add_row(c, &(struct event){
				   .kind = LIFE_GAP, .at_us = clock_wall_us(), .number = c->lost });
		c->gathered--;
	}
	if (c->rows.len == 0)
		return;
	why = write_rows(c);
	if (why != 0) {
		complain(c, why);
		c->lost += c->gathered;
		c->dropped += c->gathered;
	} else {
		if (c->failing)
			note("events: can be written again; %" PRIu64 " were lost", c->lost);
		c->failing = false;
		c->lost = 0;
	}
	buffer_reset(&c->rows);
	c->gathered = 0;
}

void
chronicle_add(struct chronicle *c, const struct event *e)
{
	struct arena *a = NULL;
	struct event  kept = *e;
	int64_t       now = clock_wall_us();

	if (kept.at_us > now + far_us || kept.at_us < now - far_us)
		kept.at_us = now;
	if (c->limits.redaction.addresses != ADDRESSES_WHOLE ||
	    c->limits.redaction.clients != CLIENTS_WHOLE)
		event_redact(&kept, &c->limits.redaction, &c->secret, a = arena_open(NULL));
	add_row(c, &kept);
	arena_close(&a);
	if (c->rows.len > DAYBOOK_FRAME_MOST - 2 * EVENT_MOST)
		chronicle_flush(c);
}

void
chronicle_lost(struct chronicle *c, uint64_t events)
{
	c->lost += events;
}

/*
 * Packing
 */

bool
chronicle_turn(struct chronicle *c)
{
	struct daybook *d = c->daybooks > 0 ? c->daybook[0] : NULL;

	if (d == NULL || c->packing != NULL || clock_patient_ms() / 1000 < c->pack_after_s ||
	    (c->daybooks == 1 && d->size < DAYBOOK_MOST && !is_of_another_day(d, clock_wall_us())))
		return false;
	if (d->events == 0)
		return false;
	c->packing = d;
	return true;
}

void
chronicle_pack(void *ctx)
{
	struct chronicle *c = ctx;

	c->packed = volume_write(c->directory, c->packing);
}

void
chronicle_packed(struct chronicle *c)
{
	struct daybook *d = c->packing;
	char            name[32];
	struct volume  *v = c->packed == 0 ? volume_open(c->directory, d->number) : NULL;

	c->packing = NULL;
	if (v == NULL) {
		warn_("events: %" PRIu64 ".daybook cannot be packed: %s; it is tried again",
		      d->number, strerror(c->packed != 0 ? c->packed : errno));
		c->pack_after_s = clock_patient_ms() / 1000 + COMPLAIN_S;
		return;
	}
	volume_take(c, v);
	daybook_name(d->number, name);
	(void)unlinkat(c->directory, name, 0);
	daybook_close(&d);
	c->daybooks--;
	memmove(c->daybook, c->daybook + 1, c->daybooks * sizeof *c->daybook);
}

void
chronicle_sweep(struct chronicle *c)
{
	int64_t  oldest_us = clock_wall_us() - c->limits.lifetime_s * 1000000;
	uint64_t held = 0;
	size_t   gone = 0;
	char     name[32];

	for (size_t i = 0; i < c->daybooks; i++)
		held += c->daybook[i]->size;
	for (size_t i = 0; i < c->volumes; i++)
		held += c->volume[i]->size;
	while (gone < c->volumes &&
	       ((c->limits.lifetime_s > 0 && c->volume[gone]->last_us < oldest_us) ||
	        (c->limits.size_most > 0 && held > c->limits.size_most))) {
		held -= c->volume[gone]->size;
		volume_name(c->volume[gone]->number, name);
		(void)unlinkat(c->directory, name, 0);
		volume_close(&c->volume[gone++]);
	}
	c->volumes -= gone;
	if (gone > 0)
		memmove(c->volume, c->volume + gone, c->volumes * sizeof(struct volume *));
}

void
chronicle_count(const struct chronicle *c, struct chronicle_counts *n)
{
	*n = (struct chronicle_counts){ .dropped = c->dropped,
		                        .files = (uint32_t)(c->volumes + c->daybooks) };
	for (size_t i = c->daybooks; i-- > 0;) {
		n->events += c->daybook[i]->events;
		n->bytes += c->daybook[i]->size;
		n->first_us = c->daybook[i]->first_us;
	}
	for (size_t i = c->volumes; i-- > 0;) {
		n->events += c->volume[i]->events;
		n->bytes += c->volume[i]->size;
		n->first_us = c->volume[i]->first_us;
	}
}

/*
 * Finding
 */

uint64_t
chronicle_key(const struct chronicle *c, enum key_kind kind, struct bytes value)
{
	return key_of(&c->secret, kind, value);
}

uint64_t
chronicle_key_number(const struct chronicle *c, enum key_kind kind, uint64_t value)
{
	return key_of_number(&c->secret, kind, value);
}

uint64_t
chronicle_key_hidden(const struct chronicle *c, struct bytes address)
{
	struct arena *a = arena_open(NULL);
	uint64_t      key = key_of(&c->secret, KEY_ADDRESS,
	                           address_redact(address, ADDRESSES_PSEUDONYM, &c->secret, a));

	arena_close(&a);
	return key;
}

struct looking {
	const struct chronicle *chronicle;
	struct chronicle_walk  *walk;
	bool (*each)(void *ctx, const struct event *);
	void *ctx;
	bool  any; /* whatever its key */
};

static bool
is_within(const struct chronicle_walk *w, int64_t first_us, int64_t last_us)
{
	return (w->since_us == 0 || last_us >= w->since_us) &&
	       (w->until_us == 0 || first_us <= w->until_us);
}

/* Rows stand in the order they came in: the last is the newest. */
static void
look_at_rows(struct looking *l, struct bytes rows)
{
	struct buffer ends = { 0 };
	struct bytes  rest = rows, packed;
	struct event  e;
	bool          broken = false;
	size_t        at;

	while (event_next(&rest, &packed, &e, &broken))
		buffer_add(&ends, (struct bytes){ (const char *)&packed, sizeof packed });
	for (at = ends.len; at > 0 && !l->walk->enough;) {
		at -= sizeof packed;
		memcpy(&packed, ends.at + at, sizeof packed);
		if (event_unpack(packed, &e) && is_within(l->walk, e.at_us, e.at_us) &&
		    (l->any || event_has_key(&l->chronicle->secret, &e, l->walk->key)))
			l->walk->enough = !l->each(l->ctx, &e);
	}
	buffer_free(&ends);
}

static int
compare_blocks(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x < y) - (x > y);
}

/* Blocks of one file, the last first, each once. */
static void
look_at_blocks(struct looking *l, struct buffer *blocks, const struct volume *v,
               const struct daybook *d)
{
	uint32_t     *block = (uint32_t *)(void *)blocks->at;
	size_t        count = blocks->len / sizeof *block;
	struct buffer rows = { 0 };

	if (count > 0)
		qsort(block, count, sizeof *block, compare_blocks);
	for (size_t i = 0; i < count && !l->walk->enough; i++) {
		if (i > 0 && block[i] == block[i - 1])
			continue;
		buffer_reset(&rows);
		if (v != NULL ? volume_block(v, block[i], &rows)
		              : daybook_block(d, block[i], &rows))
			look_at_rows(l, buffer_bytes(&rows));
		else
			warn_("events: block %" PRIu32 " of file %" PRIu64 " is damaged", block[i],
			      v != NULL ? v->number : d->number);
	}
	buffer_free(&rows);
}

static void
daybook_blocks_of(const struct daybook *d, uint64_t key, struct buffer *out)
{
	const key_place *p = (const key_place *)(const void *)d->places.at;
	size_t           count = d->places.len / sizeof *p;

	for (size_t i = 0; i < count; i++)
		if (key_place_is(p[i], key)) {
			uint32_t block = (uint32_t)(p[i] & 0xffff);
			buffer_add(out, (struct bytes){ (const char *)&block, sizeof block });
		}
}

/* The newest file below that number: a volume or a daybook; false: there is none. */
static bool
file_below(const struct chronicle *c, uint64_t number, const struct volume **v,
           const struct daybook **d)
{
	*v = NULL;
	*d = NULL;
	for (size_t i = c->volumes; i-- > 0 && *v == NULL;)
		if (c->volume[i]->number < number)
			*v = c->volume[i];
	for (size_t i = c->daybooks; i-- > 0 && *d == NULL;)
		if (c->daybook[i]->number < number)
			*d = c->daybook[i];
	if (*d != NULL && (*v == NULL || (*d)->number > (*v)->number))
		*v = NULL;
	else
		*d = NULL;
	return *v != NULL || *d != NULL;
}

/* The files may become others between two calls: a daybook a volume, with the same number and the same blocks. */
bool
chronicle_pass(struct chronicle *c, struct chronicle_walk          *w,
               bool (*each)(void *ctx, const struct event *), void *ctx)
{
	struct looking        l = { c, w, each, ctx, true };
	const struct volume  *v;
	const struct daybook *d;
	struct buffer         one = { 0 };

	if (w->next == UINT64_MAX && w->left == 0)
		chronicle_flush(c);
	if (w->enough || !file_below(c, w->left > 0 ? w->next + 1 : w->next, &v, &d))
		return false;
	if (w->left == 0) {
		w->next = v != NULL ? v->number : d->number;
		w->left = v != NULL ? v->blocks : daybook_blocks(d);
		if (!is_within(w, v != NULL ? v->first_us : d->first_us,
		               v != NULL ? v->last_us : d->last_us))
			w->left = 0;
	} else if (w->next != (v != NULL ? v->number : d->number)) {
		w->left = 0; /* it is gone */
	}
	if (w->left > 0) {
		w->left--;
		buffer_add(&one, (struct bytes){ (const char *)&w->left, sizeof w->left });
		look_at_blocks(&l, &one, v, d);
		buffer_free(&one);
	}
	return !w->enough;
}

bool
chronicle_walk(struct chronicle *c, struct chronicle_walk          *w,
               bool (*each)(void *ctx, const struct event *), void *ctx)
{
	struct looking        l = { c, w, each, ctx, false };
	const struct volume  *v;
	const struct daybook *d;
	struct buffer         blocks = { 0 };

	if (w->next == UINT64_MAX)
		chronicle_flush(c);
	if (w->enough || !file_below(c, w->next, &v, &d))
		return false;
	w->next = v != NULL ? v->number : d->number;
	if (v != NULL && is_within(w, v->first_us, v->last_us) &&
	    !volume_blocks_of(v, w->key, &blocks))
		warn_("events: the index of volume %" PRIu64 " cannot be read", v->number);
	if (d != NULL && is_within(w, d->first_us, d->last_us))
		daybook_blocks_of(d, w->key, &blocks);
	look_at_blocks(&l, &blocks, v, d);
	buffer_free(&blocks);
	return !w->enough;
}
