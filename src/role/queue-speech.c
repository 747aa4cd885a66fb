/*
 * queue-speech -- in which language somebody is told, and in whose words: bounce_language, bounce_language_maps,
 * bounce_template_file
 */
#include <stdlib.h>
#include <string.h>

#include "directory/lookup.h"
#include "message/notice-words.h"
#include "role/notice-settings.h"
#include "role/queue.h"
#include "role/tables.h"

struct speech {
	struct arena           *life; /* of the templates */
	struct notice_templates templates;
	struct tables          *tables;
};

/* What cannot be read leaves the last good ones. */
static void
templates_open(struct house *h)
{
	struct queue_role      *k = queue_of(h);
	struct speech          *s = k->speech;
	struct arena           *life = arena_open(NULL);
	struct notice_templates read = { .count = 0 };
	struct buffer           text = { 0 }, errors = { 0 };
	const char             *path = notice_template_file(&k->rows.template_file);
	bool                    good = true;

	if (path != NULL &&
	    house_resource_read(h, arena_printf(life, "table/%s", path), &text) != 0) {
		warn_("bounce_template_file: %s cannot be read", path);
		good = false;
	} else if (path != NULL) {
		good = templates_read(arena_keep(life, buffer_bytes(&text)), path, life, &read,
		                      &errors);
	}
	if (errors.len > 0)
		warn_("%.*s", (int)errors.len - 1, errors.at);
	if (good || s->life == NULL) {
		arena_close(&s->life);
		s->life = life;
		s->templates = read;
	} else {
		arena_close(&life);
	}
	buffer_free(&text);
	buffer_free(&errors);
}

void
queue_speech_open(struct house *h)
{
	struct queue_role *k = queue_of(h);

	k->speech = memory_take(sizeof *k->speech);
	k->speech->tables = tables_open(h, NULL, NULL);
	templates_open(h);
}

void
queue_speech_reload(struct house *h)
{
	if (queue_of(h)->speech == NULL)
		return;
	tables_reload(queue_of(h)->speech->tables);
	templates_open(h);
}

/* ---- which language? ------------------------------------------------------------------- */

static struct table *
local_table(void *ctx, const char *name)
{
	struct queue_role *k = ctx;

	return tables_local(k->speech->tables, name);
}

/* What bounce_language_maps have for an address or its domain; "" nothing. */
static struct bytes
language_of(struct queue_role *k, struct bytes address, struct arena *a)
{
	static const struct lookup_needs needs = { .local = local_table };
	const struct setting_list       *maps = &k->rows.language_maps;
	ptrdiff_t                        at = bytes_find_last(address, '@');
	struct bytes                     value, extension;
	struct lookup_key                key;

	if (maps->count == 0 || at <= 0)
		return BYTES("");
	key = (struct lookup_key){ .local = arena_lower(a, bytes_cut(address, 0, (size_t)at)),
		                   .domain = arena_lower(a, bytes_cut(address, (size_t)at + 1,
		                                                      SIZE_MAX)),
		                   .delimiters = BYTES("+"),
		                   .forms = LOOKUP_FULL | LOOKUP_BARE };
	if (lookup_address(lookups_open(&needs, k, a), maps, &key, &value, &extension) !=
	    TABLE_FOUND)
		return BYTES("");
	return value;
}

static void
add_language(struct notice *n, struct bytes tag)
{
	const struct notice_words *words = notice_words(bytes_trim(tag));

	if (words == NULL || n->speeches == NOTICE_LANGUAGES_MOST)
		return;
	for (size_t i = 0; i < n->speeches; i++)
		if (n->speech[i].words == words)
			return;
	n->speech[n->speeches++] = (struct notice_speech){ .words = words };
}

/* "zh, en" or "zh en" */
static void
add_languages(struct notice *n, struct bytes list, struct arena *a)
{
	static const char apart[] = ", \t";
	char             *text = arena_copy(a, list), *place = NULL;

	for (char *word = strtok_r(text, apart, &place); word != NULL;
	     word = strtok_r(NULL, apart, &place))
		add_language(n, bytes_of(word));
}

void
queue_speech(struct house *h, struct notice *n, struct arena *a)
{
	struct queue_role *k = queue_of(h);
	bool               said;

	n->speeches = 0;
	add_languages(n, language_of(k, n->sender, a), a);
	for (size_t i = 0; i < n->recipients && n->speeches == 0 && !n->copy; i++)
		add_languages(n, language_of(k, n->recipient[i].final, a), a);
	said = n->speeches > 0;
	for (size_t i = 0; i < k->rows.languages.count && !said; i++)
		add_language(n, bytes_of(k->rows.languages.item[i]));
	if (n->speeches == 0)
		add_language(n, BYTES("en"));
	for (size_t i = 0; i < n->speeches; i++) {
		struct notice_speech *s = &n->speech[i];
		struct buffer         text = { 0 };

		s->template = templates_find(&k->speech->templates, notice_template_kind(n->kind),
		                             s->words->name);
		if (s->template == NULL)
			continue;
		if (i > 0 && s->template == n->speech[0].template) {
			n->speeches = i; /* it is for all languages: once is enough */
			break;
		}
		(void)notice_expand(h->settings, s->template->text, a, &text, NULL);
		s->text = arena_keep(a, buffer_bytes(&text));
		buffer_free(&text);
	}
}
