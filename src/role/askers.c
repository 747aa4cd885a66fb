#include "role/askers.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/journal.h"
#include "role/tables.h"

enum { FILE_DEEP = 3, FILE_MOST = 1 << 20 };

struct asker_rows {
	struct setting_list mailq, flush, submit;
};

#define AT(f) offsetof(struct asker_rows, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "authorized_mailq_users", SETTING_LIST, AT(mailq), "static:anyone", "Which users of this machine see the queue with mailq, postqueue -p and mansio queue list: names, !names, /files of them, tables of them (hash:, texthash:, regexp:, pcre:, inline:, unix:passwd.byname), or static:anyone; the first that fits decides. Root may always, and it is root who looks into the tables, so that none of a database is taken. Names are looked up when the server starts and at mansio reload.", .since = "0.3" },
	{ "authorized_flush_users", SETTING_LIST, AT(flush), "static:anyone", "The same for who may have letters tried now: sendmail -q, postqueue -f, -s and -i.", .since = "0.3" },
	{ "authorized_submit_users", SETTING_LIST, AT(submit), "static:anyone", "Which users of this machine may send letters with sendmail, in the same words; root is asked for, too. The server asks, where sendmail connects (run/pickup.sock in mail_directory). It keeps nobody from speaking SMTP to this machine: that is what mynetworks and passwords are for.", .since = "0.3" },
};
/* clang-format on */
#undef AT
const struct setting_table asker_setting_table = { "Users of this machine", rows, COUNT(rows) };

struct adding {
	struct buffer   *lines;
	struct settings *settings;
};

static void add_items(struct adding *, struct bytes words, bool negated, int deep);

static void
add_user(struct adding *to, const struct passwd *who, bool negated)
{
	buffer_printf(to->lines, " %s%u", negated ? "!" : "", who->pw_uid);
}

/* Whoever of the system's users is in it. */
static void
add_table(struct adding *to, const char *name, bool negated)
{
	struct table_source source = tables_source(to->settings);
	struct buffer       errors = { 0 }, warnings = { 0 };
	struct table       *t = table_open(name, TABLE_PLAIN, &source, &errors, &warnings);
	struct arena       *scratch = arena_open(NULL);
	struct passwd      *who;
	struct bytes        value;

	if (t == NULL)
		warn_("%.*s; nobody is in %s", (int)bytes_trim(buffer_bytes(&errors)).len,
		      bytes_trim(buffer_bytes(&errors)).at, name);
	for (setpwent(); t != NULL && (who = getpwent()) != NULL;)
		if (table_find(t, bytes_of(who->pw_name), scratch, &value) == TABLE_FOUND)
			add_user(to, who, negated);
	endpwent();
	table_close(&t);
	arena_close(&scratch);
	buffer_free(&errors);
	buffer_free(&warnings);
}

static void
add_file(struct adding *to, const char *path, bool negated, int deep)
{
	struct buffer text = { 0 };
	struct bytes  rest, line;
	int           fd = deep < FILE_DEEP ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

	if (fd >= 0) {
		(void)file_read(fd, FILE_MOST, &text);
		(void)close(fd);
	}
	rest = buffer_bytes(&text);
	while (bytes_split(&rest, '\n', &line))
		if (line.len > 0 && line.at[0] != '#')
			add_items(to, line, negated, deep + 1);
	buffer_free(&text);
}

static void
add_item(struct adding *to, const char *item, bool negated, int deep)
{
	struct passwd *who;

	for (; *item == '!'; item++)
		negated = !negated;
	if (*item == '/')
		add_file(to, item, negated, deep);
	else if (strncmp(item, "static:", 7) == 0)
		buffer_printf(to->lines, " %sany", negated ? "!" : "");
	else if (table_is_name(item))
		add_table(to, item, negated);
	else if ((who = getpwnam(item)) != NULL)
		add_user(to, who, negated);
}

/* Words with blanks or commas between. */
static void
add_items(struct adding *to, struct bytes words, bool negated, int deep)
{
	char   item[256];
	size_t n = 0;

	for (size_t i = 0; i <= words.len; i++) {
		if (i < words.len && strchr(" \t\r,", words.at[i]) == NULL) {
			n++;
			continue;
		}
		if (n > 0 && bytes_string(bytes_cut(words, i - n, i), item, sizeof item))
			add_item(to, item, negated, deep);
		n = 0;
	}
}

static void
add_list(struct adding *to, const char *what, const struct setting_list *list)
{
	buffer_add_string(to->lines, what);
	for (size_t i = 0; i < list->count; i++)
		add_item(to, list->item[i], false, 0);
	buffer_add_char(to->lines, '\n');
}

/* A table that never has anybody is told of, not taken. */
bool
askers_check(struct settings *s, void (*complain)(void *ctx, const char *setting, const char *why),
             void            *ctx)
{
	struct asker_rows          r;
	const struct setting_list *lists[] = { &r.mailq, &r.flush, &r.submit };
	struct arena              *a = arena_open(NULL);
	bool                       good = settings_fill(s, &asker_setting_table, NULL, &r, NULL);

	_Static_assert(COUNT(lists) == COUNT(rows), "a list for each row");
	for (size_t l = 0; good && l < COUNT(lists); l++)
		for (size_t i = 0; good && i < lists[l]->count; i++) {
			const char *item = lists[l]->item[i] + strspn(lists[l]->item[i], "!");
			const char *type = tables_default_type(s);
			const char *why = NULL;

			if (*item == '/' || strchr(item, ':') == NULL)
				continue;
			if ((why = table_name_fault(item, type, a)) == NULL &&
			    table_is_remote(item, type) && strcmp(item, "unix:passwd.byname") != 0)
				why = "root looks for users of this machine when the server starts, and "
				      "connects to nobody: write a table of a file, hash:, texthash:, "
				      "inline:, regexp:, pcre:, or unix:passwd.byname";
			if (why == NULL)
				continue;
			complain(ctx, rows[l].name, arena_printf(a, "%s: %s", item, why));
			good = false;
		}
	arena_close(&a);
	return good;
}

void
askers_lines(struct settings *s, struct buffer *lines)
{
	struct asker_rows r;
	struct adding     to = { lines, s };

	if (!settings_fill(s, &asker_setting_table, NULL, &r, NULL))
		return;
	add_list(&to, "mailq", &r.mailq);
	add_list(&to, "flush", &r.flush);
	add_list(&to, "submit", &r.submit);
}

bool
askers_may(const char *lines, const char *what, uid_t uid)
{
	struct bytes rest = bytes_of(lines), line, word, name;
	uint64_t     number;

	while (bytes_split(&rest, '\n', &line)) {
		if (!bytes_split(&line, ' ', &name) || !bytes_is(name, what))
			continue;
		while (bytes_split(&line, ' ', &word)) {
			bool negated = bytes_starts(word, BYTES("!"));

			if (negated)
				word = bytes_cut(word, 1, word.len);
			if (bytes_equal(word, BYTES("any")) ||
			    (bytes_number(word, &number) && number == uid))
				return !negated;
		}
		return false;
	}
	return false;
}
