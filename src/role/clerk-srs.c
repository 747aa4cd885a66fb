/*
 * clerk-srs -- senders of forwarded mail and their names of ours (directory/srs.h): ROUTE makes them, RESOLVE opens them
 */
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "role/clerk-resolve.h"
#include "role/tables.h"

void
clerk_srs_settings(struct house *h)
{
	struct clerk       *c = h->mine;
	struct srs_settings set;
	struct arena       *life;
	unsigned char       raw[DIRECTORY_SECRET];
	struct buffer       text = { 0 };

	if (!house_settings(h, &srs_setting_table, NULL, &set))
		return;
	life = arena_open(NULL);
	set.domain = arena_copy(life, bytes_of(set.domain));
	tables_patterns(h, life, &set.secrets);
	tables_patterns(h, life, &set.exclude);
	if (*set.domain != '\0' && set.secrets.count == 0 && c->directory != NULL &&
	    directory_secret(c->directory, "srs", raw) == DIRECTORY_OK) {
		const char **item = arena_take(life, sizeof *item);

		base64_encode(&text, (struct bytes){ (const char *)raw, sizeof raw });
		*item = arena_copy(life, buffer_bytes(&text));
		set.secrets = (struct setting_list){ item, 1 };
	}
	buffer_free(&text);
	arena_close(&c->srs_life);
	c->srs_life = life;
	c->srs = set;
}

/* Our own senders keep their name, and those of domains that are said to. */
static enum directory_outcome
is_to_stay(struct work *w, struct resolving *r, struct bytes domain, bool *stays)
{
	const struct srs_settings *set = &((struct clerk *)w->house->mine)->srs;
	enum table_outcome         t;
	enum directory_outcome     o = DIRECTORY_OK;

	*stays = false;
	if (set->exclude.count > 0) {
		t = lookup_match(w->lookups, &set->exclude, domain, true);
		if (t == TABLE_WAIT || t == TABLE_LATER)
			return t == TABLE_WAIT ? DIRECTORY_WAIT : DIRECTORY_LATER;
		*stays = t == TABLE_FOUND;
	}
	if (!*stays && !set->own)
		o = resolve_is_ours(r, domain, stays);
	return o;
}

enum directory_outcome
clerk_srs_sender(struct work *w, struct resolving *r, const char **out)
{
	const struct srs_settings *set = &((struct clerk *)w->house->mine)->srs;
	struct bytes               sender = w->user, made;
	ptrdiff_t                  at = bytes_find_last(sender, '@');
	bool                       stays;
	enum directory_outcome     o;

	*out = "";
	if (!w->forwarded || *set->domain == '\0' || at <= 0)
		return DIRECTORY_OK;
	o = is_to_stay(w, r, arena_lower(w->life, bytes_cut(sender, (size_t)at + 1, SIZE_MAX)),
	               &stays);
	if (o == DIRECTORY_OK && !stays && srs_make(set, sender, clock_wall(), w->life, &made))
		*out = arena_copy(w->life, made);
	return o;
}

enum srs_answer
clerk_srs_open(struct work *w, const char **reply)
{
	static const char *const replies[] = {
		[SRS_FORGED] = "5.7.1 This address for returned mail was not made here",
		[SRS_EXPIRED] = "5.7.1 The time of this address for returned mail is over",
	};
	const struct srs_settings *set = &((struct clerk *)w->house->mine)->srs;
	struct bytes               opened;
	enum srs_outcome           o;

	if (w->opened)
		return SRS_ANSWER_OPENED; /* in the pass before */
	o = srs_open(set, w->address, clock_wall(), w->life, &opened);
	if (o == SRS_NOT)
		return SRS_ANSWER_NONE;
	*reply = o == SRS_OPENED ? "5.7.1 This address takes returned mail alone, from <>"
	                         : replies[o];
	if (o != SRS_OPENED || !w->notice)
		return SRS_ANSWER_REFUSED;
	w->address = opened;
	w->opened = true;
	return SRS_ANSWER_OPENED;
}
