/* domains -- the domains whose addresses a table is asked for: `domain` of a .cf file */

#include "directory/remote.h"

#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "directory/table_inner.h"

enum { FILE_MOST = 16 << 20 };

/* One of the list: a domain itself, a file of domains, or a table whose keys they are. */
struct member {
	bool          negated;
	const char   *name, *path; /* path: of the file that is read; NULL: none  */
	bool          is_list;
	struct table *table;
	struct buffer words;
	struct stat   seen;
};
struct domains {
	pthread_mutex_t lock;
	struct member  *member;
	size_t          count;
};

static void
note_path(void *ctx, const char *path, bool remote)
{
	struct member *m = ctx;

	(void)remote;
	m->path = m->path == NULL ? path : m->path;
}

/* What was read before stays when it cannot be read now. */
static bool
read_member(struct member *m, struct buffer *errors)
{
	struct buffer warnings = { 0 }, words = { 0 };
	struct table *table = NULL;
	bool          good;

	if (m->is_list) {
		good = table_read(&table_source_files, m->path, &words, errors) &&
		       words.len <= FILE_MOST;
		if (good) {
			buffer_free(&m->words);
			m->words = words;
		} else {
			buffer_free(&words);
		}
		return good;
	}
	table = table_open(m->name, TABLE_PLAIN, &table_source_files, errors, &warnings);
	buffer_free(&warnings);
	if (table == NULL)
		return false;
	table_close(&m->table);
	m->table = table;
	return true;
}

/* The same file, as far as can be seen from outside. */
static bool
is_as_seen(const struct member *m, const struct stat *now)
{
	return now->st_ino == m->seen.st_ino && now->st_dev == m->seen.st_dev &&
	       now->st_size == m->seen.st_size && now->st_mtim.tv_sec == m->seen.st_mtim.tv_sec &&
	       now->st_mtim.tv_nsec == m->seen.st_mtim.tv_nsec;
}

static void
look_again(struct member *m)
{
	struct buffer errors = { 0 };
	struct stat   now;

	if (m->path == NULL || stat(m->path, &now) < 0 || is_as_seen(m, &now))
		return;
	m->seen = now;
	(void)read_member(m, &errors);
	buffer_free(&errors);
}

static bool
is_listed(const struct member *m, struct bytes domain)
{
	struct bytes rest = buffer_bytes(&m->words), line, word;

	while (bytes_split(&rest, '\n', &line))
		for (struct bytes words = line; words.len > 0 && words.at[0] != '#';) {
			size_t n = 0;
			while (n < words.len && strchr(" \t\r,", words.at[n]) == NULL)
				n++;
			word = bytes_cut(words, 0, n);
			if (word.len > 0 && bytes_equal_nocase(word, domain))
				return true;
			words = bytes_cut(words, n + 1, words.len);
		}
	return false;
}

static bool
is_in(const struct member *m, struct bytes domain)
{
	struct arena *scratch;
	struct bytes  value;
	bool          found;

	if (m->is_list)
		return is_listed(m, domain);
	if (m->table == NULL)
		return bytes_is(domain, m->name);
	scratch = arena_open(NULL);
	found = table_find(m->table, domain, scratch, &value) != TABLE_NONE;
	arena_close(&scratch);
	return found;
}

bool
domains_have(struct domains *d, struct bytes domain)
{
	bool found = false;

	(void)pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < d->count && !found; i++) {
		look_again(&d->member[i]);
		if (!is_in(&d->member[i], domain))
			continue;
		found = !d->member[i].negated;
		break;
	}
	(void)pthread_mutex_unlock(&d->lock);
	return found;
}

static bool
open_member(struct member *m, const char *text, struct arena *life, struct buffer *why)
{
	struct stat  now;
	struct bytes rest;

	m->negated = *text == '!';
	m->name = text + m->negated;
	m->is_list = *m->name == '/';
	if (m->is_list)
		m->path = m->name;
	else if (strchr(m->name, ':') == NULL)
		return *m->name != '\0';
	else if (!table_is_name(m->name) || table_is_remote(m->name, "hash")) {
		buffer_printf(
			why,
			"%s: write a domain, the path of a file of domains, or a table in a file",
			text);
		return false;
	} else if (table_type_of(bytes_of(m->name), "hash", &rest)->file) {
		table_files(m->name, "hash", note_path, m);
		m->path = m->path == NULL ? NULL : arena_copy(life, rest);
	}
	if (m->path != NULL && stat(m->path, &now) == 0)
		m->seen = now;
	return read_member(m, why);
}

struct domains *
domains_open(const struct setting_list *list, struct arena *life, struct buffer *why)
{
	struct domains *d = memory_take(sizeof *d);

	(void)pthread_mutex_init(&d->lock, NULL);
	d->member = memory_take((list->count + 1) * sizeof *d->member);
	for (size_t i = 0; i < list->count; i++) {
		d->count++;
		if (!open_member(&d->member[i], list->item[i], life, why)) {
			domains_close(&d);
			return NULL;
		}
	}
	return d;
}

void
domains_close(struct domains **dp)
{
	struct domains *d = *dp;

	*dp = NULL;
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->count; i++) {
		table_close(&d->member[i].table);
		buffer_free(&d->member[i].words);
	}
	(void)pthread_mutex_destroy(&d->lock);
	memory_free(d->member);
	memory_free(d);
}

/* The directory, for the file may be replaced by another. */
void
domains_reach(const struct domains *d, struct reach *r)
{
	for (size_t i = 0; d != NULL && i < d->count; i++)
		if (d->member[i].path != NULL)
			reach_path(r, path_above(bytes_of(d->member[i].path)));
}
