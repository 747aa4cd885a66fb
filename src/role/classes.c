#include "role/classes.h"
#include "base/file.h"
#include "base/map.h"
#include "directory/resolve.h"
#include <string.h>
#include <unistd.h>

enum { CLASSES = 4, TOLD_MOST = 50 };

static const char *const setting_of[CLASSES] = { "mydestination", "virtual_alias_domains",
	                                         "virtual_mailbox_domains", "relay_domains" };

/* One item of a list: a word, or a table that is open. */
struct claim {
	struct claim *next;
	const char   *name;
	struct table *table; /* NULL: it is a word                             */
	bool          no;    /* !name                                          */
};
struct looking {
	struct settings           *settings;
	const struct table_source *source;
	struct buffer             *warnings;
	struct arena              *life;
	struct claim              *first[CLASSES], **last[CLASSES];
	struct map                *told;
	bool                       directory; /* it has the name at hand */
};

static void
add_claim(struct looking *k, int class, struct bytes name, bool no)
{
	struct claim *c = arena_take(k->life, sizeof *c);

	c->name = arena_copy(k->life, name);
	c->no = no;
	*k->last[class] = c;
	k->last[class] = &c->next;
}

/* The words of a "/file". */
static void
add_file(struct looking *k, int class, const char *path, bool no)
{
	struct buffer b = { 0 };
	struct bytes  text, line;
	int           fd = k->source->open(k->source->ctx, path);

	if (fd >= 0) {
		(void)file_read(fd, SIZE_MAX, &b);
		(void)close(fd);
	}
	text = buffer_bytes(&b);
	while (bytes_split(&text, '\n', &line)) {
		struct bytes word;

		line = bytes_trim(line);
		if (bytes_starts(line, BYTES("#")) || !bytes_split(&line, ' ', &word))
			continue;
		add_claim(k, class, word, no);
	}
	buffer_free(&b);
}

/* A database that is a file is as near as any other file. */
static bool
is_here(const struct looking *k, const char *name)
{
	return !table_is_remote(name, k->source->default_type) ||
	       strncmp(name, "sqlite:", 7) == 0 || strncmp(name, "proxy:sqlite:", 13) == 0;
}

/* A word, the words of a file, or a table that can be opened here; of others nothing is known. */
static void
add_item(struct looking *k, int class, const char *item)
{
	struct buffer errors = { 0 }, warnings = { 0 };
	bool          no = item[0] == '!';
	struct table *t;

	item += no;
	if (item[0] == '/') {
		add_file(k, class, item, no);
	} else if (!table_is_name(item)) {
		add_claim(k, class, bytes_of(item), no);
	} else if (is_here(k, item)) {
		/* What is wrong with it was said by tables_check(). */
		t = table_open(item, TABLE_PLAIN, k->source, &errors, &warnings);
		if (t != NULL) {
			struct claim **at = k->last[class];

			add_claim(k, class, bytes_of(item), no);
			(*at)->table = t;
		}
	}
	buffer_free(&errors);
	buffer_free(&warnings);
}

/* The setting claims the domain: the first item that fits decides, as when mail comes. */
static const struct claim *
claims(struct looking *k, int class, struct bytes domain)
{
	for (const struct claim *c = k->first[class]; c != NULL; c = c->next) {
		struct arena *scratch;
		struct bytes  value;
		bool          found = bytes_equal_nocase(domain, bytes_of(c->name));

		if (c->table != NULL) {
			scratch = arena_open(NULL);
			found = table_find(c->table, domain, scratch, &value) == TABLE_FOUND;
			arena_close(&scratch);
		}
		if (found)
			return c->no ? NULL : c;
	}
	return NULL;
}

/* `first` -1: the directory. */
static void
warn(struct looking *k, struct bytes domain, int first, int other, const struct claim *by)
{
	struct buffer text = { 0 };
	const char   *setting = setting_of[other];
	const char   *name =
		arena_printf(k->life, "%.*s %d %d", (int)domain.len, domain.at, first, other);

	if (map_put(k->told, bytes_of(name), k) != NULL || map_count(k->told) > TOLD_MOST)
		return;
	buffer_printf(&text, "%.*s is ", (int)domain.len, domain.at);
	if (first < 0)
		buffer_printf(&text,
		              "a domain of the directory and in %s%s%s too: the directory's people "
		              "get its mail",
		              setting, by->table != NULL ? ", " : "",
		              by->table != NULL ? by->name : "");
	else
		buffer_printf(
			&text,
			"in %s and in %s too: the former has it, and whom the latter's tables "
			"alone know is refused; leave it in one of them",
			setting_of[first], setting);
	if (settings_line(k->settings, setting) == 0 && first >= 0)
		setting = setting_of[first];
	settings_complain(k->settings, k->warnings, setting, "%.*s", (int)text.len, text.at);
	buffer_free(&text);
}

/* Whether two may have one domain: relay_domains = $mydestination harms nobody, the directory's domains are virtual mailbox
   domains, and may be local ones too. */
static bool
go_together(int first, int other)
{
	return first == 0 ? other == 3 : first < 0 && (other == 0 || other == 2);
}

/* A name that some setting has, or the directory: whose else is it? */
static void
look(void *ctx, struct bytes name, struct bytes value)
{
	struct looking     *k = ctx;
	const struct claim *first = NULL, *by;
	int                 has = -1;

	(void)value;
	if (name.len == 0 || name.at[0] == '.' || bytes_find(name, '@') >= 0 ||
	    bytes_find(name, '.') < 0)
		return;
	for (int i = 0; i < CLASSES; i++) {
		if ((by = claims(k, i, name)) == NULL)
			continue;
		if (has < 0 && !k->directory) {
			has = i;
			first = by;
		} else if (!go_together(has, i) &&
		           (first == NULL || first->table != NULL || by->table != NULL)) {
			/* One word in two lists is an error already. */
			warn(k, name, has, i, by);
		}
	}
}

/* Every name of one setting. */
static void
look_through(struct looking *k, int class)
{
	for (struct claim *c = k->first[class]; c != NULL; c = c->next)
		if (c->table != NULL)
			(void)table_each(c->table, look, k);
		else if (!c->no)
			look(k, bytes_of(c->name), BYTES(""));
}

void
classes_check(struct settings *s, const struct table_source *source, struct bytes ours,
              struct buffer *warnings)
{
	struct resolve_rules rules;
	struct looking       k = { .settings = s, .source = source, .warnings = warnings };
	struct bytes         line, domain;

	if (!settings_fill(s, &resolve_setting_table, NULL, &rules, NULL))
		return;
	const struct setting_list *list[CLASSES] = { &rules.mydestination,
		                                     &rules.virtual_alias_domains,
		                                     &rules.virtual_mailbox_domains,
		                                     &rules.relay_domains };
	k.life = arena_open(NULL);
	k.told = map_open();
	for (int i = 0; i < CLASSES; i++) {
		k.last[i] = &k.first[i];
		for (size_t n = 0; n < list[i]->count; n++)
			add_item(&k, i, list[i]->item[n]);
	}
	k.directory = true;
	while (bytes_split(&ours, '\n', &line))
		if (bytes_split(&line, ' ', &domain))
			look(&k, domain, BYTES(""));
	k.directory = false;
	for (int i = 0; i < CLASSES; i++)
		look_through(&k, i);
	if (map_count(k.told) > TOLD_MOST)
		buffer_printf(warnings, "and %zu more such domains\n",
		              map_count(k.told) - TOLD_MOST);
	for (int i = 0; i < CLASSES; i++)
		for (struct claim *c = k.first[i]; c != NULL; c = c->next)
			table_close(&c->table);
	map_close(&k.told);
	arena_close(&k.life);
}
